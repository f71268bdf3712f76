package dev.jotune.tensor.expr;

/**
 * Expressions that whole libraries share: the definitions of activations and of softmax. Operations are made of them,
 * and a backend that has a kernel for one recognises the program by them.
 */
public final class Formulas {
    private static final Expr X = Expr.input(0);
    private static final Expr UP = Expr.input(1);
    private static final Expr SHIFTED = X.minus(X.rowMax().detach());
    private static final Expr TOTAL = SHIFTED.exp().rowSum();
    private static final Expr NOTHING = Expr.of(Double.NEGATIVE_INFINITY);

    /** x sigmoid(x). */
    public static final Expr SILU = X.times(X.sigmoid());
    /** x Phi(x) (Hendrycks and Gimpel, arXiv 1606.08415). */
    public static final Expr GELU = gelu(X);
    /** GELU's tanh form. */
    public static final Expr GELU_TANH = geluTanh(X);
    /** silu(gate) up (Shazeer, arXiv 2002.05202); inputs gate, up. */
    public static final Expr SWIGLU = SILU.times(UP);
    /** geluTanh(gate) up; inputs gate, up. */
    public static final Expr GEGLU_TANH = GELU_TANH.times(UP);
    /** exp(x - max) / sum; a row of nothing but -infinity gives NaN. */
    public static final Expr SOFTMAX = SHIFTED.exp().over(TOTAL);
    /** log softmax(x). Nothing flows back from an output of -infinity. */
    public static final Expr LOG_SOFTMAX = Expr.select(X.gt(NOTHING), SHIFTED.minus(TOTAL.log()), NOTHING);
    /** The cross-entropy of a row of logits; inputs: logits, the row's label, the row's weight, 0 where it is ignored. */
    public static final Expr CROSS_ENTROPY = crossEntropy(X);

    private Formulas() {}

    private static Expr gelu(Expr x) {
        return x.times(0.5).times(x.times(Math.sqrt(0.5)).erf().plus(1));
    }

    private static Expr geluTanh(Expr x) {
        // Clamped so that x^3 cannot overflow: beyond 20 the tanh is 1 to the last bit.
        Expr c = x.max(Expr.of(-20)).min(Expr.of(20));
        Expr inner = c.plus(c.times(c).times(c).times(0.044715)).times(Math.sqrt(2 / Math.PI));
        return x.times(0.5).times(inner.tanh().plus(1));
    }

    /** {@code -log p(label)}; only the label's logit is read, so that -infinity elsewhere does no harm. */
    public static Expr negativeLogLikelihood(Expr logits) {
        Expr shifted = logits.minus(logits.rowMax().detach());
        Expr label = Expr.select(new Expr.Iota().eq(Expr.rowInput(1)), shifted, Expr.of(0)).rowSum();
        return shifted.exp().rowSum().log().minus(label);
    }

    /** {@link #CROSS_ENTROPY} of logits that are an expression themselves. */
    public static Expr crossEntropy(Expr logits) {
        Expr weight = Expr.rowInput(2);
        return Expr.select(weight.eq(Expr.of(0)), Expr.of(0), negativeLogLikelihood(logits).times(weight));
    }
}
