package dev.jotune.cuda;

import dev.jotune.cuda.CudaSource.Chip;
import dev.jotune.kernel.Param;
import dev.jotune.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The kernels of {@code out (+)= a b} on tensor cores: of halves a ladder of three, of which each is the last one's idea and one more; of F32 the
 * last two.
 */
final class GemmSources {
    /** Bytes along the inner axis in a box of the third kernel: as many as are permuted together. */
    static final int LINE = 128;
    /** The same in halves. */
    static final int BOX = LINE / Short.BYTES;
    /** Bytes of such a box of 64 lines. */
    private static final int BOX_BYTES = 64 * LINE;
    private static final int WARP = 32;
    private static final Map<Record, CudaSource> MADE = new ConcurrentHashMap<>();

    private GemmSources() {}

    /**
     * {@code gemm_mma_plain.cu}: any strides.
     *
     * @param in of a and b, BF16 or F16
     */
    record Plain(DType in, DType out) {
        static final int TILE = 64;

        CudaSource source() {
            return MADE.computeIfAbsent(this, k -> CudaSource.of("gemm_mma_plain", strided(in, out, List.of()),
                    Map.of("HALF_F16", bit(in == DType.F16)), 4 * WARP, 0, Chip.SM80));
        }
    }

    /**
     * The sizes of {@link Mma}.
     *
     * @param rows of a tile
     * @param columns of a tile
     * @param inner of a step
     * @param warpRows of a tile that a warp makes
     * @param warpColumns that a warp makes
     * @param stages steps in shared memory
     */
    record Size(int rows, int columns, int inner, int warpRows, int warpColumns, int stages) {
        /** 144 KiB of shared memory and 255 registers an item: one group on a unit, of compute capability 8.0 or 9.0. */
        static final Size LARGE = new Size(128, 256, 64, 64, 64, 3);
        /** 64 KiB: fits every chip, two groups on a unit of 8.0. */
        static final Size MEDIUM = new Size(128, 128, 32, 64, 64, 4);
        /** For products of few tiles. */
        static final Size SMALL = new Size(64, 64, 64, 32, 32, 3);
        /** For numbers in three pieces, which take the registers of half the sums, or with a low-rank term. 96 KiB. */
        static final Size PIECES = new Size(128, 128, 64, 64, 32, 3);
        /** The largest first. */
        static final List<Size> CHOICES = List.of(LARGE, MEDIUM, SMALL);
        static final List<Size> CHOICES_OF_PIECES = List.of(PIECES, SMALL);

        long tiles(long productRows, long productColumns) {
            return (productRows + rows - 1) / rows * ((productColumns + columns - 1) / columns);
        }

        long columnTiles(long productColumns) {
            return (productColumns + columns - 1) / columns;
        }

        int sharedBytes() {
            return sharedBytes(0);
        }

        /** With the lines of a low-rank term, of which each number is two. */
        int sharedBytes(int lowRank) {
            return stages * (rows + columns + 2 * lowRank) * inner * Short.BYTES;
        }

        int group() {
            return rows / warpRows * (columns / warpColumns) * WARP;
        }
    }

    /**
     * {@code gemm_mma.cu}: lines at multiples of 16 bytes.
     *
     * @param in of a and b, BF16 or F16
     * @param aInner whether a is contiguous along the inner axis, not across it; so for b
     * @param lowRank rank, as a multiple of {@link #RANKS}, of a term that comes along; 0: none
     */
    record Mma(DType in, DType out, boolean aInner, boolean bInner, Size size, int lowRank) {
        /** Numbers of the inner axis that one mma takes. */
        static final int RANKS = 16;
        /** Up to here the term's sums fit in registers. */
        static final int MOST_RANK = 64;

        Mma(DType in, DType out, boolean aInner, boolean bInner, Size size) {
            this(in, out, aInner, bInner, size, 0);
        }

        CudaSource source() {
            return MADE.computeIfAbsent(this, k -> make());
        }

        private CudaSource make() {
            Map<String, Integer> defines = new TreeMap<>(Map.of("BM", size.rows, "BN", size.columns, "BK", size.inner, "WM", size.warpRows, "WN",
                    size.warpColumns, "STAGES", size.stages, "A_INNER", bit(aInner), "B_INNER", bit(bInner), "HALF_F16", bit(in == DType.F16)));
            defines.put("OUT", out == DType.F32 ? 0 : out == DType.BF16 ? 1 : 2);
            defines.put("REGISTERS_FIRST", 1);
            defines.put("LOW_RANK", lowRank);
            List<Param> params = strided(in, out, List.of("out_pairs"));
            if (lowRank > 0) {
                params.addAll(List.of(Param.in("down", DType.BF16), Param.in("up", DType.F32), Param.in("bias", DType.F32),
                        Param.out("kept", DType.F32)));
                List.of("rank", "has_bias", "keeps").forEach(n -> params.add(Param.int32(n)));
                List.of("down_row", "up_row", "up_inner", "bias_step", "kept_row").forEach(n -> params.add(Param.int64(n)));
                params.add(Param.real("scale"));
            }
            return CudaSource.of(lowRank > 0 ? CudaSource.resource("gemm_low_rank.h") : "", "gemm_mma", params, defines, size.group(),
                    size.sharedBytes(lowRank), Chip.SM80);
        }
    }

    /**
     * {@code gemm_mma_f32.cu}: a and b in F32.
     *
     * @param split whether numbers are taken in three pieces, not rounded to TF32
     * @param chunks whether lines begin at multiples of 16 bytes; if not, strides may be any
     * @param aInner whether a's lines lie along the inner axis, not across it; so for b
     * @param size in halves, of which two take a number's place: half as many along the inner axis
     */
    record MmaF32(DType out, boolean split, boolean chunks, boolean aInner, boolean bInner, Size size) {
        CudaSource source() {
            return MADE.computeIfAbsent(this, k -> make());
        }

        private CudaSource make() {
            Map<String, Integer> defines = new TreeMap<>(Map.of("BM", size.rows, "BN", size.columns, "BK", size.inner / 2, "WM", size.warpRows, "WN",
                    size.warpColumns, "STAGES", size.stages, "A_INNER", bit(aInner), "B_INNER", bit(bInner), "CHUNKS", bit(chunks)));
            defines.putAll(Map.of("SPLIT", bit(split), "REGISTERS_FIRST", 1));
            return CudaSource.of("gemm_mma_f32", strided(DType.F32, out, List.of()), defines, size.group(), size.sharedBytes(), Chip.SM80);
        }
    }

    /**
     * {@code gemm_wgmma.cu}: through tensor maps, whose strides are multiples of 16 bytes.
     *
     * @param in of a and b, BF16 or F16; or F32, which is rounded to TF32 and must be contiguous along the inner axis
     * @param out F32, or what a and b are
     * @param aInner whether a is contiguous along the inner axis, not across it; so for b
     * @param columns of a tile: 128 or 256
     * @param cluster groups that fetch b together: 1 or 2
     * @param extra whether the inner axis goes on in two further operands
     */
    record Wgmma(DType in, DType out, boolean aInner, boolean bInner, int columns, int cluster, boolean extra) {
        static final int ROWS = 128;
        /** Lines of a piece of out that leaves at a time. */
        static final int PIECE_ROWS = 64;
        private static final int TEAMS = ROWS / PIECE_ROWS;
        private static final int TEAM = 128;

        Wgmma {
            if (in == DType.F32 && !(aInner && bInner && !extra)) {
                throw new IllegalArgumentException("Warp groups multiply TF32 only where both operands lie along the inner axis, and nothing"
                        + " follows them. Copy what lies across it, or use MmaF32.");
            }
        }

        CudaSource source() {
            return MADE.computeIfAbsent(this, k -> make());
        }

        /** Columns of a piece of out: a line of 128 bytes. */
        int pieceColumns() {
            return LINE / out.byteSize();
        }

        /** Numbers of the inner axis in a box. */
        int depth() {
            return LINE / in.byteSize();
        }

        /** Lines of b that one box brings, if it is contiguous along the inner axis. */
        int bRows() {
            return columns / cluster;
        }

        private CudaSource make() {
            // What fits beside the pieces of out.
            int stages = columns == 256 ? 4 : 6;
            Map<String, Integer> defines = new TreeMap<>(Map.of("BM", ROWS, "BN", columns, "STAGES", stages, "A_INNER", bit(aInner), "B_INNER",
                    bit(bInner), "HALF_F16", bit(in == DType.F16), "OUT_F32", bit(out == DType.F32), "CLUSTER", cluster, "EXTRA", bit(extra)));
            defines.put("REGISTERS_FIRST", 1);
            if (in == DType.F32) {
                defines.put("TF32", 1);
            }
            List<Param> params = new ArrayList<>(List.of(Param.tensorMap("a_map"), Param.tensorMap("b_map"), Param.tensorMap("out_map")));
            if (extra) {
                params.addAll(List.of(Param.tensorMap("a_extra_map"), Param.tensorMap("b_extra_map"), Param.int32("extra")));
            }
            for (String size : List.of("rows", "columns", "inner", "passes", "batches", "a_batched", "b_batched", "accumulate")) {
                params.add(Param.int32(size));
            }
            int shared = stages * (ROWS + columns) * LINE + 2 * TEAMS * BOX_BYTES + 2 * stages * Long.BYTES;
            CudaSource one = CudaSource.of(CudaSource.resource("wgmma_ring.h"), "gemm_wgmma", params, defines, TEAM * (1 + TEAMS), shared,
                    Chip.SM90A);
            return new CudaSource(one.kernel(), one.sharedBytes(), one.chip(), cluster);
        }
    }

    /**
     * {@code pieces.cu}: {@code x, y}, {@code rows, columns}, x's strides of a row and of a column, y's of a plane, a row and a column.
     *
     * @param first which piece the first plane gets
     */
    record Pieces(int first, int second, int third) {
        private static final int GROUP = 256;
        /** The smallest first, as sums like it. */
        static final Pieces ALL = new Pieces(2, 1, 0);
        /** The largest first. */
        static final Pieces FALLING = new Pieces(0, 1, 2);
        /** With {@link #RIGHT}: products of first pieces, and of a first with a second one. */
        static final Pieces LEFT = new Pieces(0, 0, 1);
        static final Pieces RIGHT = new Pieces(0, 1, 0);

        CudaSource source() {
            return MADE.computeIfAbsent(this, k -> {
                List<Param> params = new ArrayList<>(List.of(Param.in("x", DType.F32), Param.out("y", DType.BF16)));
                List.of("rows", "columns", "x_row", "x_column", "y_plane", "y_row", "y_column").forEach(n -> params.add(Param.int64(n)));
                return CudaSource.of("pieces", params, Map.of("P0", first, "P1", second, "P2", third), GROUP, 0, Chip.SM80);
            });
        }
    }

    /** What the kernels without tensor maps are given, as the portable kernels of products are. */
    private static List<Param> strided(DType in, DType out, List<String> flags) {
        List<Param> all = new ArrayList<>(List.of(Param.in("a", in), Param.in("b", in), Param.out("out", out)));
        for (String size : List.of("rows", "columns", "inner", "inner_batches", "accumulate")) {
            all.add(Param.int32(size));
        }
        flags.forEach(f -> all.add(Param.int32(f)));
        for (String stride : List.of("a_row", "a_inner", "a_outer", "a_within", "b_inner", "b_column", "b_outer", "b_within", "out_row",
                "out_column", "out_outer", "out_within")) {
            all.add(Param.int64(stride));
        }
        return all;
    }

    private static int bit(boolean b) {
        return b ? 1 : 0;
    }
}
