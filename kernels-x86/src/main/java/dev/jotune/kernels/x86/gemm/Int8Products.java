package dev.jotune.kernels.x86.gemm;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Parallel;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.BlockMatrix;
import dev.jotune.tensor.quant.QuantizedMatrix;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.ref.Reference;
import java.util.function.Supplier;

/**
 * {@code y = x W^T} in bytes for weights in Q8_0: the rows of x are rounded to blocks of 32 bytes with a scale each, as
 * the weight's are, and multiplied by the processor's byte instruction, of AMX where there is one.
 *
 * <p>Rounding x costs accuracy that the definition (widen the weight, multiply in F32) keeps: an element is off by at
 * most a 254th of its block's largest magnitude, so that of y by that times the sum of the block's weights' magnitudes,
 * over all blocks. For normal x and a uniform weight that is 0.53 % of y (root mean square): 1.4 times what the weight
 * lost in becoming Q8_0, 2.4 times what rounding both operands to BF16 loses. So this runs only where it is asked for.
 */
final class Int8Products implements QuantizedProductKernel {
    /** Fewer rows are left to kernels that widen the weight as they read it. */
    private static final int FEWEST_ROWS = 16;
    private static final int ROW_CHUNK = 48;
    /** Rows by which a panel must be multiplied to take as long as making it. */
    private static final int MAKING = 48;

    private final Supplier<Parallel> pool;
    private final VectorPanels copies;
    private final MethodHandle rounding;
    private final MethodHandle[] tiles;
    private final int width;

    /** @param amx whether tiles of AMX multiply, instead of vectors */
    Int8Products(Supplier<Parallel> pool, CodeInstaller installer, VectorPanels copies, boolean amx) {
        this.pool = pool;
        this.copies = copies;
        rounding = installer.install(Int8Rows.emit());
        width = amx ? 16 : 32;
        tiles = new MethodHandle[(amx ? Int8AmxCode.ROWS : Int8Code.ROWS) + 1];
        for (int rows = 1; rows < tiles.length; rows++) {
            tiles[rows] = installer.install(amx ? Int8AmxCode.emit(rows) : Int8Code.emit(rows));
        }
    }

    @Override
    public boolean supports(QuantizedMatrix weight, long rows) {
        return rows >= FEWEST_ROWS && weight instanceof BlockMatrix m && m.blocks() == BlockFormat.Q8_0 && m.order().isEmpty();
    }

    @Override
    public void product(Tensor x, QuantizedMatrix weight, Tensor y) {
        if (!(weight instanceof BlockMatrix w) || !supports(weight, FEWEST_ROWS)) {
            throw new IllegalArgumentException("The weight " + weight + " is not in Q8_0 with its rows in order. Ask supports first.");
        }
        if (x.dtype() != DType.F32 || x.size(1) != w.columns() || y.dtype() != DType.F32 || y.size(1) != w.rows() || y.size(0) != x.size(0)) {
            throw new IllegalArgumentException("A product with " + weight + " got x " + x + " and y " + y + ". Give F32 [M, "
                    + w.columns() + "] and F32 [M, " + w.rows() + "].");
        }
        new Call(x, w, y).run();
        Reference.reachabilityFence(new Object[] {x, w.stored(), y});
    }

    /** One product's addresses and loops. */
    private final class Call {
        private final int m;
        private final int n;
        private final int blocks;
        private final long rowBytes;
        private final long rows;
        private final long stride;
        private final long weight;
        private final Tensor x;
        private final Tensor y;

        Call(Tensor x, BlockMatrix w, Tensor y) {
            this.x = x;
            this.y = y;
            m = Math.toIntExact(x.size(0));
            n = Math.toIntExact(w.rows());
            blocks = Math.toIntExact(w.columns() / Int8Args.LENGTH);
            rowBytes = w.blocks().rowBytes(w.columns());
            weight = w.stored().address();
            stride = (long) blocks * Int8Args.BLOCK + 63 & -64;
            rows = Workspace.get(Workspace.ROWS, stride * m);
        }

        void run() {
            Parallel threads = pool.get();
            threads.execute((m + ROW_CHUNK - 1) / ROW_CHUNK, u -> {
                long args = Workspace.arguments();
                Raw.set(args + Int8Args.C, x.address() + 4 * u * ROW_CHUNK * x.stride(0));
                Raw.set(args + Int8Args.C_STRIDE, 4 * x.stride(0));
                Raw.set(args + Int8Args.A, rows + u * ROW_CHUNK * stride);
                Raw.set(args + Int8Args.A_STRIDE, stride);
                Raw.set(args + Int8Args.BLOCKS, blocks);
                Raw.set(args + Int8Args.ROWS, Math.min(ROW_CHUNK, m - u * ROW_CHUNK));
                VectorPanels.call(rounding, args);
            });
            int panels = (n + TileCode.WIDTH - 1) / TileCode.WIDTH;
            int groups = threads.threads() == 1 || panels >= 8 * threads.threads() ? 1 : Math.clamp(m / MAKING, 1, 4);
            int height = (m + groups - 1) / groups;
            threads.execute(panels * groups, t -> {
                int row = t / panels * height;
                panel(t % panels, row, Math.min(height, m - row));
            });
        }

        private void panel(int panel, int row, int count) {
            int column = panel * TileCode.WIDTH;
            int columns = Math.min(TileCode.WIDTH, n - column);
            int words = Int8Args.LENGTH / 4;
            long bytes = (long) blocks * words * TileCode.PANEL_ROW;
            long target = Workspace.get(Workspace.PANEL, bytes + (long) blocks * TileCode.PANEL_ROW);
            long args = Workspace.arguments();
            long source = weight + column * rowBytes;
            for (int b = 0; b < blocks; b++) {
                long block = source + (long) b * BlockFormat.Q8_0.bytes();
                copies.copy(Repack.TRANSPOSE, block + 2, rowBytes, target + (long) b * words * TileCode.PANEL_ROW, TileCode.PANEL_ROW, 0,
                        columns, words, args);
                long scales = target + bytes + (long) b * TileCode.PANEL_ROW;
                for (int j = 0; j < columns; j++) {
                    short half = Raw.ALL.get(ValueLayout.JAVA_SHORT_UNALIGNED, block + j * rowBytes);
                    Raw.ALL.set(ValueLayout.JAVA_FLOAT_UNALIGNED, scales + 4L * j, Float.float16ToFloat(half));
                }
            }
            for (int part = 0; part < columns; part += width) {
                int left = columns - part;
                long c = y.address() + 4 * (row * y.stride(0) + column + part);
                Raw.set(args + Int8Args.PANEL, target + 4L * part);
                Raw.set(args + Int8Args.SCALES, target + bytes + 4L * part);
                Raw.set(args + Int8Args.MASK, (1L << Math.min(16, left)) - 1);
                Raw.set(args + Int8Args.UPPER_MASK, (1L << Math.clamp(left - 16, 0, 16)) - 1);
                Raw.set(args + Int8Args.BLOCKS, blocks);
                Raw.set(args + Int8Args.A_STRIDE, stride);
                Raw.set(args + Int8Args.C_STRIDE, 4 * y.stride(0));
                int most = tiles.length - 1;
                int whole = count / most;
                rows(most, whole, rows + row * stride, c, args);
                int done = whole * most;
                rows(count - done, 1, rows + (row + done) * stride, c + 4 * done * y.stride(0), args);
            }
        }

        private void rows(int height, int number, long a, long c, long args) {
            if (height > 0 && number > 0) {
                Raw.set(args + Int8Args.A, a);
                Raw.set(args + Int8Args.C, c);
                Raw.set(args + Int8Args.ROWS, number);
                VectorPanels.call(tiles[height], args);
            }
        }
    }
}
