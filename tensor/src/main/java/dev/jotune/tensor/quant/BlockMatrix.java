package dev.jotune.tensor.quant;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Storage;
import dev.jotune.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * A matrix in one of ggml's block formats; blocks lie along rows.
 *
 * @param stored U8 {@code [rows, bytes of a row]}, dense; the pages of a file, or packed
 * @param order  row i is stored row {@code order[i]}; empty where rows lie in order. The array is not copied.
 */
public record BlockMatrix(BlockFormat blocks, long rows, long columns, Tensor stored, Optional<int[]> order)
        implements QuantizedMatrix {

    /** @throws IllegalArgumentException if the bytes are not those of such a matrix */
    public BlockMatrix {
        long rowBytes = blocks.rowBytes(columns);
        if (stored.dtype() != DType.U8 || !stored.isContiguous() || stored.numel() != Math.multiplyExact(rows, rowBytes)) {
            throw new IllegalArgumentException("a " + blocks + " matrix [" + rows + ", " + columns + "] takes dense U8 ["
                    + rows + ", " + rowBytes + "], got " + stored);
        }
        if (order.isPresent() && order.get().length != rows) {
            throw new IllegalArgumentException(order.get().length + " row numbers for " + rows + " rows");
        }
    }

    /** A matrix whose rows are stored in order. */
    public static BlockMatrix of(BlockFormat blocks, long rows, long columns, Tensor stored) {
        return new BlockMatrix(blocks, rows, columns, stored, Optional.empty());
    }

    /** The same bytes, seen with row {@code order[i]} as row i. */
    public BlockMatrix reordered(int[] newOrder) {
        int[] composed = newOrder.clone();
        for (int i = 0; i < composed.length; i++) {
            composed[i] = (int) storedRow(newOrder[i]);
        }
        return new BlockMatrix(blocks, rows, columns, stored, Optional.of(composed));
    }

    /**
     * Narrows a dense matrix.
     *
     * @param weight {@code [rows, columns]} of a floating type
     * @throws IllegalArgumentException      if its columns do not fill blocks
     * @throws UnsupportedOperationException if the format cannot be made
     */
    public static BlockMatrix quantize(BlockFormat blocks, Tensor weight) {
        int columns = Math.toIntExact(weight.size(1));
        int rowBytes = Math.toIntExact(blocks.rowBytes(columns));
        Tensor stored = packed(weight.backend(), weight.size(0) * rowBytes, target -> {
            byte[] row = new byte[rowBytes];
            for (long r = 0; r < weight.size(0); r++) {
                try (Scope scope = Scope.open()) {
                    blocks.quantize(weight.slice(0, r, r + 1).toFloatArray(), 0, row, 0, columns);
                }
                MemorySegment.copy(row, 0, target, ValueLayout.JAVA_BYTE, r * rowBytes, rowBytes);
            }
        });
        return of(blocks, weight.size(0), columns, stored);
    }

    /** Bytes outside every scope, which {@code fill} writes on the host. */
    static Tensor packed(Backend backend, long bytes, Consumer<MemorySegment> fill) {
        Tensor t = Scope.detach(Tensor.empty(backend, DType.U8, bytes));
        if (t.storage().isHostAddressable()) {
            fill.accept(t.storage().host());
        } else {
            Storage staging = HostMemory.allocate(bytes);
            fill.accept(staging.host());
            backend.write(t, staging.host());
            staging.free();
        }
        Reference.reachabilityFence(t);
        return t;
    }

    /** Bytes {@code from .. from + n} of a dense tensor of bytes, wherever it lies. */
    static byte[] bytes(Tensor t, long from, int n) {
        byte[] out = new byte[n];
        t.backend().read(t.reshape(t.numel()).slice(0, from, from + n), MemorySegment.ofArray(out));
        return out;
    }

    @Override
    public String format() {
        return blocks.name();
    }

    @Override
    public long byteSize() {
        return stored.numel();
    }

    /** Where a row lies, counted in rows. */
    public long storedRow(long row) {
        return order.isPresent() ? order.get()[Math.toIntExact(row)] : row;
    }

    @Override
    public void row(long row, float[] out) {
        int rowBytes = (int) blocks.rowBytes(columns);
        blocks.dequantize(bytes(stored, storedRow(row) * rowBytes, rowBytes), 0, out, 0, (int) columns);
    }

    @Override
    public String toString() {
        return blocks + "[" + rows + ", " + columns + "]";
    }
}
