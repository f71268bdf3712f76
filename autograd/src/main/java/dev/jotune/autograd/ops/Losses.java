package dev.jotune.autograd.ops;

import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.expr.Expr;
import java.util.Arrays;

/** Losses between two tensors of one shape; each is a scalar. */
public final class Losses {
    private static final Expr X = Expr.input(0);
    private static final Expr Y = Expr.input(1);
    private static final Expr P = Expr.rowInput(2);
    private static final Expr ZERO = Expr.of(0);

    private static final MapOp SQUARED = MapOp.of("mse", 2, X.minus(Y).times(X.minus(Y)));
    private static final MapOp HUBER = huber();
    private static final MapOp BCE = bce();
    private static final MapOp KL = kl();
    private static final MapOp COSINE = cosineDistance();

    private Losses() {}

    private static MapOp huber() {
        Expr d = X.minus(Y).abs();
        return MapOp.of("huber", 3, Expr.select(d.lt(P), d.times(d).times(0.5).over(P), d.minus(P.times(0.5))));
    }

    /** {@code (1 - y) x + (1 + (w - 1) y) log(1 + exp(-x))}, the logarithm in the form that does not overflow. */
    private static MapOp bce() {
        Expr softplus = X.abs().neg().exp().log1p().plus(X.neg().max(ZERO));
        Expr weight = P.minus(Expr.of(1)).times(Y).plus(1);
        return MapOp.of("bce_with_logits", 3, Expr.of(1).minus(Y).times(X).plus(weight.times(softplus)));
    }

    private static MapOp kl() {
        Expr logP = logSoftmax(Y);
        return MapOp.of("kl_divergence", 2, logP.exp().times(logP.minus(logSoftmax(X))).rowSum());
    }

    private static Expr logSoftmax(Expr x) {
        Expr shifted = x.minus(x.rowMax().detach());
        return shifted.minus(shifted.exp().rowSum().log());
    }

    private static MapOp cosineDistance() {
        Expr lengths = X.times(X).rowSum().sqrt().max(P).times(Y.times(Y).rowSum().sqrt().max(P));
        return MapOp.of("cosine_distance", 3, Expr.of(1).minus(X.times(Y).rowSum().over(lengths)));
    }

    /** Mean of (x - y)^2. */
    public static Var mse(Var x, Var y) {
        same("mse", x, y);
        return SQUARED.apply(x, y).mean();
    }

    /** Mean of d^2 / (2 beta) where d = |x - y| is below beta, else d - beta / 2 (PyTorch's smooth L1). */
    public static Var huber(Var x, Var y, double beta) {
        same("huber", x, y);
        if (!(beta > 0)) {
            throw new IllegalArgumentException("huber's beta " + beta + " is not positive. Pass where the parabola ends.");
        }
        return HUBER.apply(x, y, x.scalarLike(beta)).mean();
    }

    /**
     * Mean binary cross-entropy.
     *
     * @param logits before the sigmoid
     * @param targets probabilities of the same shape
     * @param positiveWeight factor of the positive class, 1 for none
     */
    public static Var bceWithLogits(Var logits, Var targets, double positiveWeight) {
        same("bceWithLogits", logits, targets);
        return BCE.apply(logits, targets, logits.scalarLike(positiveWeight)).mean();
    }

    /**
     * The mean over rows of {@code KL(softmax(targetLogits / t) || softmax(logits / t)) t^2}: with t = 1 the plain
     * divergence, else the loss of distillation (Hinton et al., arXiv 1503.02531).
     *
     * @param logits {@code [.., V]}
     * @param targetLogits the same shape
     */
    public static Var klDivergence(Var logits, Var targetLogits, double temperature) {
        same("klDivergence", logits, targetLogits);
        if (!(temperature > 0)) {
            throw new IllegalArgumentException("temperature " + temperature + " is not positive. Pass 1 for none.");
        }
        return KL.apply(logits.mul(1 / temperature), targetLogits.mul(1 / temperature)).mean()
                .mul(temperature * temperature);
    }

    /** The mean over rows of {@code 1 - x y / (max(|x|, eps) max(|y|, eps))}. */
    public static Var cosine(Var x, Var y, double eps) {
        same("cosine", x, y);
        return COSINE.apply(x, y, x.scalarLike(eps)).mean();
    }

    private static void same(String op, Var x, Var y) {
        if (!Arrays.equals(x.shape(), y.shape())) {
            throw new IllegalArgumentException(op + " needs two tensors of one shape, got " + Arrays.toString(x.shape())
                    + " and " + Arrays.toString(y.shape()));
        }
    }
}
