package dev.jotune.jmh.gpu;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.FrozenLinear;
import dev.jotune.autograd.ops.FrozenMatrix;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.autograd.ops.Terms;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.Precision;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.IntConsumer;

/** The way back through {@link LowRank}'s layer: dx, dA and dB of a recorded product; compared with dx of the product alone. */
final class LowRankBack implements Work {
    private static final double SCALE = 2;
    private static final long COMPARED = 128;

    private final Setting setting;
    private final long rows;
    private final Layer layer;
    private final Layer plain;

    /** A layer that was computed, and what comes back. */
    private record Layer(Var y, Tensor dy, List<Var> trained) {
        List<Tensor> gradients() {
            return Gradients.of(List.of(y), List.of(Var.constant(dy)), trained, false).stream().map(Var::tensor).toList();
        }
    }

    LowRankBack(Setting setting, long rows, long in, long out, long rank) {
        this.setting = setting;
        this.rows = rows;
        Tensor x = setting.noise(DType.F32, 1, 1, rows, in);
        Tensor weight = setting.noise(DType.BF16, 0.02, 2, out, in);
        Tensor down = setting.noise(DType.F32, 0.02, 3, rank, in);
        Tensor up = setting.noise(DType.F32, 0.02, 4, out, rank);
        Tensor dy = setting.noise(DType.F32, 1, 5, rows, out);
        layer = layer(x, weight, dy, Optional.of(List.of(down, up)));
        plain = layer(x, weight, dy, Optional.empty());
    }

    private static Layer layer(Tensor x, Tensor weight, Tensor dy, Optional<List<Tensor>> factors) {
        Var in = Var.parameter(x);
        List<Var> trained = factors.map(f -> List.of(in, Var.parameter(f.get(0)), Var.parameter(f.get(1)))).orElse(List.of(in));
        Terms terms = factors.isEmpty() ? Terms.NONE : Terms.NONE.withLowRank(new Terms.LowRank(in, trained.get(1), trained.get(2), SCALE));
        Var y = FrozenMatrix.of(weight).map(f -> FrozenLinear.apply(in, f, terms, Precision.BF16))
                .orElseGet(() -> terms.addTo(Linear.apply(in, Var.constant(weight), Precision.BF16)));
        return new Layer(y, dy, trained);
    }

    @Override
    public void run(int set) {
        layer.gradients();
    }

    @Override
    public Optional<IntConsumer> baseline() {
        return Optional.of(set -> plain.gradients());
    }

    /** All gradients of a layer of fewer rows, on the CPU from the same numbers. */
    @Override
    public Check check() {
        List<Tensor> ours = few(setting.backend()).gradients();
        List<Tensor> right = few(Backends.cpu()).gradients();
        double error = 0;
        for (int i = 0; i < right.size(); i++) {
            error = Setting.hasNaN(ours.get(i)) ? Double.NaN : Math.max(error, Setting.error(ours.get(i), right.get(i)));
        }
        return new Check(error, Setting.tolerance(DType.BF16));
    }

    private Layer few(Backend b) {
        long n = Math.min(COMPARED, rows);
        List<Var> all = layer.trained;
        Tensor weight = setting.noise(DType.BF16, 0.02, 2, layer.dy.size(1), all.get(0).size(1));
        return layer(on(b, all.get(0).tensor().slice(0, 0, n)), weight.to(b), on(b, layer.dy.slice(0, 0, n)),
                Optional.of(List.of(on(b, all.get(1).tensor()), on(b, all.get(2).tensor()))));
    }

    private static Tensor on(Backend b, Tensor t) {
        return t.contiguous().to(b);
    }

    /** How many times as long as without the term. */
    @Override
    public double value(double micros, OptionalDouble baseline, OptionalDouble vendorBaseline) {
        return micros / baseline.orElse(Double.NaN);
    }

    @Override
    public Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("type", "F32 activations, BF16 weight and products, F32 gradients");
        facts.put("flops", 2.0 * rows * layer.dy.size(1) * layer.trained.getFirst().size(1));
        return facts;
    }
}
