package dev.jotune.tensor.cpu;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Dequant;
import dev.jotune.tensor.kernels.DequantizeKernel;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.BlockMatrix;
import dev.jotune.tensor.quant.Nf4Matrix;
import dev.jotune.tensor.quant.QuantizedMatrix;
import java.lang.ref.Reference;

/** Widens rows on all threads: Q8_0, Q4_0 and NF4 with vectors, other formats by their definition. */
final class VectorDequantize implements DequantizeKernel {
    @Override
    public void dequantize(QuantizedMatrix matrix, long from, Tensor out) {
        long rows = out.size(0);
        int columns = Math.toIntExact(matrix.columns());
        if (out.dtype() != DType.F32) {
            Dequant.rows(rows, columns, r -> matrix.dequantize(from + r, out.slice(0, r, r + 1)));
        } else if (matrix instanceof Nf4Matrix m && columns % Nf4Matrix.BLOCK == 0) {
            long blocks = columns / Nf4Matrix.BLOCK;
            Dequant.rows(rows, columns, r -> {
                long first = (from + r) * blocks;
                long codes = m.codes().address() + first * Nf4Matrix.BLOCK / 2;
                long target = out.address() + 4L * r * columns;
                for (long b = 0; b < blocks; b++) {
                    Dequant.nf4(codes + b * Nf4Matrix.BLOCK / 2, m.magnitude(first + b), target + 4 * b * Nf4Matrix.BLOCK,
                            Nf4Matrix.BLOCK);
                }
            });
        } else if (matrix instanceof BlockMatrix m && (m.blocks() == BlockFormat.Q8_0 || m.blocks() == BlockFormat.Q4_0)) {
            long rowBytes = m.blocks().rowBytes(columns);
            boolean eight = m.blocks() == BlockFormat.Q8_0;
            Dequant.rows(rows, columns, r -> {
                long source = m.stored().address() + m.storedRow(from + r) * rowBytes;
                long target = out.address() + 4L * r * columns;
                if (eight) {
                    Dequant.q8(source, target, columns);
                } else {
                    Dequant.q4(source, target, columns);
                }
            });
        } else {
            Dequant.rows(rows, columns, r -> matrix.dequantize(from + r, out.slice(0, r, r + 1)));
        }
        Reference.reachabilityFence(matrix);
        Reference.reachabilityFence(out);
    }
}
