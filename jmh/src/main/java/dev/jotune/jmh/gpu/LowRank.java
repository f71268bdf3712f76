package dev.jotune.jmh.gpu;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.FrozenLinear;
import dev.jotune.autograd.ops.FrozenMatrix;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.autograd.ops.Terms;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.Precision;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.IntConsumer;

/**
 * {@code y = x W^T + s (x A^T) B^T} as a tuned model's layers compute it: activations in F32, W in BF16, products of operands rounded
 * to BF16. It is compared with the same layer without the low-rank term.
 */
final class LowRank implements Work {
    private static final double SCALE = 2;
    private static final long COMPARED = 64;

    private final Setting setting;
    private final long rows;
    private final Var x;
    private final Tensor weight;
    private final Var down;
    private final Var up;
    private final Optional<FrozenMatrix> frozen;

    LowRank(Setting setting, long rows, long in, long out, long rank) {
        this.setting = setting;
        this.rows = rows;
        x = Var.constant(setting.noise(DType.F32, 1, 1, rows, in));
        weight = setting.noise(DType.BF16, 0.02, 2, out, in);
        down = Var.constant(setting.noise(DType.F32, 0.02, 3, rank, in));
        up = Var.constant(setting.noise(DType.F32, 0.02, 4, out, rank));
        frozen = FrozenMatrix.of(weight);
    }

    private static Tensor apply(Var x, Tensor weight, Optional<FrozenMatrix> frozen, Terms terms) {
        return Recording.off(() -> frozen.map(f -> FrozenLinear.apply(x, f, terms, Precision.BF16))
                .orElseGet(() -> terms.addTo(Linear.apply(x, Var.constant(weight), Precision.BF16)))).tensor();
    }

    private static Terms terms(Var x, Var down, Var up) {
        return Terms.NONE.withLowRank(new Terms.LowRank(x, down, up, SCALE));
    }

    private Tensor result() {
        return apply(x, weight, frozen, terms(x, down, up));
    }

    @Override
    public void run(int set) {
        result();
    }

    @Override
    public Optional<IntConsumer> baseline() {
        return Optional.of(set -> apply(x, weight, frozen, Terms.NONE));
    }

    /** The first and the last rows, on the CPU in F32 over rounded operands. */
    @Override
    public Check check() {
        Tensor y = result();
        if (Setting.hasNaN(y)) {
            return new Check(Double.NaN, 0);
        }
        long n = Math.min(COMPARED, rows);
        return new Check(Math.max(error(y, 0, n), error(y, rows - n, rows)), Setting.tolerance(DType.BF16));
    }

    private double error(Tensor y, long from, long to) {
        Var part = Var.constant(Setting.here(x.tensor().slice(0, from, to)));
        Tensor w = weight.to(Backends.cpu());
        Terms terms = terms(part, Var.constant(Setting.here(down.tensor())), Var.constant(Setting.here(up.tensor())));
        Tensor right = apply(part, w, Optional.empty(), terms);
        return Setting.error(y.slice(0, from, to), right);
    }

    /** How many times as long as the layer alone, both of this backend: what the term costs. */
    @Override
    public double value(double micros, OptionalDouble baseline, OptionalDouble vendorBaseline) {
        return micros / baseline.orElse(Double.NaN);
    }

    @Override
    public Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("type", "F32 activations, BF16 weight and products");
        facts.put("flops", 2.0 * rows * weight.numel());
        facts.put("fused", frozen.isPresent());
        return facts;
    }
}
