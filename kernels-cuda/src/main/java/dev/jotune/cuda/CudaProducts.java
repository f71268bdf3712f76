package dev.jotune.cuda;

import dev.jotune.cuda.GemmSources.Mma;
import dev.jotune.cuda.GemmSources.MmaF32;
import dev.jotune.cuda.GemmSources.Plain;
import dev.jotune.cuda.GemmSources.Size;
import dev.jotune.cuda.GemmSources.Wgmma;
import dev.jotune.cuda.TensorMaps.Swizzle;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.RowLoop;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * Chooses and launches products of halves on tensor cores, and those of F32 where {@link Fp32Precision} lets them; all others are left to the
 * kernels that every device has. Halves are multiplied as they are and summed in F32, so nothing is less exact here than there.
 *
 * <p>Which kernel is fastest at which size was reasoned from bytes and operations; a benchmark of the ladder chooses them one by one.
 */
final class CudaProducts {
    /** Which kernels are used: {@code auto}, or for measuring one of the ladder wherever it can; see {@link Way}. */
    static final String PROPERTY = "jotune.cuda.products";
    /** Up to here reading the larger operand is the bound, which the portable kernel for few rows does once. */
    private static final long FEW = 8;
    /** Sizes that the kernels' 32-bit indices hold with a tile to spare. */
    private static final long LARGEST = 1 << 30;
    /** Bytes at whose multiples lines begin. */
    private static final int CHUNK = 16;
    /**
     * Lines that meet an operand from which a copy of it pays: it moves eight bytes a number, at 3 TB/s the time of about 300 multiply-adds that
     * warp groups save, if warps have two fifths of their speed.
     */
    private static final long COPIED = 512;
    private static final int HOPPER = 90;

    private final CudaBackend device;
    private final Way way;

    /** The ladder: which kernel, with which tile, how many groups fetching together. In the property a hyphen stands for an underscore. */
    enum Way {
        AUTO(Size.SMALL, 0, 1), PORTABLE(Size.SMALL, 0, 1), PLAIN(Size.SMALL, 0, 1), MMA_SMALL(Size.SMALL, 0, 1), MMA_MEDIUM(Size.MEDIUM, 0, 1),
        MMA_LARGE(Size.LARGE, 0, 1), WGMMA_128(Size.LARGE, 128, 1), WGMMA_256(Size.LARGE, 256, 1), WGMMA_PAIRS(Size.LARGE, 256, 2);

        private final Size size;
        private final int columns;
        private final int cluster;

        Way(Size size, int columns, int cluster) {
            this.size = size;
            this.columns = columns;
            this.cluster = cluster;
        }
    }

    CudaProducts(CudaBackend device) {
        this(device, wanted());
    }

    CudaProducts(CudaBackend device, Way way) {
        this.device = device;
        this.way = way;
    }

    private static Way wanted() {
        String wanted = System.getProperty(PROPERTY, "auto");
        return Arrays.stream(Way.values()).filter(w -> w.name().equals(wanted.toUpperCase(Locale.ROOT).replace('-', '_'))).findFirst()
                .orElseThrow(() -> new IllegalArgumentException(PROPERTY + " is '" + wanted + "'. Use one of "
                        + Arrays.toString(Way.values()).toLowerCase(Locale.ROOT).replace('_', '-') + "."));
    }

    /** The rung that is used. */
    Way way() {
        return way;
    }

    /** Numbers by which the inner axis goes on, BF16 and of the layout of a and b: {@code [M, R], [R, N]}. */
    record Extra(Tensor a, Tensor b) {}

    /**
     * {@code out (+)= a b}, as {@link dev.jotune.tensor.Backend#matmul} has it; no size is zero.
     *
     * @return false if nothing was done, because other kernels are better at it
     */
    boolean tryMultiply(Tensor a, Tensor b, Tensor out, boolean accumulate) {
        DType type = a.dtype();
        Fp32Precision precision = type == DType.F32 ? Fp32Precision.wanted() : Fp32Precision.IEEE;
        if (way == Way.PORTABLE || device.chip() < CudaSource.Chip.SM80.capability() || type != b.dtype()
                || !half(type) && precision == Fp32Precision.IEEE || !half(out.dtype()) && out.dtype() != DType.F32) {
            return false;
        }
        if (out.stride(-1) != 1 && out.stride(-2) == 1) {
            // The transposed product is the same.
            return tryMultiply(b.transpose(-2, -1), a.transpose(-2, -1), out.transpose(-2, -1), accumulate);
        }
        long rows = out.size(-2);
        long columns = out.size(-1);
        long inner = a.size(-1);
        if (Math.min(rows, columns) <= FEW && way == Way.AUTO || Math.max(Math.max(rows, columns), inner) > LARGEST) {
            return false;
        }
        RowLoop loop = RowLoop.over(Arrays.copyOf(out.shape(), out.rank() - 2), false, first(a), first(b), first(out));
        if (loop.outerRank() > 1) {
            return false;
        }
        Batches batches = Batches.of(loop);
        Side left = Side.of(a, batches, 0);
        Side right = Side.of(b.transpose(-2, -1), batches, 1);
        boolean done = left.matrix.rank() == out.rank() && switch (precision) {
            case IEEE -> tryGroups(left, right, out, 1, accumulate, Optional.empty());
            case TF32 -> tryRounded(left, right, out, accumulate);
            case BF16X6 -> false;
        };
        if (done) {
            return true;
        }
        boolean lines = left.aligned && right.aligned && way != Way.PLAIN;
        List<Object> arguments = new ArrayList<>(List.of(a, b, out, rows, columns, inner, batches.within, accumulate ? 1 : 0));
        CudaSource kernel;
        long groups;
        if (!half(type)) {
            boolean pieces = precision == Fp32Precision.BF16X6;
            Size size = size(pieces ? Size.CHOICES_OF_PIECES : Size.CHOICES, rows, columns, batches.count());
            kernel = new MmaF32(out.dtype(), pieces, lines, left.inner, right.inner, size).source();
            groups = size.tiles(rows, columns);
        } else if (lines) {
            Size size = size(Size.CHOICES, rows, columns, batches.count());
            kernel = new Mma(type, out.dtype(), left.inner, right.inner, size).source();
            groups = size.tiles(rows, columns);
            arguments.add(pairs(out, batches) ? 1 : 0);
        } else {
            kernel = new Plain(type, out.dtype()).source();
            groups = (rows + Plain.TILE - 1) / Plain.TILE * ((columns + Plain.TILE - 1) / Plain.TILE);
        }
        for (int k = 0; k < 3; k++) {
            Tensor t = List.of(a, b, out).get(k);
            arguments.addAll(List.of(t.stride(-2), t.stride(-1), batches.outerStride[k], batches.withinStride[k]));
        }
        device.launch(kernel, groups * batches.count(), 1, 1, arguments.toArray());
        return true;
    }

    private static final Batches ALONE = new Batches(1, 1, new long[1], new long[1]);

    /** Matrices walked along two axes: their numbers, and for a, b and out the strides. */
    private record Batches(long outer, long within, long[] outerStride, long[] withinStride) {
        static Batches of(RowLoop loop) {
            long[] outerStride = new long[loop.step.length];
            for (int k = 0; k < outerStride.length && loop.outerRank() > 0; k++) {
                outerStride[k] = loop.outerStride(k, 0);
            }
            return new Batches(loop.outerRank() == 0 ? 1 : loop.outerSize(0), loop.length, outerStride, loop.step);
        }

        long count() {
            return outer * within;
        }
    }

    /**
     * An operand with its lines.
     *
     * @param matrix {@code [.., M or N, K]}
     * @param inner whether lines lie along the inner axis, not across it
     * @param aligned whether it has lines at all, and all of them begin at multiples of 16 bytes
     */
    private record Side(Tensor matrix, boolean inner, boolean aligned) {
        static Side of(Tensor matrix, Batches batches, int operand) {
            boolean inner = isOne(matrix, -1) && !(isOne(matrix, -2) && matrix.stride(-1) > matrix.stride(-2));
            int along = inner ? -1 : -2;
            int across = inner ? -2 : -1;
            int chunk = CHUNK / matrix.dtype().byteSize();
            boolean aligned = isOne(matrix, along) && matrix.offset() % chunk == 0
                    && (matrix.size(across) == 1 || matrix.stride(across) % chunk == 0)
                    && batches.outerStride[operand] % chunk == 0 && batches.withinStride[operand] % chunk == 0;
            return new Side(matrix, inner, aligned);
        }

        private static boolean isOne(Tensor t, int axis) {
            return t.stride(axis) == 1 || t.size(axis) == 1;
        }

        /** Whether each matrix of a batch is another one. */
        boolean batched() {
            return matrix.rank() == 3 && matrix.size(0) > 1 && matrix.stride(0) != 0;
        }

        /** {@code [B, lines, along]}, as boxes are taken from it; B is 1 where all matrices are one. */
        Tensor lines() {
            Tensor turned = inner ? matrix : matrix.transpose(-2, -1);
            return batched() ? turned : alone(turned.rank() == 3 ? turned.select(0, 0) : turned);
        }
    }

    /** Whether this device has the kernel of warp groups. */
    boolean hasGroups() {
        return device.chip() == HOPPER && (way == Way.AUTO || way.columns > 0);
    }

    /**
     * A product of which the left operand comes in pieces, with what joins it, in one pass over out.
     *
     * @param pieces {@code [P, M, K]} BF16, rows contiguous; the operand is their sum
     * @param b {@code [K, N]} BF16
     * @param out {@code [M, N]} F32
     * @return false if nothing was done, because this device or layout does not have it
     */
    boolean tryPieces(Tensor pieces, Tensor b, Tensor out, boolean accumulate, Optional<Extra> extra) {
        if (Math.max(Math.max(pieces.size(1), b.size(1)), pieces.size(2)) > LARGEST || pieces.dtype() != DType.BF16 || b.dtype() != DType.BF16) {
            return false;
        }
        long step = pieces.size(0) == 1 ? 0 : pieces.stride(0);
        Side left = Side.of(pieces, new Batches(1, pieces.size(0), new long[1], new long[] {step}), 0);
        return left.inner && tryGroups(left, Side.of(b.transpose(0, 1), ALONE, 0), out, Math.toIntExact(pieces.size(0)), accumulate, extra);
    }

    /** The product on compute capability 9.0 through tensor maps, where all operands suit them. */
    private boolean tryGroups(Side left, Side right, Tensor out, int passes, boolean accumulate, Optional<Extra> extra) {
        if (!hasGroups() || !suits(left, right, out, accumulate) || !ready(left) || !ready(right)) {
            return false;
        }
        long rows = out.size(-2);
        long columns = out.size(-1);
        long inner = left.matrix.size(-1);
        long batches = out.rank() == 3 ? out.size(0) : 1;
        int tile = tile(rows, columns, batches);
        int cluster = way.cluster;
        long teams = teams(rows, columns, batches);
        if (way == Way.AUTO && passes == 1 && extra.isEmpty() && few(teams, inner)) {
            return false;
        }
        Wgmma kernel = new Wgmma(left.matrix.dtype(), out.dtype(), left.inner, right.inner, tile, cluster, extra.isPresent());
        List<Object> arguments = new ArrayList<>(List.of(map(left, Wgmma.ROWS), map(right, kernel.bRows()),
                TensorMaps.of(batches(out), new int[] {1, Wgmma.PIECE_ROWS, kernel.pieceColumns()}, Swizzle.BYTES_128)));
        extra.ifPresent(e -> {
            Side a = new Side(e.a, left.inner, true);
            Side b = new Side(e.b.transpose(-2, -1), right.inner, true);
            arguments.addAll(List.of(map(a, Wgmma.ROWS), map(b, kernel.bRows()), e.a.size(-1)));
        });
        arguments.addAll(List.of(rows, columns, inner, passes, batches, passes == 1 && left.batched() ? 1 : 0, right.batched() ? 1 : 0,
                accumulate ? 1 : 0));
        device.launch(kernel.source(), cluster * Math.min(teams, device.units() / cluster), 1, 1, arguments.toArray());
        return true;
    }

    /** What the kernel of warp groups can make of them, if lines were where it wants them. */
    private static boolean suits(Side left, Side right, Tensor out, boolean accumulate) {
        return out.rank() <= 3 && right.matrix.rank() == out.rank() && mapped(batches(out))
                && (out.dtype() == DType.F32 || out.dtype() == left.matrix.dtype() && !accumulate);
    }

    private static boolean ready(Side side) {
        return side.aligned && mapped(side.lines());
    }

    /** Columns of a tile: the most of which each unit still gets one. */
    private int tile(long rows, long columns, long batches) {
        long wide = 2L * Wgmma.ROWS;
        long tiles = (rows + Wgmma.ROWS - 1) / Wgmma.ROWS * ((columns + wide - 1) / wide) * batches;
        return way.columns > 0 ? way.columns : tiles >= device.units() ? (int) wide : Wgmma.ROWS;
    }

    /** Clusters that have a tile each. */
    private long teams(long rows, long columns, long batches) {
        long height = (long) Wgmma.ROWS * way.cluster;
        int tile = tile(rows, columns, batches);
        return (rows + height - 1) / height * ((columns + tile - 1) / tile) * batches;
    }

    /** Whether smaller tiles keep more units busy. */
    private boolean few(long teams, long inner) {
        return teams < device.units() / 2 && inner < 2L * Wgmma.ROWS;
    }

    /** A product in TF32 on warp groups, which read it along the inner axis alone: what lies across it is copied where that pays. */
    private boolean tryRounded(Side left, Side right, Tensor out, boolean accumulate) {
        long rows = out.size(-2);
        long columns = out.size(-1);
        boolean pays = (along(left) || columns >= COPIED) && (along(right) || rows >= COPIED) || way.columns > 0;
        if (!hasGroups() || !pays || !suits(left, right, out, accumulate)
                || way == Way.AUTO && few(teams(rows, columns, out.rank() == 3 ? out.size(0) : 1), left.matrix.size(-1))) {
            return false;
        }
        try (Scope _ = Scope.open()) {
            return tryGroups(alongInner(left), alongInner(right), out, 1, accumulate, Optional.empty());
        }
    }

    private static boolean along(Side side) {
        return side.inner && ready(side);
    }

    /** The operand with its lines along the inner axis: itself, or a copy. */
    private Side alongInner(Side side) {
        if (along(side)) {
            return side;
        }
        Tensor m = side.matrix.rank() == 3 && !side.batched() ? side.matrix.slice(0, 0, 1) : side.matrix;
        long[] shape = m.shape();
        long[] padded = shape.clone();
        int chunk = CHUNK / m.dtype().byteSize();
        padded[m.rank() - 1] = (m.size(-1) + chunk - 1) / chunk * chunk;
        Tensor copy = Tensor.empty(device, m.dtype(), padded).slice(m.rank() - 1, 0, m.size(-1));
        copy.copyFrom(m);
        return new Side(side.matrix.rank() == 3 && !side.batched() ? copy.expand(side.matrix.shape()) : copy, true, true);
    }

    private static TensorMaps.Map map(Side side, int rows) {
        Tensor lines = side.lines();
        return lines.dtype() == DType.F32
                ? TensorMaps.rounded(lines, new int[] {1, rows, GemmSources.LINE / DType.F32.byteSize()}, Swizzle.BYTES_128)
                : TensorMaps.of(lines, new int[] {1, side.inner ? rows : GemmSources.BOX, GemmSources.BOX}, Swizzle.BYTES_128);
    }

    /** {@code [1, lines, along]}: a batch whose next matrix, were there one, would lie behind this, since maps have no strides of zero. */
    static Tensor alone(Tensor t) {
        return t.unfold(0, t.size(0), t.size(0), 1).transpose(-2, -1);
    }

    private static Tensor batches(Tensor out) {
        return out.rank() == 3 && out.size(0) > 1 ? out : alone(out.rank() == 3 ? out.select(0, 0) : out);
    }

    /** Whether a tensor map can describe it: contiguous lines, that and whose batches begin at multiples of 16 bytes. */
    private static boolean mapped(Tensor t) {
        long unit = CHUNK / t.dtype().byteSize();
        return t.stride(2) == 1 && t.stride(1) % unit == 0 && t.stride(0) % unit == 0 && t.offset() % unit == 0;
    }

    /** Whether the kernel may write two neighbours at once, always. */
    private static boolean pairs(Tensor out, Batches batches) {
        return out.stride(-1) == 1 && out.offset() % 2 == 0 && (out.size(-2) == 1 || out.stride(-2) % 2 == 0)
                && batches.outerStride[2] % 2 == 0 && batches.withinStride[2] % 2 == 0;
    }

    /** The largest tile of which there is one for each unit; the smallest if there never is. */
    private Size size(List<Size> choices, long rows, long columns, long count) {
        if (way != Way.AUTO) {
            return choices.contains(way.size) ? way.size : choices.getFirst();
        }
        return choices.stream().filter(s -> s.sharedBytes() <= device.info().shared() && s.tiles(rows, columns) * count >= device.units())
                .findFirst().orElse(Size.SMALL);
    }

    private static boolean half(DType type) {
        return type == DType.BF16 || type == DType.F16;
    }

    /** The first element of each matrix. */
    private static Tensor first(Tensor t) {
        return t.select(-1, 0).select(-1, 0);
    }
}
