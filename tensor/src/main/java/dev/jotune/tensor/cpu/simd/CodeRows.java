package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.LB;

import dev.jotune.tensor.quant.BlockMatrix;

/** {@link RowProduct} by an extension's {@link RowCode}. */
final class CodeRows extends RowProduct {
    private final RowCode code;
    private final long stride;

    CodeRows(BlockMatrix m, RowCode code) {
        super(m.rows(), Math.toIntExact(m.columns()), m.stored().address(), m.blocks().rowBytes(m.columns()), m.order().orElse(null));
        this.code = code;
        stride = m.blocks().rowBytes(m.columns());
    }

    /** More than others: each call leaves the virtual machine. */
    @Override
    int batch() {
        return 64;
    }

    @Override
    Input input() {
        return Input.CODED;
    }

    @Override
    long inputBytes() {
        return code.bytes(columns);
    }

    @Override
    void prepare(long from, long to) {
        code.prepare(from, columns, to);
    }

    @Override
    void sums(int h, long x, long xs, long number, long row, int count, long sums) {
        for (int i = 0; i < h; i++) {
            code.sums(x + xs * i, row, stride, columns, count, sums + (long) LB * i, (long) LB * h);
        }
    }
}
