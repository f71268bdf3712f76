package dev.jotune.tensor.cpu;

import dev.jotune.tensor.Shape;
import dev.jotune.tensor.Tensor;

/**
 * Several tensors of one shape, walked together row by row. Neighbouring axes that are dense in every tensor are
 * merged, so that rows are as long as the layouts allow.
 */
public final class RowLoop {
    private static final long[] NONE = {};
    private static final long[][] NO_STRIDES = {};

    public final long rows;
    public final long length;
    /** Per operand, elements between neighbours within a row. */
    public final long[] step;
    private final long[] outer;
    private final long[][] outerStrides;

    private RowLoop(long[] outer, long[][] outerStrides, long length, long[] step) {
        this.outer = outer;
        this.outerStrides = outerStrides;
        this.length = length;
        this.step = step;
        this.rows = Shape.numel(outer);
    }

    /**
     * @param shape the common shape; operands are stretched to it (an operand whose axis has size 1 does not move)
     * @param keepRows the last axis must stay a row of its own
     */
    public static RowLoop over(long[] shape, boolean keepRows, Tensor... operands) {
        int n = operands.length;
        int rank = Math.max(1, shape.length);
        long[] sizes = new long[rank];
        sizes[0] = 1;
        System.arraycopy(shape, 0, sizes, rank - shape.length, shape.length);
        long[][] strides = new long[n][rank];
        for (int k = 0; k < n; k++) {
            Tensor t = operands[k];
            int lead = rank - t.rank();
            for (int i = 0; i < t.rank(); i++) {
                strides[k][lead + i] = t.size(i) == 1 ? 0 : t.stride(i);
            }
        }
        // Merge from the inside out into (merged sizes, innermost last).
        long[] merged = new long[rank];
        long[][] ms = new long[n][rank];
        int m = rank;
        for (int axis = rank - 1; axis >= 0; axis--) {
            if (sizes[axis] == 1 && m < rank) {
                continue;
            }
            if (m < rank && merged[m] == 1 && !(keepRows && m == rank - 1)) {
                m++;
            }
            if (m < rank && !(keepRows && m == rank - 1) && mergeable(sizes, strides, axis, merged, ms, m)) {
                merged[m] *= sizes[axis];
            } else {
                m--;
                merged[m] = sizes[axis];
                for (int k = 0; k < n; k++) {
                    ms[k][m] = strides[k][axis];
                }
            }
        }
        int outerRank = rank - 1 - m;
        long[] outer = new long[outerRank];
        long[][] os = new long[n][outerRank];
        long[] step = new long[n];
        System.arraycopy(merged, m, outer, 0, outerRank);
        for (int k = 0; k < n; k++) {
            System.arraycopy(ms[k], m, os[k], 0, outerRank);
            step[k] = ms[k][rank - 1];
        }
        return new RowLoop(outer, os, merged[rank - 1], step);
    }

    /**
     * The loop over operands that are all dense with as many elements as the last one, or one number: by far the most
     * frequent case, which needs no look at the axes. Null if they are not.
     */
    static RowLoop dense(Tensor... operands) {
        long numel = operands[operands.length - 1].numel();
        long[] step = new long[operands.length];
        for (int k = 0; k < step.length; k++) {
            Tensor t = operands[k];
            if (t.numel() == numel && t.isContiguous()) {
                step[k] = numel == 1 ? 0 : 1;
            } else if (t.numel() != 1) {
                return null;
            }
        }
        return new RowLoop(NONE, NO_STRIDES, numel, step);
    }

    private static boolean mergeable(long[] sizes, long[][] strides, int axis, long[] merged, long[][] ms, int m) {
        for (int k = 0; k < strides.length; k++) {
            if (strides[k][axis] != ms[k][m] * merged[m]) {
                return false;
            }
        }
        return true;
    }

    /** Axes outside the rows. */
    public int outerRank() {
        return outer.length;
    }

    /** The size of outer axis {@code i}, the first being the slowest. */
    public long outerSize(int i) {
        return outer[i];
    }

    /** Elements of operand {@code k} to step along outer axis {@code i}. */
    public long outerStride(int k, int i) {
        return outerStrides[k][i];
    }

    /** Rows, from {@code row} on, that lie at equal distances in every operand. */
    long run(long row) {
        return outer.length == 0 ? 1 : outer[outer.length - 1] - row % outer[outer.length - 1];
    }

    /** Elements of operand {@code k} from a row to the next one of a {@link #run}. */
    long pitch(int k) {
        return outer.length == 0 ? 0 : outerStrides[k][outer.length - 1];
    }

    /** Element offset of operand {@code k} at the start of {@code row}, relative to its first element. */
    long offset(int k, long row) {
        long at = 0;
        long rest = row;
        for (int i = outer.length - 1; i >= 0; i--) {
            at += rest % outer[i] * outerStrides[k][i];
            rest /= outer[i];
        }
        return at;
    }
}
