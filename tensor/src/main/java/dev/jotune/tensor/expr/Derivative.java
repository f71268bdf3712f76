package dev.jotune.tensor.expr;

import dev.jotune.tensor.expr.Expr.BinaryOp;
import dev.jotune.tensor.expr.Expr.UnaryOp;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reverse-mode differentiation of an expression, giving expressions.
 *
 * <p>A value that is constant along the row feels the row as a whole: what flows back into it from elements is summed
 * along the row.
 */
public final class Derivative {
    private final Map<Expr, Expr> adjoint = new IdentityHashMap<>();
    private final Map<Expr, Boolean> rowConstant = new IdentityHashMap<>();

    private Derivative() {}

    /**
     * The vector-Jacobian product: for each input i below {@code inputs}, the expression of
     * {@code sum over elements of upstream * d y / d input_i}; a constant 0 where y does not depend on it.
     *
     * @param upstream the gradient by y; a {@link Expr.RowInput} where y is constant along rows
     */
    public static List<Expr> of(Expr y, int inputs, Expr upstream) {
        return new Derivative().run(y, inputs, upstream);
    }

    /** True if {@code e} has one value a row. */
    public static boolean isRowConstant(Expr e) {
        return new Derivative().constant(e);
    }

    private List<Expr> run(Expr y, int inputs, Expr upstream) {
        List<Expr> order = new ArrayList<>();
        sort(y, order, new IdentityHashMap<>());
        add(y, upstream, !constant(upstream));
        Expr[] grads = new Expr[inputs];
        for (int i = order.size() - 1; i >= 0; i--) {
            Expr e = order.get(i);
            Expr g = adjoint.get(e);
            if (g == null) {
                continue;
            }
            if (e instanceof Expr.Input(int k) && k < inputs) {
                grads[k] = grads[k] == null ? g : grads[k].plus(g);
            } else if (e instanceof Expr.RowInput(int k) && k < inputs) {
                grads[k] = grads[k] == null ? g : grads[k].plus(g);
            } else {
                push(e, g);
            }
        }
        List<Expr> out = new ArrayList<>();
        for (Expr g : grads) {
            out.add(g == null ? Expr.of(0) : g);
        }
        return out;
    }

    private static void sort(Expr e, List<Expr> order, Map<Expr, Boolean> seen) {
        if (seen.put(e, true) != null) {
            return;
        }
        switch (e) {
            case Expr.Unary(UnaryOp op, Expr x) -> sort(x, order, seen);
            case Expr.Binary(BinaryOp op, Expr a, Expr b) -> {
                sort(a, order, seen);
                sort(b, order, seen);
            }
            case Expr.Select(Expr c, Expr a, Expr b) -> {
                sort(c, order, seen);
                sort(a, order, seen);
                sort(b, order, seen);
            }
            case Expr.RowSum(Expr x) -> sort(x, order, seen);
            case Expr.RowMax(Expr x) -> sort(x, order, seen);
            case Expr.Detach d -> { }
            case Expr.Input i -> { }
            case Expr.RowInput i -> { }
            case Expr.Const c -> { }
            case Expr.Iota i -> { }
        }
        order.add(e);
    }

    /** @param perElement whether the value that uses {@code e} has one gradient an element, not one a row */
    private void add(Expr e, Expr g, boolean perElement) {
        if (e instanceof Expr.Const || e instanceof Expr.Iota || e instanceof Expr.Detach) {
            return;
        }
        Expr flow = constant(e) && perElement ? sumOfRow(g) : g;
        adjoint.merge(e, flow, Expr::plus);
    }

    private static Expr sumOfRow(Expr g) {
        return g instanceof Expr.Const(double v) && v == 0 ? g : g.rowSum();
    }

    private void push(Expr e, Expr g) {
        boolean wide = !constant(e);
        switch (e) {
            case Expr.Unary(UnaryOp op, Expr x) -> add(x, unary(op, x, e, g), wide);
            case Expr.Binary(BinaryOp op, Expr a, Expr b) -> binary(op, a, b, e, g, wide);
            case Expr.Select(Expr c, Expr a, Expr b) -> {
                add(a, Expr.select(c, g, Expr.of(0)), wide);
                add(b, Expr.select(c, Expr.of(0), g), wide);
            }
            // A reduction uses every element, also of a value that is the same for all of them.
            case Expr.RowSum(Expr x) -> add(x, g, true);
            case Expr.RowMax(Expr x) -> {
                Expr hit = x.eq(e);
                add(x, g.times(hit).over(hit.rowSum()), true);
            }
            default -> { }
        }
    }

    private static Expr unary(UnaryOp op, Expr x, Expr y, Expr g) {
        return switch (op) {
            case NEG -> g.neg();
            case ABS -> g.times(x.sign());
            case SIGN, FLOOR -> Expr.of(0);
            case EXP -> g.times(y);
            case LOG -> g.over(x);
            case LOG1P -> g.over(x.plus(1));
            case SQRT -> g.times(0.5).over(y);
            case RSQRT -> g.times(y).times(y).times(y).times(-0.5);
            case RECIPROCAL -> g.times(y).times(y).neg();
            case TANH -> g.times(Expr.of(1).minus(y.times(y)));
            case SIGMOID -> g.times(y).times(Expr.of(1).minus(y));
            case ERF -> g.times(x.times(x).neg().exp()).times(2 / Math.sqrt(Math.PI));
            case SIN -> g.times(x.cos());
            case COS -> g.times(x.sin()).neg();
        };
    }

    private void binary(BinaryOp op, Expr a, Expr b, Expr y, Expr g, boolean wide) {
        switch (op) {
            case ADD -> {
                add(a, g, wide);
                add(b, g, wide);
            }
            case SUB -> {
                add(a, g, wide);
                add(b, g.neg(), wide);
            }
            case MUL -> {
                add(a, g.times(b), wide);
                add(b, g.times(a), wide);
            }
            case DIV -> {
                add(a, g.over(b), wide);
                add(b, g.times(y).over(b).neg(), wide);
            }
            // Of equals each takes half, as torch does.
            case MAX, MIN -> {
                Expr first = op == BinaryOp.MAX ? a.gt(b) : a.lt(b);
                Expr share = first.plus(a.eq(b).times(0.5));
                add(a, g.times(share), wide);
                add(b, g.times(Expr.of(1).minus(share)), wide);
            }
            case POW -> {
                add(a, g.times(b).times(a.pow(b.minus(Expr.of(1)))), wide);
                if (!(b instanceof Expr.Const)) {
                    add(b, g.times(y).times(Expr.select(a.gt(Expr.of(0)), a.log(), Expr.of(0))), wide);
                }
            }
            case LT, LE, GT, GE, EQ -> { }
        }
    }

    private boolean constant(Expr e) {
        Boolean known = rowConstant.get(e);
        if (known != null) {
            return known;
        }
        boolean c = switch (e) {
            case Expr.Const k -> true;
            case Expr.RowInput i -> true;
            case Expr.RowSum s -> true;
            case Expr.RowMax m -> true;
            case Expr.Input i -> false;
            case Expr.Iota i -> false;
            case Expr.Unary(UnaryOp op, Expr x) -> constant(x);
            case Expr.Binary(BinaryOp op, Expr a, Expr b) -> constant(a) && constant(b);
            case Expr.Select(Expr k, Expr a, Expr b) -> constant(k) && constant(a) && constant(b);
            case Expr.Detach(Expr x) -> constant(x);
        };
        rowConstant.put(e, c);
        return c;
    }
}
