package dev.jotune.tensor.expr;

/**
 * An element-wise expression over input tensors, with reductions along rows (the last axis).
 *
 * <p>Every node is either one value an element, or one value a row: constants, row reductions, row inputs and what is
 * computed from these alone. Nodes may be shared; sharing is kept. Compare nodes by identity: equality walks the tree.
 */
public sealed interface Expr {
    /** Element of input {@code index}. */
    record Input(int index) implements Expr {}

    /** Input {@code index} whose last axis has size 1 while rows are longer: one value a row. */
    record RowInput(int index) implements Expr {}

    /** The same number everywhere. */
    record Const(double value) implements Expr {}

    /** The position within the row, from 0. */
    record Iota() implements Expr {}

    /** One operand. */
    record Unary(UnaryOp op, Expr x) implements Expr {}

    /** Two operands. */
    record Binary(BinaryOp op, Expr a, Expr b) implements Expr {}

    /** {@code a} where {@code condition} is not 0, else {@code b}; the branch not taken does not leak NaN. */
    record Select(Expr condition, Expr a, Expr b) implements Expr {}

    /** Sum along the row. */
    record RowSum(Expr x) implements Expr {}

    /** Largest of the row. */
    record RowMax(Expr x) implements Expr {}

    /** {@code x} with derivative 0. */
    record Detach(Expr x) implements Expr {}

    /** Functions of one number. */
    enum UnaryOp { NEG, ABS, SIGN, EXP, LOG, LOG1P, SQRT, RSQRT, RECIPROCAL, TANH, SIGMOID, ERF, SIN, COS, FLOOR }

    /** Functions of two numbers; comparisons give 1 or 0. */
    enum BinaryOp { ADD, SUB, MUL, DIV, MAX, MIN, POW, LT, LE, GT, GE, EQ }

    static Expr input(int index) {
        return new Input(index);
    }

    static Expr rowInput(int index) {
        return new RowInput(index);
    }

    static Expr of(double value) {
        return new Const(value);
    }

    static Expr select(Expr condition, Expr a, Expr b) {
        return new Select(condition, a, b);
    }

    private static Expr unary(UnaryOp op, Expr x) {
        return x instanceof Const(double v) ? of(Scalar.apply(op, v)) : new Unary(op, x);
    }

    private static Expr binary(BinaryOp op, Expr a, Expr b) {
        return a instanceof Const(double x) && b instanceof Const(double y) ? of(Scalar.apply(op, x, y))
                : new Binary(op, a, b);
    }

    private static boolean is(Expr e, double v) {
        return e instanceof Const(double c) && c == v;
    }

    default Expr plus(Expr o) {
        return is(o, 0) ? this : is(this, 0) ? o : binary(BinaryOp.ADD, this, o);
    }

    default Expr plus(double v) {
        return plus(of(v));
    }

    default Expr minus(Expr o) {
        return is(o, 0) ? this : binary(BinaryOp.SUB, this, o);
    }

    default Expr times(Expr o) {
        if (is(o, 0) || is(this, 0)) {
            return of(0);
        }
        return is(o, 1) ? this : is(this, 1) ? o : binary(BinaryOp.MUL, this, o);
    }

    default Expr times(double v) {
        return times(of(v));
    }

    default Expr over(Expr o) {
        return is(o, 1) ? this : binary(BinaryOp.DIV, this, o);
    }

    default Expr max(Expr o) {
        return binary(BinaryOp.MAX, this, o);
    }

    default Expr min(Expr o) {
        return binary(BinaryOp.MIN, this, o);
    }

    default Expr pow(Expr o) {
        return is(o, 1) ? this : is(o, 2) ? times(this) : binary(BinaryOp.POW, this, o);
    }

    default Expr lt(Expr o) {
        return binary(BinaryOp.LT, this, o);
    }

    default Expr le(Expr o) {
        return binary(BinaryOp.LE, this, o);
    }

    default Expr gt(Expr o) {
        return binary(BinaryOp.GT, this, o);
    }

    default Expr ge(Expr o) {
        return binary(BinaryOp.GE, this, o);
    }

    default Expr eq(Expr o) {
        return binary(BinaryOp.EQ, this, o);
    }

    default Expr neg() {
        return unary(UnaryOp.NEG, this);
    }

    default Expr abs() {
        return unary(UnaryOp.ABS, this);
    }

    default Expr sign() {
        return unary(UnaryOp.SIGN, this);
    }

    default Expr exp() {
        return unary(UnaryOp.EXP, this);
    }

    default Expr log() {
        return unary(UnaryOp.LOG, this);
    }

    default Expr log1p() {
        return unary(UnaryOp.LOG1P, this);
    }

    default Expr sqrt() {
        return unary(UnaryOp.SQRT, this);
    }

    default Expr rsqrt() {
        return unary(UnaryOp.RSQRT, this);
    }

    default Expr reciprocal() {
        return unary(UnaryOp.RECIPROCAL, this);
    }

    default Expr tanh() {
        return unary(UnaryOp.TANH, this);
    }

    default Expr sigmoid() {
        return unary(UnaryOp.SIGMOID, this);
    }

    default Expr erf() {
        return unary(UnaryOp.ERF, this);
    }

    default Expr sin() {
        return unary(UnaryOp.SIN, this);
    }

    default Expr cos() {
        return unary(UnaryOp.COS, this);
    }

    default Expr floor() {
        return unary(UnaryOp.FLOOR, this);
    }

    default Expr rowSum() {
        return new RowSum(this);
    }

    default Expr rowMax() {
        return new RowMax(this);
    }

    /** The same value, invisible to derivatives. */
    default Expr detach() {
        return new Detach(this);
    }
}
