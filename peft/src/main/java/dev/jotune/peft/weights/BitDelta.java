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
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.Dequantize;
import dev.jotune.tensor.quant.SignMatrix;
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
        return new SignCompression(base, tuned, rounds).of(targets);
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
