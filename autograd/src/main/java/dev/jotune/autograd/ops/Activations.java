package dev.jotune.autograd.ops;

import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Formulas;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.UnaryOperator;

/** Activation functions: expressions, from which kernels and derivatives follow. */
public final class Activations {
    private static final Expr X = Expr.input(0);
    private static final Expr ZERO = Expr.of(0);

    private static final MapOp SIGMOID = MapOp.of("sigmoid", 1, X.sigmoid());
    private static final MapOp TANH = MapOp.of("tanh", 1, X.tanh());
    private static final MapOp SILU = MapOp.of("silu", 1, Formulas.SILU);
    private static final MapOp GELU = MapOp.of("gelu", 1, Formulas.GELU);
    private static final MapOp GELU_TANH = MapOp.of("gelu_tanh", 1, Formulas.GELU_TANH);
    private static final MapOp QUICK_GELU = MapOp.of("quick_gelu", 1, X.times(X.times(1.702).sigmoid()));
    private static final MapOp RELU = MapOp.of("relu", 1, relu(X));
    private static final MapOp RELU_SQUARED = MapOp.of("relu_squared", 1, relu(X).times(relu(X)));
    private static final MapOp LEAKY_RELU = MapOp.of("leaky_relu", 1, Expr.select(X.gt(ZERO), X, X.times(0.01)));
    private static final MapOp ELU = MapOp.of("elu", 1, Expr.select(X.gt(ZERO), X, expm1(X)));
    private static final MapOp SOFTPLUS = MapOp.of("softplus", 1, softplus(X));
    private static final MapOp LOG_SIGMOID = MapOp.of("log_sigmoid", 1, X.min(ZERO).minus(X.abs().neg().exp().log1p()));
    private static final MapOp MISH = MapOp.of("mish", 1, X.times(softplus(X).tanh()));
    private static final MapOp HARD_SIGMOID = MapOp.of("hard_sigmoid", 1, hardSigmoid(X));
    private static final MapOp SWIGLU = MapOp.of("swiglu", 2, Formulas.SWIGLU);
    private static final MapOp SOFTCAP = MapOp.of("softcap", 2, X.over(Expr.rowInput(1)).tanh().times(Expr.rowInput(1)));
    private static final MapOp GEGLU_TANH = MapOp.of("geglu_tanh", 2, Formulas.GEGLU_TANH);

    private static final SequencedMap<String, UnaryOperator<Var>> BY_NAME = new LinkedHashMap<>();

    static {
        BY_NAME.put("silu", Activations::silu);
        BY_NAME.put("swish", Activations::silu);
        BY_NAME.put("gelu", Activations::gelu);
        BY_NAME.put("gelu_new", Activations::geluTanh);
        BY_NAME.put("gelu_pytorch_tanh", Activations::geluTanh);
        BY_NAME.put("gelu_fast", Activations::geluTanh);
        BY_NAME.put("quick_gelu", Activations::quickGelu);
        BY_NAME.put("relu", Activations::relu);
        BY_NAME.put("relu2", Activations::reluSquared);
        BY_NAME.put("tanh", Activations::tanh);
        BY_NAME.put("sigmoid", Activations::sigmoid);
        BY_NAME.put("mish", Activations::mish);
    }

    private Activations() {}

    private static Expr relu(Expr x) {
        return Expr.select(x.gt(ZERO), x, ZERO);
    }

    /** exp(x) - 1 for x at most 0, without cancellation: 2 t / (1 - t) with t = tanh(x / 2). */
    private static Expr expm1(Expr x) {
        // Not min(x, 0): at 0 that would halve the slope.
        Expr t = Expr.select(x.gt(ZERO), ZERO, x).times(0.5).tanh();
        return t.times(2).over(Expr.of(1).minus(t));
    }

    private static Expr softplus(Expr x) {
        Expr small = x.min(Expr.of(20)).exp().log1p();
        return Expr.select(x.gt(Expr.of(20)), x, small);
    }

    private static Expr hardSigmoid(Expr x) {
        Expr line = x.times(1.0 / 6).plus(0.5);
        return Expr.select(x.gt(Expr.of(-3)), Expr.select(x.lt(Expr.of(3)), line, Expr.of(1)), ZERO);
    }

    /** 1 / (1 + exp(-x)). */
    public static Var sigmoid(Var x) {
        return SIGMOID.apply(x);
    }

    public static Var tanh(Var x) {
        return TANH.apply(x);
    }

    /** x sigmoid(x). */
    public static Var silu(Var x) {
        return SILU.apply(x);
    }

    /** x Phi(x) with the error function. */
    public static Var gelu(Var x) {
        return GELU.apply(x);
    }

    /** GELU's tanh form. */
    public static Var geluTanh(Var x) {
        return GELU_TANH.apply(x);
    }

    /** x sigmoid(1.702 x). */
    public static Var quickGelu(Var x) {
        return QUICK_GELU.apply(x);
    }

    /** max(x, 0), slope 0 at 0. */
    public static Var relu(Var x) {
        return RELU.apply(x);
    }

    /** max(x, 0)^2. */
    public static Var reluSquared(Var x) {
        return RELU_SQUARED.apply(x);
    }

    /** x, or 0.01 x below 0. */
    public static Var leakyRelu(Var x) {
        return LEAKY_RELU.apply(x);
    }

    /** x, or exp(x) - 1 below 0. */
    public static Var elu(Var x) {
        return ELU.apply(x);
    }

    /** log(1 + exp(x)), linear above 20. */
    public static Var softplus(Var x) {
        return SOFTPLUS.apply(x);
    }

    /** log(sigmoid(x)). */
    public static Var logSigmoid(Var x) {
        return LOG_SIGMOID.apply(x);
    }

    /** x tanh(softplus(x)). */
    public static Var mish(Var x) {
        return MISH.apply(x);
    }

    /** clamp(x / 6 + 1 / 2, 0, 1). */
    public static Var hardSigmoid(Var x) {
        return HARD_SIGMOID.apply(x);
    }

    /** silu(gate) up (Shazeer, arXiv 2002.05202). */
    public static Var swiglu(Var gate, Var up) {
        return SWIGLU.apply(gate, up);
    }

    /** geluTanh(gate) up. */
    public static Var gegluTanh(Var gate, Var up) {
        return GEGLU_TANH.apply(gate, up);
    }

    /** c tanh(x / c), which stays within c (Gemma Team, arXiv 2408.00118). */
    public static Var softcap(Var x, double c) {
        return SOFTCAP.apply(x, x.scalarLike(c));
    }

    /** The names that {@link #byName} knows. */
    public static Set<String> names() {
        return Collections.unmodifiableSet(BY_NAME.keySet());
    }

    /** Whether {@link #byName} knows a name. */
    public static boolean isKnown(String name) {
        return BY_NAME.containsKey(name);
    }

    /**
     * An activation by the name configurations use ({@code hidden_act}).
     *
     * @throws IllegalArgumentException for a name that is not known
     */
    public static Var byName(String name, Var x) {
        UnaryOperator<Var> f = BY_NAME.get(name);
        if (f == null) {
            throw new IllegalArgumentException("unknown activation '" + name + "' (hidden_act). Known: "
                    + String.join(", ", BY_NAME.keySet()));
        }
        return f.apply(x);
    }

    /** {@code act(gate) up} by the activation's name, in one operation where there is one. */
    public static Var gated(String name, Var gate, Var up) {
        return switch (name) {
            case "silu", "swish" -> swiglu(gate, up);
            case "gelu_new", "gelu_pytorch_tanh", "gelu_fast" -> gegluTanh(gate, up);
            default -> byName(name, gate).mul(up);
        };
    }
}
