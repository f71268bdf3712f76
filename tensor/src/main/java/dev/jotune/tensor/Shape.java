package dev.jotune.tensor;

import java.util.Arrays;

/** Arithmetic on shapes: dimensions outermost first, all sizes 64-bit, products checked. */
public final class Shape {
    private Shape() {}

    /**
     * The number of elements.
     *
     * @throws IllegalArgumentException if a dimension is negative or the product exceeds 2^63 - 1
     */
    public static long numel(long... shape) {
        long n = 1;
        boolean empty = false;
        for (long d : shape) {
            if (d < 0) {
                throw new IllegalArgumentException("negative dimension in shape " + Arrays.toString(shape));
            }
            if (d == 0) {
                empty = true;
                continue;
            }
            if (Math.multiplyHigh(n, d) != 0 || n * d < 0) {
                throw new IllegalArgumentException("shape " + Arrays.toString(shape) + " has more than 2^63 - 1 elements");
            }
            n *= d;
        }
        return empty ? 0 : n;
    }

    /** Strides in elements of a dense tensor with the last axis innermost. */
    public static long[] strides(long... shape) {
        long[] s = new long[shape.length];
        long step = 1;
        for (int i = shape.length - 1; i >= 0; i--) {
            s[i] = step;
            step *= Math.max(1, shape[i]);
        }
        return s;
    }

    /**
     * The strides under which the elements of a strided, not empty tensor can be seen as {@code target}, which has as
     * many elements; null if there are none, so that a copy is needed. Runs of axes that step evenly are cut anew.
     */
    static long[] stridesOfView(long[] shape, long[] strides, long[] target) {
        long[] out = new long[target.length];
        int t = target.length - 1;
        int i = shape.length - 1;
        while (i >= 0) {
            long step = strides[i];
            long run = shape[i];
            int first = i - 1;
            while (first >= 0 && (shape[first] == 1 || run == 1 || strides[first] == run * step)) {
                step = run == 1 ? strides[first] : step;
                run *= shape[first];
                first--;
            }
            long cut = 1;
            while (t >= 0 && cut * target[t] <= run && (cut < run || target[t] == 1)) {
                out[t] = cut * step;
                cut *= target[t--];
            }
            if (cut != run) {
                return null;
            }
            i = first;
        }
        while (t >= 0) {
            out[t--] = 1;
        }
        return out;
    }

    /**
     * The shape that both shapes stretch to, aligned at the last axis; axes of size 1 stretch.
     *
     * @throws IllegalArgumentException naming both shapes if they do not agree
     */
    public static long[] broadcast(long[] a, long[] b) {
        int rank = Math.max(a.length, b.length);
        long[] out = new long[rank];
        for (int i = 1; i <= rank; i++) {
            long x = i <= a.length ? a[a.length - i] : 1;
            long y = i <= b.length ? b[b.length - i] : 1;
            if (x != y && x != 1 && y != 1) {
                throw new IllegalArgumentException("shapes " + Arrays.toString(a) + " and " + Arrays.toString(b)
                        + " do not broadcast: sizes " + x + " and " + y + " differ and neither is 1");
            }
            out[rank - i] = x == 1 ? y : x;
        }
        return out;
    }

    /** An axis counted from the front; negative axes count from the end. */
    public static int axis(int axis, int rank) {
        int a = axis < 0 ? axis + rank : axis;
        if (a < 0 || a >= rank) {
            throw new IllegalArgumentException("axis " + axis + " does not exist in a tensor of rank " + rank);
        }
        return a;
    }

    /** {@code [2, 3]}. */
    public static String toString(long... shape) {
        return Arrays.toString(shape);
    }
}
