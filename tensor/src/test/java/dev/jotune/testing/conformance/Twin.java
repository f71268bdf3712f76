package dev.jotune.testing.conformance;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Shape;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.function.LongToDoubleFunction;
import java.util.function.UnaryOperator;

/**
 * The same numbers twice, under the same strides: in the type and on the backend under test, and in F64 on the
 * reference. The reference's copy holds the numbers as the narrower type rounded them.
 */
public record Twin(Tensor tested, Tensor reference) {
    private static final long SEED = 77;

    /** How the elements of a shape may lie in memory. */
    public enum Layout {
        DENSE,
        /** The last two axes exchanged in memory. */
        TRANSPOSED,
        /** Rows with room between them, beginning inside the storage. */
        PITCHED,
        /** Every second element. */
        SPREAD,
        /** The first axis stretched from one row by stride 0. */
        STRETCHED
    }

    /** Standard normal numbers. */
    public static Twin normal(Backend backend, DType type, Layout layout, long stream, long... shape) {
        return of(backend, type, layout, i -> Philox.normal(SEED, stream, i), shape);
    }

    /** Numbers in [low, high). */
    public static Twin uniform(Backend backend, DType type, Layout layout, long stream, double low, double high, long... shape) {
        return of(backend, type, layout, i -> low + (high - low) * Philox.uniformDouble(SEED, stream, i), shape);
    }

    /** Element i of the memory behind the view is {@code values(i)}. */
    public static Twin of(Backend backend, DType type, Layout layout, LongToDoubleFunction values, long... shape) {
        long[] memory = memory(layout, shape);
        double[] v = new double[Math.toIntExact(Shape.numel(memory))];
        Arrays.setAll(v, values::applyAsDouble);
        Tensor dense = Tensor.of(backend, type, v, memory);
        Tensor wide = Tensor.of(Backends.reference(), DType.F64, dense.toDoubleArray(), memory);
        UnaryOperator<Tensor> view = t -> view(layout, t, shape);
        return new Twin(view.apply(dense), view.apply(wide));
    }

    private static long[] memory(Layout layout, long... shape) {
        long[] m = shape.clone();
        int last = shape.length - 1;
        switch (layout) {
            case DENSE -> { }
            case TRANSPOSED -> {
                if (last >= 1) {
                    m[last] = shape[last - 1];
                    m[last - 1] = shape[last];
                }
            }
            case PITCHED -> {
                if (last >= 0) {
                    m[last] += 5;
                }
            }
            case SPREAD -> {
                m = Arrays.copyOf(shape, shape.length + 1);
                m[last + 1] = 2;
            }
            case STRETCHED -> {
                if (last >= 0 && shape[0] > 0) {
                    m[0] = 1;
                }
            }
        }
        return m;
    }

    private static Tensor view(Layout layout, Tensor t, long... shape) {
        return switch (layout) {
            case DENSE -> t;
            case TRANSPOSED -> t.rank() >= 2 ? t.transpose(-1, -2) : t;
            case PITCHED -> t.rank() > 0 ? t.slice(-1, 3, 3 + shape[shape.length - 1]) : t;
            case SPREAD -> t.select(-1, 1);
            case STRETCHED -> t.expand(shape);
        };
    }

    /** Whether results may be written under this layout: not where elements share memory. */
    public static boolean writable(Layout layout) {
        return layout != Layout.STRETCHED;
    }

    /** Fails unless the tested elements are the reference's within {@code tolerance} times the largest of these. */
    public void compare(String what, double tolerance) {
        double[] got = tested.toDoubleArray();
        double[] want = reference.toDoubleArray();
        double scale = 0;
        for (double w : want) {
            scale = Math.max(scale, Double.isFinite(w) ? Math.abs(w) : 0);
        }
        if (!Arrays.equals(tested.shape(), reference.shape())) {
            throw new AssertionError(what + ": shape " + Arrays.toString(tested.shape()) + ", expected "
                    + Arrays.toString(reference.shape()) + ".");
        }
        for (int i = 0; i < want.length; i++) {
            // Beyond F32's range the right answer in F32 is infinity.
            double w = tested.dtype() == DType.F64 ? want[i] : (float) want[i];
            boolean same = Double.compare(got[i], w) == 0 || got[i] == w || Math.abs(got[i] - w) <= tolerance * scale;
            if (!same) {
                throw new AssertionError(what + ", element " + i + " of " + tested + ": " + got[i] + ", expected " + w
                        + " within " + tolerance * scale + ".");
            }
        }
    }

    /** Everything around the view, as doubles: what a result must not have touched. */
    public double[] memory() {
        long n = tested.storage().byteSize() / tested.dtype().byteSize();
        return Tensor.over(tested.backend(), tested.storage(), tested.dtype(), 0, n).toDoubleArray();
    }

    /** Fails if anything but the view's own elements differs from {@code before}, taken with {@link #memory()}. */
    public void checkSurroundings(String what, double[] before) {
        double[] after = memory();
        boolean[] mine = new boolean[after.length];
        mark(mine, tested, 0, tested.offset());
        for (int i = 0; i < after.length; i++) {
            if (!mine[i] && Double.compare(after[i], before[i]) != 0) {
                throw new AssertionError(what + ": element " + i + " of the memory is not in the result " + tested
                        + " and was overwritten.");
            }
        }
    }

    private static void mark(boolean[] mine, Tensor t, int axis, long at) {
        if (axis == t.rank()) {
            mine[Math.toIntExact(at)] = true;
            return;
        }
        for (long i = 0; i < t.size(axis); i++) {
            mark(mine, t, axis + 1, at + i * t.stride(axis));
        }
    }
}
