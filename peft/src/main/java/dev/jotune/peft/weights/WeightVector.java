package dev.jotune.peft.weights;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.Parameter;
import dev.jotune.peft.Adapter;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.BinaryOperator;
import java.util.function.UnaryOperator;

/**
 * A difference of weights by parameter path: a task vector, {@code tau = W_tuned - W_base} (Ilharco et al., Editing
 * Models with Task Arithmetic, arXiv 2212.04089). Paths that are absent are zero.
 *
 * <p>{@code base + 0.7 tau_a + 0.3 tau_b} is {@code a.times(0.7).plus(b.times(0.3)).applyTo(model)}.
 */
public final class WeightVector {
    private final SequencedMap<String, Tensor> values;

    private WeightVector(SequencedMap<String, Tensor> values) {
        this.values = Collections.unmodifiableSequencedMap(values);
    }

    /** {@code tuned - base}, for the paths of {@code tuned}. */
    public static WeightVector between(Map<String, Tensor> base, Map<String, Tensor> tuned) {
        SequencedMap<String, Tensor> out = new LinkedHashMap<>();
        tuned.forEach((path, t) -> {
            Tensor b = base.get(path);
            if (b == null || !Arrays.equals(b.shape(), t.shape())) {
                throw new IllegalArgumentException("the base has no weight " + path + " of shape " + Arrays.toString(t.shape())
                        + "; the two are not of one model.");
            }
            out.put(path, compute(() -> Var.constant(t).sub(Var.constant(b.to(t.backend())))));
        });
        return new WeightVector(out);
    }

    /** What merging {@code adapter} would add to its model's weights: {@code g(W, theta) - W}. */
    public static WeightVector of(Adapter adapter) {
        Map<String, Parameter> parameters = adapter.model().seams().parameters();
        Map<String, Tensor> tuned = adapter.mergedWeights();
        Map<String, Tensor> base = new LinkedHashMap<>();
        tuned.keySet().forEach(path -> base.put(path, parameters.get(path).base().tensor()));
        return between(base, tuned);
    }

    /** The differences by parameter path. */
    public SequencedMap<String, Tensor> values() {
        return values;
    }

    /** {@code factor tau}; -1 negates: what was learnt is taken away. */
    public WeightVector times(double factor) {
        return mapped(v -> v.mul(factor));
    }

    /** {@code tau + other}. */
    public WeightVector plus(WeightVector other) {
        return joined(other, Var::add);
    }

    /** {@code tau - other}. */
    public WeightVector minus(WeightVector other) {
        return plus(other.times(-1));
    }

    private WeightVector mapped(UnaryOperator<Var> f) {
        SequencedMap<String, Tensor> out = new LinkedHashMap<>();
        values.forEach((path, t) -> out.put(path, compute(() -> f.apply(Var.constant(t)))));
        return new WeightVector(out);
    }

    private WeightVector joined(WeightVector other, BinaryOperator<Var> f) {
        SequencedMap<String, Tensor> out = new LinkedHashMap<>(values);
        other.values.forEach((path, t) -> out.merge(path, t, (a, b) -> compute(() -> f.apply(Var.constant(a), Var.constant(b)))));
        return new WeightVector(out);
    }

    /**
     * Adds this to the model's own weights.
     *
     * @return what undoes it: the weights that were there, the same bytes
     * @throws IllegalArgumentException if the model has no such weight; nothing is changed then
     */
    public Runnable applyTo(Backbone model) {
        Map<String, Parameter> parameters = model.seams().parameters();
        Map<Parameter, Var> sums = new LinkedHashMap<>();
        values.forEach((path, t) -> {
            Parameter p = parameters.get(path);
            if (p == null || !Arrays.equals(p.shape(), t.shape())) {
                throw new IllegalArgumentException("the model has no weight " + path + " of shape " + Arrays.toString(t.shape())
                        + ". Was the vector made for another model?");
            }
            sums.put(p, Var.constant(compute(() -> p.base().add(Var.constant(t)))));
        });
        Map<Parameter, Parameter.Content> before = new LinkedHashMap<>();
        sums.forEach((p, v) -> {
            before.put(p, p.content());
            p.replace(v);
        });
        return () -> before.forEach(Parameter::restore);
    }

    /** The L2 norm over all weights. */
    public double norm() {
        double sum = 0;
        for (Tensor t : values.values()) {
            sum += compute(() -> Var.constant(t).square().sum()).item();
        }
        return Math.sqrt(sum);
    }

    /** A result that outlives the scope it is computed in. */
    private static Tensor compute(java.util.function.Supplier<Var> f) {
        try (Scope scope = Scope.open()) {
            return Scope.detach(Recording.off(f).tensor());
        }
    }
}
