package dev.jotune.kernel;

import dev.jotune.kernel.ProductTexts.Skinny;
import dev.jotune.kernel.ProductTexts.Tiled;
import dev.jotune.kernel.ProductTexts.Weight;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.RowLoop;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;

/** Chooses and launches a device's kernels for matrix products. */
final class Products {
    /** Tiles for each unit of the device from which on larger ones are worth it: less, and units idle. */
    private static final int TILES_PER_UNIT = 2;

    private final DeviceBackend device;

    Products(DeviceBackend device) {
        this.device = device;
    }

    /** {@code out (+)= a b}, as {@link dev.jotune.tensor.Backend#matmul} has it; no size is zero. */
    void multiply(Tensor a, Tensor b, Tensor out, boolean accumulate) {
        long rows = out.size(-2);
        long columns = out.size(-1);
        boolean few = Math.min(rows, columns) <= ProductTexts.SKINNY_ROWS;
        // The transposed product is the same: few columns become few rows, and rows of out become neighbours.
        if (few ? columns < rows : out.stride(-1) != 1 && out.stride(-2) == 1) {
            batches(b.transpose(-2, -1), a.transpose(-2, -1), out.transpose(-2, -1), accumulate);
        } else {
            batches(a, b, out, accumulate);
        }
    }

    /** Two axes of matrices are walked by the kernel; further ones, which attention never has, here. */
    private void batches(Tensor a, Tensor b, Tensor out, boolean accumulate) {
        Tensor[] all = {a, b, out};
        RowLoop loop = RowLoop.over(Arrays.copyOf(out.shape(), out.rank() - 2), false, first(a), first(b), first(out));
        int axes = loop.outerRank();
        long outer = axes == 0 ? 1 : loop.outerSize(axes - 1);
        Batch batch = new Batch(outer, loop.length, new long[all.length], loop.step);
        for (int k = 0; k < all.length && axes > 0; k++) {
            batch.outerStride[k] = loop.outerStride(k, axes - 1);
        }
        for (long i = 0; i < loop.rows / outer; i++) {
            long[] at = new long[all.length];
            long rest = i;
            for (int axis = axes - 2; axis >= 0; axis--) {
                for (int k = 0; k < at.length; k++) {
                    at[k] += rest % loop.outerSize(axis) * loop.outerStride(k, axis);
                }
                rest /= loop.outerSize(axis);
            }
            launch(new Matrix(a, at[0], 0, batch), new Matrix(b, at[1], 1, batch), new Matrix(out, at[2], 2, batch), batch, accumulate);
        }
    }

    /** The first element of each matrix. */
    private static Tensor first(Tensor t) {
        return t.select(-1, 0).select(-1, 0);
    }

    /** Matrices walked along two axes: their numbers, and for a, b and out the strides. */
    record Batch(long outer, long within, long[] outerStride, long[] withinStride) {
        static final Batch ONE = new Batch(1, 1, new long[3], new long[3]);

        long count() {
            return outer * within;
        }
    }

    /** An operand: its first matrix lies {@code at} elements behind the tensor's first. */
    record Matrix(Tensor tensor, long at, int operand, Batch batch) {
        long rowStride() {
            return tensor.stride(-2);
        }

        long columnStride() {
            return tensor.stride(-1);
        }

        /**
         * Whether four neighbours can be read at once, at all places.
         *
         * @param columns whether they are neighbouring columns, else rows
         */
        boolean fours(boolean columns) {
            int along = columns ? -1 : -2;
            int other = columns ? -2 : -1;
            return tensor.stride(along) == 1 && tensor.size(along) % 4 == 0 && (tensor.size(other) == 1 || tensor.stride(other) % 4 == 0)
                    && (tensor.offset() + at) % 4 == 0 && batch.outerStride[operand] % 4 == 0 && batch.withinStride[operand] % 4 == 0;
        }

        Object argument(DeviceBackend device) {
            return at == 0 ? tensor : Tensor.over(device, tensor.storage(), tensor.dtype(), tensor.offset() + at, 0);
        }

        void strides(List<Object> to) {
            to.addAll(List.of(rowStride(), columnStride(), batch.outerStride[operand], batch.withinStride[operand]));
        }
    }

    private void launch(Matrix a, Matrix b, Matrix out, Batch batch, boolean accumulate) {
        long rows = out.tensor.size(-2);
        long columns = out.tensor.size(-1);
        long inner = a.tensor.size(-1);
        boolean wide = Math.max(a.tensor.dtype().byteSize(), b.tensor.dtype().byteSize()) == Double.BYTES || out.tensor.dtype() == DType.F64;
        boolean bInner = b.rowStride() <= b.columnStride();
        boolean bFours = !wide && b.fours(!bInner);
        KernelSource kernel;
        long groups;
        if (rows <= ProductTexts.SKINNY_ROWS && !wide) {
            boolean vector = bFours && (!bInner || a.fours(true));
            kernel = new Skinny(a.tensor.dtype(), b.tensor.dtype(), out.tensor.dtype(), held(rows), vector, bInner, Weight.NUMBERS).source();
            groups = ProductTexts.skinnyGroups(columns, bInner);
        } else {
            boolean aInner = a.columnStride() <= a.rowStride();
            boolean vector = bFours && a.fours(aInner);
            Tile tile = tile(rows, columns, batch.count(), wide ? Double.BYTES : Float.BYTES);
            kernel = new Tiled(a.tensor.dtype(), b.tensor.dtype(), out.tensor.dtype(), tile, vector, aInner, bInner, Weight.NUMBERS).source();
            groups = tile.count(rows, columns);
        }
        boolean outFours = out.fours(true);
        List<Object> arguments = new ArrayList<>(List.of(a.argument(device), b.argument(device), out.argument(device), rows, columns, inner,
                batch.within, accumulate ? 1 : 0, outFours ? 1 : 0));
        a.strides(arguments);
        b.strides(arguments);
        out.strides(arguments);
        device.launch(kernel, groups * batch.count(), arguments.toArray());
    }

    /** The number of rows that items hold sums of; fewer kinds of kernels are fewer to compile. */
    static int held(long rows) {
        return rows == 1 ? 1 : rows <= ProductTexts.SKINNY_ROWS / 2 ? ProductTexts.SKINNY_ROWS / 2 : ProductTexts.SKINNY_ROWS;
    }

    /**
     * Of the tiles of which there are enough for all units, the fastest on this device, otherwise the smallest. All sum an element in one
     * item and in the order of the inner axis, so the result has the same bits in each.
     */
    Tile tile(long rows, long columns, long count, int width) {
        return first(device.tiles(), rows, columns, count, width);
    }

    /** The same by size alone, the largest first: for kernels whose sums are rounded differently in other tiles. */
    Tile tileBySize(long rows, long columns, int width) {
        return first(Tile.CHOICES, rows, columns, 1, width);
    }

    private Tile first(List<Tile> order, long rows, long columns, long count, int width) {
        List<Tile> fitting = order.stream().filter(t -> t.fits(width)).toList();
        return fitting.stream().filter(t -> t.count(rows, columns) * count >= (long) TILES_PER_UNIT * device.units()).findFirst()
                .orElse(Collections.min(fitting, Comparator.comparing(Tile::rows)));
    }
}
