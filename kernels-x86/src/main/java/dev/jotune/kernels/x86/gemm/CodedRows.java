package dev.jotune.kernels.x86.gemm;

import dev.jotune.tensor.cpu.simd.RowCode;
import java.lang.invoke.MethodHandle;

/** One format's kernel for single rows, and the one that makes the digits it reads. */
final class CodedRows implements RowCode {
    private final MethodHandle digits;
    private final MethodHandle sums;
    private final int blockLength;

    CodedRows(MethodHandle digits, MethodHandle sums, int blockLength) {
        this.digits = digits;
        this.sums = sums;
        this.blockLength = blockLength;
    }

    @Override
    public long bytes(int columns) {
        return RowArgs.bytes(columns);
    }

    @Override
    public void prepare(long x, int columns, long to) {
        if (columns == 0) {
            return;
        }
        long args = Workspace.get(Workspace.ARGUMENTS, RowArgs.SIZE);
        Raw.set(args + RowArgs.W, x);
        row(args, to, columns);
        Raw.set(args + RowArgs.BLOCKS, columns / RowArgs.LENGTH);
        VectorPanels.call(digits, args);
    }

    private static void row(long args, long x, int columns) {
        Raw.set(args + RowArgs.X, x);
        Raw.set(args + RowArgs.SCALES, x + RowArgs.scales(columns));
        Raw.set(args + RowArgs.SUMS, x + RowArgs.sums(columns));
    }

    @Override
    public void sums(long x, long row, long rowBytes, int columns, int count, long out, long step) {
        long args = Workspace.get(Workspace.ARGUMENTS, RowArgs.SIZE);
        Raw.set(args + RowArgs.W, row);
        Raw.set(args + RowArgs.W_STRIDE, rowBytes);
        row(args, x, columns);
        Raw.set(args + RowArgs.BLOCKS, columns / blockLength);
        Raw.set(args + RowArgs.COUNT, count);
        Raw.set(args + RowArgs.OUT, out);
        Raw.set(args + RowArgs.OUT_STEP, step);
        VectorPanels.call(sums, args);
    }
}
