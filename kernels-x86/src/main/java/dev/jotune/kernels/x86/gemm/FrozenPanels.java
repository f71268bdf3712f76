package dev.jotune.kernels.x86.gemm;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Storage;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Parallel;
import dev.jotune.tensor.kernels.FrozenKernel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;

/**
 * A weight {@code [N, K]} as panels of 64 outputs: {@code [N/64][K][64]} of F32, or {@code [N/64][K/2][64][2]} of BF16,
 * in which one 32-bit word holds two consecutive k. Missing outputs and inputs are zeros.
 *
 * <p>One copy serves both directions. The product with the weight's transpose reads panels as they are. The other one
 * needs panels of 64 inputs, with words of two consecutive outputs; each is made when a product comes to it, by squares
 * of 16 x 16 words, for about one part in M/5 of the product's own time. A second copy would double the memory.
 */
final class FrozenPanels implements FrozenKernel.Packed {
    final boolean paired;
    final int rows;
    final int columns;
    private final long panelBytes;
    private final Storage storage;
    private final Parallel pool;

    FrozenPanels(Tensor weight, Parallel pool, VectorPanels copies) {
        this.pool = pool;
        paired = weight.dtype() == DType.BF16;
        rows = Math.toIntExact(weight.size(0));
        columns = Math.toIntExact(weight.size(1));
        panelBytes = (long) Product.pad(paired ? (columns + 1) / 2 : columns) * TileCode.PANEL_ROW;
        storage = HostMemory.allocate(panelBytes * panels());
        Tensor source = weight.stride(1) == 1 || columns == 1 ? weight : weight.contiguous();
        pool.execute(panels(), p -> fill(source, p, copies));
        Reference.reachabilityFence(source);
    }

    private int panels() {
        return (rows + TileCode.WIDTH - 1) / TileCode.WIDTH;
    }

    private void fill(Tensor source, int panel, VectorPanels copies) {
        int first = panel * TileCode.WIDTH;
        int count = Math.min(TileCode.WIDTH, rows - first);
        int size = paired ? 2 : 4;
        long stride = source.stride(0) * size;
        long from = source.address() + first * stride;
        long target = address(panel, 0);
        Raw.zero(target, panelBytes);
        int whole = paired ? columns / 2 : columns;
        copies.copy(Repack.TRANSPOSE, from, stride, target, TileCode.PANEL_ROW, 0, count, whole, Workspace.arguments());
        if (paired && columns % 2 != 0) {
            // The last input has no partner: a word of which half would lie beyond the row.
            for (int i = 0; i < count; i++) {
                short last = Raw.ALL.get(ValueLayout.JAVA_SHORT_UNALIGNED, from + i * stride + 2L * (columns - 1));
                Raw.ALL.set(ValueLayout.JAVA_SHORT_UNALIGNED, target + (long) whole * TileCode.PANEL_ROW + 4L * i, last);
            }
        }
    }

    /** Where step {@code k}, even if they are pairs, of a panel lies. */
    long address(int panel, int k) {
        return storage.address() + panel * panelBytes + (long) (paired ? k / 2 : k) * TileCode.PANEL_ROW;
    }

    @Override
    public long rows() {
        return rows;
    }

    @Override
    public long columns() {
        return columns;
    }

    @Override
    public long byteSize() {
        return panelBytes * panels();
    }

    @Override
    public void unpack(Tensor out) {
        boolean narrow = out.dtype() == DType.BF16;
        if (out.rank() != 2 || out.size(0) != rows || out.size(1) != columns || !(out.dtype() == DType.F32 || narrow && paired)) {
            throw new IllegalArgumentException("A weight [" + rows + ", " + columns + "] packed from " + (paired ? "BF16" : "F32")
                    + " cannot be unpacked into " + out + ". Give it a tensor of that shape, F32 or of that type.");
        }
        pool.execute(panels(), p -> {
            for (int n = p * TileCode.WIDTH; n < Math.min(rows, (p + 1) * TileCode.WIDTH); n++) {
                row(n, out, out.address() + n * out.stride(0) * out.dtype().byteSize());
            }
        });
        Reference.reachabilityFence(out);
        keepReachable();
    }

    @Override
    public void unpackRows(long[] ids, Tensor out) {
        pool.execute(ids.length, i -> row(Math.toIntExact(ids[i]), out, out.address() + 4 * i * out.stride(0)));
        Reference.reachabilityFence(out);
        keepReachable();
    }

    /** Row {@code n} to {@code to}, in {@code out}'s type and column stride. */
    private void row(int n, Tensor out, long to) {
        MemorySegment all = Raw.ALL;
        boolean narrow = out.dtype() == DType.BF16;
        long step = out.stride(1) * out.dtype().byteSize();
        long from = address(n / TileCode.WIDTH, 0) + 4L * (n % TileCode.WIDTH);
        for (int k = 0; k < columns; k++) {
            long at = from + (long) (paired ? k / 2 : k) * TileCode.PANEL_ROW + (paired ? 2 * (k % 2) : 0);
            if (narrow) {
                all.set(ValueLayout.JAVA_SHORT_UNALIGNED, to, all.get(ValueLayout.JAVA_SHORT_UNALIGNED, at));
            } else if (paired) {
                all.set(ValueLayout.JAVA_INT_UNALIGNED, to, all.get(ValueLayout.JAVA_SHORT_UNALIGNED, at) << 16);
            } else {
                all.set(ValueLayout.JAVA_INT_UNALIGNED, to, all.get(ValueLayout.JAVA_INT_UNALIGNED, at));
            }
            to += step;
        }
    }

    /** As the right factor {@code [K, N]} of {@code x W^T}. */
    Panels forward(boolean rounded, VectorPanels copies) {
        FrozenPanels kept = this;
        return new Panels() {
            @Override
            public boolean areKept() {
                return paired || !rounded;
            }

            @Override
            public long address(int panel, int k) {
                return kept.address(panel, k);
            }

            @Override
            public Stretches source(int panel, int k, int steps) {
                return new Stretches(1, kept.address(panel, k), 0, (long) (paired ? (steps + 1) / 2 : steps) * TileCode.PANEL_ROW);
            }

            @Override
            public void fill(int panel, int k, int steps, long target) {
                copies.copy(Repack.ROUND_PANEL, kept.address(panel, k), TileCode.PANEL_ROW, target, TileCode.PANEL_ROW, 0, steps,
                        TileCode.WIDTH, Workspace.arguments());
            }
        };
    }

    /** As the right factor {@code [N, K]} of {@code dy W}; its panels are always made. */
    Panels back(boolean rounded, VectorPanels copies) {
        FrozenPanels kept = this;
        Repack how = paired ? rounded ? Repack.PAIRS : Repack.WIDEN_PAIRS : rounded ? Repack.ROUND_TRANSPOSED : Repack.TRANSPOSE;
        return new Panels() {
            @Override
            public boolean areKept() {
                return false;
            }

            @Override
            public long address(int panel, int k) {
                throw new IllegalStateException("Panel " + panel + " is not kept in this order. Call fill.");
            }

            @Override
            public Stretches source(int panel, int k, int steps) {
                return new Stretches((steps + TileCode.WIDTH - 1) / TileCode.WIDTH, kept.address(k / TileCode.WIDTH, panel * TileCode.WIDTH),
                        panelBytes, (long) words(panel) * TileCode.PANEL_ROW);
            }

            /** Words of a kept panel's column that a panel of inputs needs. */
            private int words(int panel) {
                int inputs = Math.min(TileCode.WIDTH, columns - panel * TileCode.WIDTH);
                return paired ? (inputs + 1) / 2 : inputs;
            }

            // Steps are outputs here and panels hold inputs: each square comes from the kept panel of its outputs.
            @Override
            public void fill(int panel, int k, int steps, long target) {
                int input = panel * TileCode.WIDTH;
                long arguments = Workspace.arguments();
                for (int at = k; at < k + steps; at += TileCode.WIDTH) {
                    int outputs = Math.min(TileCode.WIDTH, k + steps - at);
                    long row = (rounded ? at - k >> 1 : at - k) * (long) TileCode.PANEL_ROW;
                    copies.copy(how, kept.address(at / TileCode.WIDTH, input), TileCode.PANEL_ROW, target + row, TileCode.PANEL_ROW,
                            panelBytes, words(panel), outputs, arguments);
                }
            }
        };
    }

    void keepReachable() {
        Reference.reachabilityFence(storage);
    }
}
