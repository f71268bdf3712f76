package dev.jotune.autograd.optim;

import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;

/** The gradient transforms there are; chain them with {@link #chain} or {@link GradientTransform#then}. */
public final class GradientTransforms {
    private static final Expr G = Expr.input(0);
    private static final Program PRODUCT = Program.of(G.times(Expr.input(1)));
    private static final Program CLAMP = Program.of(G.max(Expr.rowInput(1).neg()).min(Expr.rowInput(1)));
    private static final Program DECAY = Program.of(G.plus(Expr.input(1).times(Expr.rowInput(2))));
    private static final Program CENTRE = Program.of(G.minus(Expr.rowInput(1).times(Expr.rowInput(2))));

    private GradientTransforms() {}

    /** Transforms one after the other. */
    public static GradientTransform chain(GradientTransform... links) {
        return new TransformChain(List.of(links));
    }

    private static GradientTransform each(UnaryOperator<Trainable> change) {
        return (step, trainables) -> trainables.stream().map(change).toList();
    }

    /**
     * Passes on only what a selector selects. The others are as if they were not given: not even weight decay
     * touches them, and the optimiser forgets them.
     */
    public static GradientTransform select(TrainableSelector selector) {
        return (step, trainables) -> {
            Set<String> names = new LinkedHashSet<>();
            trainables.forEach(t -> names.add(t.name()));
            Set<String> selected = selector.select(step, names);
            return trainables.stream().filter(t -> selected.contains(t.name())).toList();
        };
    }

    /**
     * Multiplies gradients by masks of their shape (or one that stretches to it), of any type; parameters without a
     * mask pass. A masked element has gradient 0, but momentum from before and decoupled weight decay still move it.
     */
    public static GradientTransform mask(Map<String, Tensor> masks) {
        Map<String, Tensor> own = Map.copyOf(masks);
        return each(t -> {
            Tensor mask = own.get(t.name());
            return mask == null ? t : t.withGradient(
                    Compute.map(PRODUCT, new double[0], t.gradient(), mask.expand(t.gradient().shape())));
        });
    }

    /** Clips by the total p-norm of all gradients together; p is 1, 2, infinity or any other above 0. */
    public static ClipByNorm clipByNorm(double maxNorm, double p) {
        return new ClipByNorm(maxNorm, p);
    }

    /** Clips by the total Euclidean norm. */
    public static ClipByNorm clipByNorm(double maxNorm) {
        return new ClipByNorm(maxNorm, 2);
    }

    /** Clamps every element to [-limit, limit]. */
    public static GradientTransform clipByValue(double limit) {
        if (!(limit >= 0)) {
            throw new IllegalArgumentException("clipping to [-" + limit + ", " + limit + "] is not possible. "
                    + "Give a limit of 0 or more.");
        }
        return each(t -> t.withGradient(Compute.map(CLAMP, new double[] {limit}, t.gradient())));
    }

    /** Adds {@code coefficient} times the parameter: the gradient of an L2 penalty. */
    public static GradientTransform weightDecay(double coefficient) {
        return each(t -> t.withGradient(
                Compute.map(DECAY, new double[] {coefficient}, t.gradient(), t.parameter())));
    }

    /** Multiplies every gradient by {@code factor}; -1 turns descent into ascent. */
    public static GradientTransform scale(double factor) {
        return each(t -> t.withGradient(Compute.scale(t.gradient(), factor)));
    }

    /**
     * Subtracts from the gradient of a parameter of two axes or more its mean over all axes but the first, so that
     * each output's gradient sums to 0 (Yong et al., arXiv 2004.01461, equation 1).
     */
    public static GradientTransform centralise() {
        return each(t -> t.gradient().rank() < 2 || t.gradient().numel() == 0 ? t
                : t.withGradient(centred(t.gradient())));
    }

    private static Tensor centred(Tensor gradient) {
        Tensor rows = gradient.reshape(gradient.size(0), -1);
        Tensor sums = Tensor.empty(gradient.backend(), Compute.type(gradient), rows.size(0), 1);
        gradient.backend().reduce(Reduction.SUM, rows, sums);
        return Compute.map(CENTRE, new double[] {1.0 / rows.size(1)}, rows, sums).reshape(gradient.shape());
    }

    /** Divides each gradient by its own Euclidean norm plus {@code eps}. */
    public static GradientTransform normalise(double eps) {
        return each(t -> t.withGradient(Compute.scale(t.gradient(),
                1 / (Math.sqrt(Compute.squares(t.gradient())) + eps))));
    }

    /**
     * Holds gradients back and passes on the mean of every {@code n}, of those parameters that the n-th step gives.
     */
    public static GradientTransform accumulate(int n) {
        return new Accumulate(n);
    }
}
