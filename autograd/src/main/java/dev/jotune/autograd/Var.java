package dev.jotune.autograd;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;

/**
 * A tensor that remembers how it was made, so that {@link Gradients} can go back.
 *
 * <p>Operations are methods and read as mathematics; all check shapes at the call. Operands stretch to a common shape
 * as in NumPy. Results compute in F32, or in F64 where an operand is F64.
 */
public final class Var {
    private static final Expr X = Expr.input(0);
    private static final Expr Y = Expr.input(1);
    private static final MapOp ADD = MapOp.of("add", 2, X.plus(Y));
    private static final MapOp SUB = MapOp.of("sub", 2, X.minus(Y));
    private static final MapOp MUL = MapOp.of("mul", 2, X.times(Y));
    private static final MapOp DIV = MapOp.of("div", 2, X.over(Y));
    private static final MapOp ADD_SCALED = MapOp.of("add_scaled", 3, X.plus(Y.times(Expr.rowInput(2))));
    private static final MapOp NEG = MapOp.of("neg", 1, X.neg());
    private static final MapOp EXP = MapOp.of("exp", 1, X.exp());
    private static final MapOp LOG = MapOp.of("log", 1, X.log());
    private static final MapOp SQRT = MapOp.of("sqrt", 1, X.sqrt());
    private static final MapOp RSQRT = MapOp.of("rsqrt", 1, X.rsqrt());
    private static final MapOp SQUARE = MapOp.of("square", 1, X.times(X));

    /** Null for an output of a node. */
    private final Tensor tensor;
    private final Node node;
    private final int index;
    private final boolean requiresGrad;

    /** A value that was given. */
    private Var(Tensor tensor, boolean requiresGrad) {
        this.tensor = tensor;
        this.node = null;
        this.index = 0;
        this.requiresGrad = requiresGrad;
    }

    /** An output of {@code node}, which holds it. */
    Var(Node node, int index) {
        this.tensor = null;
        this.node = node;
        this.index = index;
        this.requiresGrad = true;
    }

    /** A value that no gradient flows into. */
    public static Var constant(Tensor tensor) {
        return new Var(tensor, false);
    }

    /**
     * A leaf that gradients may be asked for.
     *
     * @throws IllegalArgumentException for integer tensors
     */
    public static Var parameter(Tensor tensor) {
        if (!tensor.dtype().isFloating()) {
            throw new IllegalArgumentException(tensor + " cannot have a gradient: its type is not floating");
        }
        return new Var(tensor, true);
    }

    /** A scalar constant like {@code this}: same backend and computing type. */
    public Var scalarLike(double value) {
        return constant(Tensor.full(backend(), Types.compute(dtype()), value));
    }

    public Tensor tensor() {
        return node == null ? tensor : node.output(index);
    }

    /** The tensor for its shape, type and identity alone: its memory may be gone. */
    Tensor outline() {
        return node == null ? tensor : node.outline(index);
    }

    /** Whether gradients flow into or through this. */
    public boolean requiresGrad() {
        return requiresGrad;
    }

    Node node() {
        return node;
    }

    int index() {
        return index;
    }

    public Backend backend() {
        return outline().backend();
    }

    public DType dtype() {
        return outline().dtype();
    }

    public long[] shape() {
        return outline().shape();
    }

    public int rank() {
        return outline().rank();
    }

    public long size(int axis) {
        return outline().size(axis);
    }

    /** The value of a scalar. */
    public double item() {
        return tensor().item();
    }

    /** The same value, cut off from how it was made. */
    public Var detach() {
        return constant(tensor());
    }

    // ---- arithmetic ----

    public Var add(Var o) {
        return ADD.apply(this, o);
    }

    public Var add(double v) {
        return ADD.apply(this, scalarLike(v));
    }

    /** {@code this + factor o}, in one pass. */
    public Var addScaled(Var o, double factor) {
        // In the type of the sum: an F32 factor of an F64 operand would cost it its digits.
        return factor == 1 ? add(o) : ADD_SCALED.apply(this, o, constant(Tensor.full(backend(), Types.of(this, o), factor)));
    }

    public Var sub(Var o) {
        return SUB.apply(this, o);
    }

    public Var mul(Var o) {
        return MUL.apply(this, o);
    }

    public Var mul(double v) {
        return v == 1 ? this : MUL.apply(this, scalarLike(v));
    }

    public Var div(Var o) {
        return DIV.apply(this, o);
    }

    public Var neg() {
        return NEG.apply(this);
    }

    public Var exp() {
        return EXP.apply(this);
    }

    public Var log() {
        return LOG.apply(this);
    }

    public Var sqrt() {
        return SQRT.apply(this);
    }

    public Var rsqrt() {
        return RSQRT.apply(this);
    }

    public Var square() {
        return SQUARE.apply(this);
    }

    /** The matrix product of the last two axes; leading axes stretch. {@code [.., M, K] [.., K, N] -> [.., M, N]}. */
    public Var matmul(Var o) {
        return Primitives.matmul(this, o);
    }

    // ---- reductions ----

    /** The sum of all elements, a scalar of shape []. */
    public Var sum() {
        return sumTo(new long[0]);
    }

    /** The mean of all elements. */
    public Var mean() {
        return sum().mul(1.0 / Math.max(1, outline().numel()));
    }

    /** The sum along axes, which disappear. */
    public Var sum(int... axes) {
        return Primitives.sum(this, axes);
    }

    /** The sum over the axes that stretching from {@code shape} would add or lengthen. */
    public Var sumTo(long... shape) {
        return Primitives.sumTo(this, shape);
    }

    // ---- views ----

    /** Another shape of the same elements; one size may be -1. */
    public Var reshape(long... shape) {
        return Primitives.reshape(this, shape);
    }

    /** Axis i of the result is axis {@code order[i]} of this. */
    public Var permute(int... order) {
        return Primitives.permute(this, order);
    }

    /** Two axes exchanged. */
    public Var transpose(int a, int b) {
        return Primitives.transpose(this, a, b);
    }

    /** Elements {@code from} to {@code to} (exclusive) of an axis. */
    public Var slice(int axis, long from, long to) {
        return Primitives.slice(this, axis, from, to);
    }

    /** One index of an axis, which disappears. */
    public Var select(int axis, long index) {
        Var s = slice(axis, index, index + 1);
        return s.reshape(s.outline().squeeze(axis).shape());
    }

    /** Zeros before and after the elements of an axis. */
    public Var pad(int axis, long before, long after) {
        return before == 0 && after == 0 ? this : Primitives.pad(this, axis, before, before + size(axis) + after);
    }

    /** Windows over an axis, their elements along a new last axis: see {@link Tensor#unfold}. */
    public Var unfold(int axis, long size, long step, long dilation) {
        return Primitives.unfold(this, axis, size, step, dilation);
    }

    /** Stretched to a larger shape. */
    public Var expandTo(long... shape) {
        return Primitives.expand(this, shape);
    }

    /** Joined along an axis. */
    public static Var concat(int axis, Var... parts) {
        return Primitives.concat(axis, parts);
    }

    /** The same values in another floating type. */
    public Var to(DType type) {
        return Primitives.cast(this, type);
    }

    /** The same values on another backend. Constants and leaves only: gradients do not cross devices. */
    public Var to(Backend backend) {
        if (backend == backend()) {
            return this;
        }
        if (node != null) {
            throw new IllegalStateException("a recorded value cannot change its device; move the leaves instead");
        }
        return new Var(tensor.to(backend), requiresGrad);
    }

    @Override
    public String toString() {
        return "Var(" + outline() + (requiresGrad ? node == null ? ", leaf" : ", " + node : "") + ")";
    }
}
