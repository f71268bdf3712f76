package dev.jotune.peft.weights;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.QuantizedLinear;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Targets;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Storage;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.Dequantize;
import dev.jotune.tensor.quant.SignMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.function.UnaryOperator;

/**
 * BitDelta: Your Fine-Tune May Only Be Worth One Bit (Liu et al., arXiv 2402.10193). Of a fine-tuning each projection keeps the
 * signs of its difference {@code D = W_tuned - W [out, in]} and one scale:
 *
 * <p>{@code W' = W + alpha S}, {@code S = sgn(D)} (0 counts as +), {@code alpha = mean|D|}, which is the scale nearest to D.
 * Further rounds repeat this on what is left, {@code D - alpha S}. Every other weight that differs (embeddings, norms, the head) is
 * kept as it was tuned. The forward is {@code y = W x + alpha (S x)} with S read as bits; {@link Distillation} fits the scales.
 *
 * <p>Attached to the base model by a name, as adapters are: rows of one batch run under different ones
 * ({@code model.seams().rows(names)}), over one base.
 */
public final class BitDelta {
    private final SequencedMap<String, Signs> deltas;
    private final SequencedMap<String, Tensor> kept;

    /**
     * What one projection becomes.
     *
     * @param signs a matrix a round
     * @param scales alpha, {@code [rounds]}
     */
    public record Signs(List<SignMatrix> signs, Var scales) implements Projection {
        @Override
        public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
            Var y = inner.apply(x);
            for (int r = 0; r < signs.size(); r++) {
                y = y.add(QuantizedLinear.apply(x, signs.get(r)).mul(scale(r)));
            }
            return y;
        }

        /** {@code W' = W + sum of alpha_r S_r}. */
        @Override
        public Var weight(Var w) {
            Var sum = w;
            for (int r = 0; r < signs.size(); r++) {
                Tensor s = Dequantize.all(signs.get(r), w.backend(), w.dtype() == DType.F64 ? DType.F64 : DType.F32);
                sum = sum.add(Var.constant(s).mul(scale(r)));
            }
            return sum;
        }

        private Var scale(int round) {
            return scales.slice(0, round, round + 1);
        }
    }

    BitDelta(SequencedMap<String, Signs> deltas, SequencedMap<String, Tensor> kept) {
        this.deltas = Collections.unmodifiableSequencedMap(deltas);
        this.kept = Collections.unmodifiableSequencedMap(kept);
    }

    /**
     * Compresses {@code tuned} against {@code base}, one matrix after another.
     *
     * @param targets the projections that become signs; all others keep their weights
     * @param rounds bits a number
     * @throws AdapterException naming the weight that the two models do not share the shape of
     */
    public static BitDelta between(Backbone base, Backbone tuned, Targets targets, int rounds) {
        if (rounds < 1) {
            throw new AdapterException("rounds is " + rounds + "; each is a bit, and there must be one.");
        }
        Map<String, Parameter> theirs = tuned.seams().parameters();
        base.seams().parameters().forEach((path, p) -> {
            if (!theirs.containsKey(path) || !Arrays.equals(p.shape(), theirs.get(path).shape())) {
                throw new AdapterException("the tuned model has no weight " + path + " of shape " + Arrays.toString(p.shape())
                        + ". Compress a fine-tuning of this very model.");
            }
        });
        SequencedMap<String, Signs> deltas = new LinkedHashMap<>();
        SequencedMap<String, Tensor> kept = new LinkedHashMap<>();
        List<Parameter> done = new ArrayList<>();
        for (LinearLayer layer : base.seams().projections().values()) {
            // A weight that is shared, as a tied head's is, changes at its owner.
            if (matches(targets, layer) && layer.weight().path().equals(layer.path() + ".weight")) {
                deltas.put(layer.path(), signs(base, difference(layer, theirs.get(layer.weight().path())), layer, rounds));
                done.add(layer.weight());
            }
        }
        if (deltas.isEmpty()) {
            throw new AdapterException("the targets " + targets + " match no linear layer of the model. Name modules, or take all-linear.");
        }
        base.seams().parameters().forEach((path, p) -> {
            if (!done.contains(p)) {
                Tensor t = theirs.get(path).base().tensor();
                if (!Arrays.equals(t.toDoubleArray(), p.base().tensor().toDoubleArray())) {
                    kept.put(path, Scope.detach(Tensor.empty(base.backend(), t.dtype(), t.shape())).copyFrom(t));
                }
            }
        });
        return new BitDelta(deltas, kept);
    }

    private static boolean matches(Targets targets, LinearLayer layer) {
        return targets.isAllLinear() ? !layer.path().endsWith("lm_head") : targets.matches(layer.path());
    }

    /** D in the order of the equations, {@code [out, in]}. */
    private static Values difference(LinearLayer layer, Parameter tuned) {
        return Values.of(layer.oriented(tuned.base()).tensor()).minus(Values.of(layer.oriented(layer.weight().base()).tensor()));
    }

    private static Signs signs(Backbone model, Values d, LinearLayer layer, int rounds) {
        List<SignMatrix> signs = new ArrayList<>();
        double[] scales = new double[rounds];
        Values left = d;
        for (int r = 0; r < rounds; r++) {
            double[] sum = {0};
            left.forEachRun((from, n, run) -> sum[0] += Arrays.stream(run, 0, n).map(Math::abs).sum());
            double alpha = sum[0] / left.size();
            scales[r] = alpha;
            signs.add(pack(model, left, layer.out(), layer.in()));
            left = left.map(x -> x - (x >= 0 ? alpha : -alpha));
        }
        return new Signs(signs, Var.parameter(Scope.detach(Tensor.of(model.backend(), model.computeType(), scales, rounds))));
    }

    private static SignMatrix pack(Backbone model, Values d, long rows, long columns) {
        Tensor bits = Scope.detach(Tensor.empty(model.backend(), DType.U8, rows, SignMatrix.rowBytes(columns)));
        // Made on the host: the backend's own memory may be out of its reach.
        Storage staging = HostMemory.allocate(bits.numel());
        MemorySegment memory = staging.host().fill((byte) 0);
        d.forEachRun((from, n, run) -> {
            for (int i = 0; i < n; i++) {
                if (run[i] >= 0) {
                    long column = (from + i) % columns;
                    long at = (from + i) / columns * SignMatrix.rowBytes(columns) + column / Byte.SIZE;
                    memory.set(ValueLayout.JAVA_BYTE, at, (byte) (memory.get(ValueLayout.JAVA_BYTE, at) | 1 << column % Byte.SIZE));
                }
            }
        });
        model.backend().write(bits, memory);
        staging.free();
        return new SignMatrix(rows, columns, bits);
    }

    /**
     * Hangs this on the base model, active beside what is.
     *
     * @throws AdapterException if the model has no such layer or weight; it is then as it was
     */
    public void attach(Backbone model, String name) {
        deltas.forEach((path, s) -> {
            LinearLayer layer = model.seams().projections().get(path);
            if (layer == null || layer.out() != s.signs().getFirst().rows() || layer.in() != s.signs().getFirst().columns()) {
                throw new AdapterException("the model has no layer " + path + " of the shape of " + s.signs().getFirst()
                        + ". The delta was made for another base model.");
            }
        });
        Map<String, Var> overrides = new LinkedHashMap<>();
        kept.forEach((path, t) -> {
            Parameter p = model.seams().parameters().get(path);
            if (p == null || !Arrays.equals(p.shape(), t.shape())) {
                throw new AdapterException("the model has no weight " + path + " of shape " + Arrays.toString(t.shape())
                        + ". The delta was made for another base model.");
            }
            overrides.put(path, Var.constant(Scope.detach(t.to(model.computeType()))));
        });
        model.seams().attach(new Hooks(name, new LinkedHashMap<>(deltas), overrides, Optional.empty(), Map.of(), Map.of()));
    }

    /** Signs and scales by the layer's path. */
    public SequencedMap<String, Signs> deltas() {
        return deltas;
    }

    /** Weights that were tuned and are no projections, by their path. */
    public SequencedMap<String, Tensor> kept() {
        return kept;
    }

    /** The scales, for {@link Distillation}, by the layer's path. */
    public SequencedMap<String, Var> scales() {
        SequencedMap<String, Var> out = new LinkedHashMap<>();
        deltas.forEach((path, s) -> out.put(path, s.scales()));
        return out;
    }

    /** Bytes of one tenant: the bits, four a scale, and what is kept. */
    public long byteSize() {
        long signs = deltas.values().stream().flatMap(d -> d.signs().stream()).mapToLong(s -> s.byteSize() + Float.BYTES).sum();
        return signs + kept.values().stream().mapToLong(t -> t.numel() * t.dtype().byteSize()).sum();
    }
}
