package dev.jotune.tensor;

import java.util.Arrays;

/**
 * A typed, strided view of a {@link Storage} on one {@link Backend}.
 *
 * <p>Tensors are cheap handles: views ({@link #reshape}, {@link #permute}, {@link #slice}, ...) share memory. Shapes
 * list dimensions outermost first; strides and offset count elements. A tensor's arithmetic lives in its backend and,
 * with derivatives, in the autograd module; here are only shapes, views and the way in and out.
 */
public final class Tensor {
    private final Backend backend;
    private final Storage storage;
    private final DType dtype;
    private final long[] shape;
    private final long[] strides;
    private final long offset;
    private final long numel;

    private Tensor(Backend backend, Storage storage, DType dtype, long[] shape, long[] strides, long offset) {
        this.backend = backend;
        this.storage = storage;
        this.dtype = dtype;
        this.shape = shape;
        this.strides = strides;
        this.offset = offset;
        this.numel = Shape.numel(shape);
    }

    // ---- making ----

    /** A dense tensor with unspecified contents, owned by the innermost open {@link Scope} if there is one. */
    public static Tensor empty(Backend backend, DType dtype, long... shape) {
        long bytes = Math.multiplyExact(Shape.numel(shape), dtype.byteSize());
        Storage storage = backend.allocate(bytes);
        Scope.adopt(storage);
        return new Tensor(backend, storage, dtype, shape.clone(), Shape.strides(shape), 0);
    }

    /** A dense tensor over existing storage, beginning {@code offset} elements into it. */
    public static Tensor over(Backend backend, Storage storage, DType dtype, long offset, long... shape) {
        long end = Math.multiplyExact(Math.addExact(offset, Shape.numel(shape)), dtype.byteSize());
        if (offset < 0 || end > storage.byteSize()) {
            throw new IllegalArgumentException("a " + dtype + " tensor of shape " + Shape.toString(shape) + " needs "
                    + end
                    + " bytes, the storage holds " + storage.byteSize());
        }
        return new Tensor(backend, storage, dtype, shape.clone(), Shape.strides(shape), offset);
    }

    /** All elements {@code value}. */
    public static Tensor full(Backend backend, DType dtype, double value, long... shape) {
        Tensor t = empty(backend, dtype, shape);
        backend.fill(t, value);
        return t;
    }

    /** All zero. */
    public static Tensor zeros(Backend backend, DType dtype, long... shape) {
        return full(backend, dtype, 0, shape);
    }

    /** An F32 tensor holding a copy of {@code values}. */
    public static Tensor of(Backend backend, float[] values, long... shape) {
        return HostCopy.in(empty(backend, DType.F32, checked(values.length, shape)), values);
    }

    /** A tensor of floating {@code dtype} holding a copy of {@code values}. */
    public static Tensor of(Backend backend, DType dtype, double[] values, long... shape) {
        return HostCopy.in(empty(backend, dtype, checked(values.length, shape)), values);
    }

    /** An I64 tensor holding a copy of {@code values}. */
    public static Tensor of(Backend backend, long[] values, long... shape) {
        return HostCopy.in(empty(backend, DType.I64, checked(values.length, shape)), values);
    }

    /** A BOOL tensor holding a copy of {@code values}. */
    public static Tensor of(Backend backend, boolean[] values, long... shape) {
        double[] d = new double[values.length];
        for (int i = 0; i < d.length; i++) {
            d[i] = values[i] ? 1 : 0;
        }
        return HostCopy.in(empty(backend, DType.BOOL, checked(values.length, shape)), d);
    }

    private static long[] checked(long n, long[] shape) {
        if (Shape.numel(shape) != n) {
            throw new IllegalArgumentException(n + " values do not fill shape " + Shape.toString(shape));
        }
        return shape;
    }

    // ---- what it is ----

    public Backend backend() {
        return backend;
    }

    public DType dtype() {
        return dtype;
    }

    /** The sizes, outermost first (a copy). */
    public long[] shape() {
        return shape.clone();
    }

    /** Elements to step per axis (a copy); 0 on a stretched axis. */
    public long[] strides() {
        return strides.clone();
    }

    /** Elements from the start of the storage to the first element. */
    public long offset() {
        return offset;
    }

    public Storage storage() {
        return storage;
    }

    public int rank() {
        return shape.length;
    }

    /** The size of an axis; negative axes count from the end. */
    public long size(int axis) {
        return shape[Shape.axis(axis, shape.length)];
    }

    /** The stride of an axis in elements; negative axes count from the end. */
    public long stride(int axis) {
        return strides[Shape.axis(axis, shape.length)];
    }

    public long numel() {
        return numel;
    }

    /** The address of the first element, for host storage. Keep the tensor reachable while it is used. */
    public long address() {
        return storage.address() + offset * dtype.byteSize();
    }

    /** True if the elements lie densely in row-major order. */
    public boolean isContiguous() {
        long step = 1;
        for (int i = shape.length - 1; i >= 0; i--) {
            if (shape[i] != 1) {
                if (strides[i] != step) {
                    return numel == 0;
                }
                step *= shape[i];
            }
        }
        return true;
    }

    /** True if this tensor begins at its storage and covers it: nothing else can be seen through it. */
    public boolean ownsWholeStorage() {
        return offset == 0 && isContiguous() && numel * dtype.byteSize() == storage.byteSize();
    }

    // ---- views ----

    /**
     * The same elements under another shape; one size may be -1. A view where strides allow it, else a copy.
     *
     * @throws IllegalArgumentException if the element counts differ
     */
    public Tensor reshape(long... newShape) {
        long[] target = inferred(newShape);
        if (isContiguous()) {
            return new Tensor(backend, storage, dtype, target, Shape.strides(target), offset);
        }
        long[] st = Shape.stridesOfView(shape, strides, target);
        return st != null ? new Tensor(backend, storage, dtype, target, st, offset) : copy().reshape(target);
    }

    private long[] inferred(long[] newShape) {
        long[] target = newShape.clone();
        int free = -1;
        long known = 1;
        for (int i = 0; i < target.length; i++) {
            if (target[i] == -1 && free < 0) {
                free = i;
            } else {
                known = Math.multiplyExact(known, target[i]);
            }
        }
        if (free >= 0) {
            if (known == 0 || numel % known != 0) {
                throw new IllegalArgumentException("cannot reshape " + Shape.toString(shape) + " to "
                        + Shape.toString(newShape));
            }
            target[free] = numel / known;
        }
        if (Shape.numel(target) != numel) {
            throw new IllegalArgumentException("cannot reshape " + Shape.toString(shape) + " (" + numel
                    + " elements) to "
                    + Shape.toString(newShape));
        }
        return target;
    }

    /** Axes in another order: axis i of the result is axis {@code order[i]} of this. */
    public Tensor permute(int... order) {
        if (order.length != shape.length) {
            throw new IllegalArgumentException("permute needs " + shape.length + " axes for shape "
                    + Shape.toString(shape)
                    + ", got " + Arrays.toString(order));
        }
        long[] sh = new long[order.length];
        long[] st = new long[order.length];
        boolean[] seen = new boolean[order.length];
        for (int i = 0; i < order.length; i++) {
            int a = Shape.axis(order[i], shape.length);
            if (seen[a]) {
                throw new IllegalArgumentException("axis " + a + " twice in permute " + Arrays.toString(order));
            }
            seen[a] = true;
            sh[i] = shape[a];
            st[i] = strides[a];
        }
        return new Tensor(backend, storage, dtype, sh, st, offset);
    }

    /** Two axes exchanged. */
    public Tensor transpose(int a, int b) {
        int[] order = new int[shape.length];
        Arrays.setAll(order, i -> i);
        int x = Shape.axis(a, shape.length);
        int y = Shape.axis(b, shape.length);
        order[x] = y;
        order[y] = x;
        return permute(order);
    }

    /** Elements {@code from} (inclusive) to {@code to} (exclusive) of one axis. */
    public Tensor slice(int axis, long from, long to) {
        int a = Shape.axis(axis, shape.length);
        if (from < 0 || to < from || to > shape[a]) {
            throw new IndexOutOfBoundsException("slice [" + from + ", " + to + ") of axis " + a + " of shape "
                    + Shape.toString(shape));
        }
        long[] sh = shape.clone();
        sh[a] = to - from;
        return new Tensor(backend, storage, dtype, sh, strides.clone(), offset + from * strides[a]);
    }

    /** One index of an axis; the axis disappears. */
    public Tensor select(int axis, long index) {
        return slice(axis, index, index + 1).squeeze(axis);
    }

    /** Without an axis of size 1. */
    public Tensor squeeze(int axis) {
        int a = Shape.axis(axis, shape.length);
        if (shape[a] != 1) {
            throw new IllegalArgumentException("axis " + a + " of shape " + Shape.toString(shape) + " has size "
                    + shape[a] + ", not 1");
        }
        return new Tensor(backend, storage, dtype, without(shape, a), without(strides, a), offset);
    }

    /** With a new axis of size 1 before {@code axis} (which may equal the rank). */
    public Tensor unsqueeze(int axis) {
        int a = Shape.axis(axis, shape.length + 1);
        long[] sh = new long[shape.length + 1];
        long[] st = new long[shape.length + 1];
        for (int i = 0, j = 0; i < sh.length; i++) {
            sh[i] = i == a ? 1 : shape[j];
            st[i] = i == a ? 0 : strides[j++];
        }
        return new Tensor(backend, storage, dtype, sh, st, offset);
    }

    /**
     * Windows over an axis: {@code [.., N, ..] -> [.., windows, .., size]}, element k of window i being element
     * {@code i step + k dilation}. A view: windows may share elements, so it is for reading.
     *
     * @throws IllegalArgumentException if not one window fits
     */
    public Tensor unfold(int axis, long size, long step, long dilation) {
        int a = Shape.axis(axis, shape.length);
        long reach = (size - 1) * dilation + 1;
        if (size < 1 || step < 1 || dilation < 1 || reach > shape[a]) {
            throw new IllegalArgumentException("axis " + a + " of shape " + Shape.toString(shape) + " has no window of "
                    + size + " elements, " + dilation + " apart, in steps of " + step + ". All must be positive and one window must fit.");
        }
        long[] sh = Arrays.copyOf(shape, shape.length + 1);
        long[] st = Arrays.copyOf(strides, shape.length + 1);
        sh[a] = (shape[a] - reach) / step + 1;
        st[a] = strides[a] * step;
        sh[shape.length] = size;
        st[shape.length] = strides[a] * dilation;
        return new Tensor(backend, storage, dtype, sh, st, offset);
    }

    private static long[] without(long[] xs, int a) {
        long[] r = new long[xs.length - 1];
        for (int i = 0, j = 0; i < xs.length; i++) {
            if (i != a) {
                r[j++] = xs[i];
            }
        }
        return r;
    }

    /** Stretched to a larger shape, aligned at the last axis, by stride 0: no memory is used. */
    public Tensor expand(long... target) {
        long[] both = Shape.broadcast(shape, target);
        if (!Arrays.equals(both, target)) {
            throw new IllegalArgumentException("shape " + Shape.toString(shape) + " does not stretch to "
                    + Shape.toString(target));
        }
        long[] st = new long[target.length];
        int lead = target.length - shape.length;
        for (int i = 0; i < shape.length; i++) {
            st[lead + i] = shape[i] == 1 ? 0 : strides[i];
        }
        return new Tensor(backend, storage, dtype, target.clone(), st, offset);
    }

    // ---- copies ----

    /** This tensor if dense, else a dense copy. */
    public Tensor contiguous() {
        return isContiguous() ? this : copy();
    }

    /** A dense copy. */
    public Tensor copy() {
        Tensor t = empty(backend, dtype, shape);
        backend.copy(this, t);
        return t;
    }

    /** Converted element by element: this tensor if it has that type already. Rounds to nearest even. */
    public Tensor to(DType type) {
        if (type == dtype) {
            return this;
        }
        Tensor t = empty(backend, type, shape);
        backend.copy(this, t);
        return t;
    }

    /** On another backend; shares memory between the CPU's backends, copies otherwise. */
    public Tensor to(Backend target) {
        return target == backend ? this : target.adopt(this);
    }

    /** The same memory seen by another backend that can address it. For backends: users call {@link #to(Backend)}. */
    public Tensor viewOn(Backend target) {
        return new Tensor(target, storage, dtype, shape, strides, offset);
    }

    /** Overwrites this tensor's elements; {@code source} may have another type and stretches to this shape. */
    public Tensor copyFrom(Tensor source) {
        backend.copy(source.to(backend).expand(shape), this);
        return this;
    }

    /** The elements in row-major order. */
    public float[] toFloatArray() {
        double[] d = toDoubleArray();
        float[] f = new float[d.length];
        for (int i = 0; i < f.length; i++) {
            f[i] = (float) d[i];
        }
        return f;
    }

    /** The elements in row-major order. */
    public double[] toDoubleArray() {
        return HostCopy.doubles(contiguous());
    }

    /** The elements in row-major order; fractions are cut off. */
    public long[] toLongArray() {
        return HostCopy.longs(contiguous());
    }

    /** The value of a tensor of one element. */
    public double item() {
        if (numel != 1) {
            throw new IllegalStateException("item() needs one element, the shape is " + Shape.toString(shape));
        }
        return toDoubleArray()[0];
    }

    @Override
    public String toString() {
        return dtype + Shape.toString(shape) + "@" + backend.name();
    }
}
