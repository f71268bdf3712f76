package dev.jotune.autograd.ops;

import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Formulas;

/** Softmax and its relatives over the last axis. */
public final class Softmax {
    private static final Expr X = Expr.input(0);
    private static final Expr SHIFTED = X.minus(X.rowMax().detach());
    private static final Expr LOG_SUM = SHIFTED.exp().rowSum().log();

    private static final MapOp SOFTMAX = MapOp.of("softmax", 1, Formulas.SOFTMAX);
    private static final MapOp LOG_SOFTMAX = MapOp.of("log_softmax", 1, Formulas.LOG_SOFTMAX);
    private static final MapOp LOG_SUM_EXP = MapOp.of("log_sum_exp", 1, X.rowMax().detach().plus(LOG_SUM));

    private Softmax() {}

    /** exp(x - max) / sum; a row of nothing but -infinity gives NaN. */
    public static Var softmax(Var x) {
        return SOFTMAX.apply(x);
    }

    /** Softmax over another axis. */
    public static Var softmax(Var x, int axis) {
        return softmax(x.transpose(axis, -1)).transpose(axis, -1);
    }

    /** log softmax(x). */
    public static Var logSoftmax(Var x) {
        return LOG_SOFTMAX.apply(x);
    }

    /** log sum exp(x): the last axis disappears. */
    public static Var logSumExp(Var x) {
        Var y = LOG_SUM_EXP.apply(x);
        return y.reshape(y.tensor().squeeze(-1).shape());
    }
}
