package dev.jotune.tensor.cpu.simd;

import dev.jotune.tensor.DType;

/**
 * Products with a weight in {@link Panels}, in both directions from the one copy.
 *
 * <p>Forward, a thread takes a block of rows of x, packs it in {@link Strips} that stay in its second-level cache, and runs
 * every panel over them; the panels pass by from the cache behind. Few rows share the panels out instead, and are read as they
 * lie, eight at a time ({@link TallTiles}), where they come out even. Backward, W is
 * first turned a few megabytes at a time, which costs one or two operations for each of its numbers against two for each of
 * its numbers and every row, and the same product runs over what was turned. What joins the product is where its sums
 * begin: a low-rank term is one more short product into the panel that then goes on, a bias or a residual is read
 * instead of zeros. The order of a sum depends on the shape alone, never on the number of threads.
 */
public final class GemmFrozen {
    /** Steps of the inner sum at a time: more, and a panel with a block of rows outgrows a second-level cache of 1 MB. */
    private static final int KC = 1024;
    /** Floats of x that are packed at a time: 384 KB. */
    private static final int BLOCK = 96 << 10;
    /** Below this many rows for each thread panels are shared out instead of rows. */
    private static final int FEW = 48;
    /** Floats of W that are turned at a time: 8 MB. */
    private static final int TURNED = 2 << 20;
    private static final int NR = Gemm.NR;
    /** Whether eight rows by two vectors of sums leave registers for the rest. */
    private static final boolean TALL = NR == 4 * Mem.L;

    private GemmFrozen() {
    }

    /**
     * What a product begins with: {@code left right^T}, and {@code start}.
     *
     * @param rank  columns of left and right, 0 for none
     * @param start address of {@code [M, N]} in F32, of a row {@code [N]} if {@code startStep} is 0; 0 for none
     * @param startStep elements from one row of it to the next
     */
    public record Begin(int rank, Matrix left, Matrix right, long start, long startStep) {
        /** Zeros. */
        public static final Begin ZERO = new Begin(0, null, null, 0, 0);
    }

    /** {@code y [m, n] = begin + x [m, k] W^T}; rows of x and y contiguous. */
    public static void product(int m, Panels w, long x, long y, Begin begin) {
        run(m, w, x, w.k(), y, w.n(), begin);
    }

    /** {@code dx [m, k] = begin + dy [m, n] W}. */
    public static void productBack(int m, Panels w, long dy, long dx, Begin begin) {
        int k = w.k();
        int n = w.n();
        int outputs = Panels.count(k);
        int block = (int) Math.min(n, Math.max(1, TURNED / ((long) outputs * NR) / NR) * NR);
        long turned = Scratch.get(Scratch.GEMM_B, 4L * outputs * NR * block);
        for (int from = 0; from < n; from += block) {
            int steps = Math.min(block, n - from);
            int first = from / NR;
            int panels = Panels.count(steps);
            Parallel.run(outputs * panels, t -> {
                int o = t / panels;
                int j = t % panels;
                w.transposed(first + j, o * NR, Math.min(NR, k - o * NR), turned + 4L * NR * ((long) o * steps + (long) j * NR), 4L * NR);
            });
            Panels part = new Panels(turned, DType.F32, k, steps);
            run(m, part, dy + 4L * from, n, dx, k, from == 0 ? begin : new Begin(0, null, null, dx, k));
        }
    }

    /**
     * A part of a product: rows {@code [from, to)} of x, panels {@code [first, last)}, all steps.
     *
     * @param few whether it has all rows, and they are few
     */
    private record Part(int from, int to, int first, int last, boolean few) {
        /** Rows that are taken together from row {@code i} of {@code m} on. */
        int height(int i, int m) {
            return few ? GemmFrozen.height(m - i) : Strips.rows(i, m);
        }
    }

    /** Of few rows: eight while eights, and then nothing, a four or a five come out even; else a strip's. */
    static int height(int left) {
        int over = left % TallTiles.ROWS;
        boolean tall = TALL && left >= TallTiles.ROWS && (over == 0 || over == 4 || over == 5);
        return tall ? TallTiles.ROWS : Strips.rows(0, left);
    }

    private static void run(int m, Panels w, long x, long xStep, long y, long yStep, Begin begin) {
        int n = w.n();
        int panels = Panels.count(n);
        int threads = Parallel.sharedThreads();
        int rank = begin.rank();
        long right = rank > 0 ? Scratch.get(Scratch.FROZEN_RIGHT, 4L * panels * NR * rank) : 0;
        if (rank > 0) {
            Panels factor = new Panels(right, DType.F32, n, rank);
            factor.fill(begin.right());
        }
        if (m >= FEW * threads) {
            int strips = (m + Strips.ROWS - 1) / Strips.ROWS;
            int rows = Math.max(FEW, BLOCK / Math.min(KC, w.k()));
            int blocks = ((m + rows - 1) / rows + threads - 1) / threads * threads;
            Parallel.run(blocks, t -> {
                int from = (int) ((long) strips * t / blocks) * Strips.ROWS;
                int to = Math.min(m, (int) ((long) strips * (t + 1) / blocks) * Strips.ROWS);
                part(new Part(from, to, 0, panels, false), m, w, x, xStep, y, yStep, begin, right);
            });
        } else {
            // Each task packs what it must of all rows: a thread alone does so once.
            int tasks = threads == 1 ? 1 : Gemm.tasks(panels, Math.max((long) m * n * w.k(), 4L * n * w.k()));
            Parallel.run(tasks, t -> part(new Part(0, m, (int) ((long) panels * t / tasks), (int) ((long) panels * (t + 1) / tasks), true),
                    m, w, x, xStep, y, yStep, begin, right));
        }
    }

    /**
     * The left factor of a part: strips, and for {@link TallTiles} rows.
     *
     * @param rows     address of row 0, read where a strip is eight high
     * @param rowBytes from one row to the next
     */
    private record Left(long strips, long rows, long rowBytes) {}

    private static void part(Part part, int m, Panels w, long x, long xStep, long y, long yStep, Begin begin, long right) {
        int rows = part.to - part.from;
        int k = w.k();
        int count = (k + KC - 1) / KC;
        int kc = (k + count - 1) / count;
        int rank = begin.rank();
        long strips = Scratch.get(Scratch.FROZEN_A, 4L * rows * (kc + rank));
        Left low = new Left(strips + 4L * rows * kc, strips + 4L * rows * kc, 4L * rank);
        if (rank > 0) {
            for (int i = part.from; i < part.to; i += part.height(i, m)) {
                Strips.packAny(begin.left(), i, part.height(i, m), rank, low.strips + 4L * (i - part.from) * rank);
            }
        }
        for (int p = 0; p < k; p += kc) {
            int steps = Math.min(kc, k - p);
            for (int i = part.from; i < part.to; i += part.height(i, m)) {
                Strips.pack(x + 4L * p + 4 * xStep * i, 4 * xStep, part.height(i, m), steps, strips + 4L * (i - part.from) * steps);
            }
            Left left = new Left(strips, x + 4L * p, 4 * xStep);
            for (int j = part.first; j < part.last; j++) {
                int columns = w.columns(j);
                long target = y + 4L * j * NR;
                boolean begun = p > 0 || rank > 0;
                long start = begun ? target : begin.start() == 0 ? 0 : begin.start() + 4L * j * NR;
                if (rank > 0 && p == 0) {
                    panel(part, m, columns, false, low, right + 4L * j * NR * rank, rank,
                            begin.start() == 0 ? 0 : begin.start() + 4L * j * NR, begin.startStep(), target, yStep);
                }
                boolean narrow = w.type() == DType.BF16;
                long panel = narrow ? w.at(j, p) : w.wide(j, p, steps, Scratch.get(Scratch.GEMM_PANEL, 4L * NR * steps));
                panel(part, m, columns, narrow, left, panel, steps, start, begun ? yStep : begin.startStep(), target, yStep);
            }
        }
    }

    /** One panel of {@code columns} columns under all strips of a part; start and y are those of the panel's first column. */
    private static void panel(Part part, int m, int columns, boolean narrow, Left left, long panel, int k, long start, long startStep,
            long y, long yStep) {
        long zeros = start == 0 ? Scratch.zeros() : 0;
        boolean whole = columns == NR;
        long edge = whole ? 0 : Scratch.get(Scratch.GEMM_TILE, 4L * TallTiles.ROWS * NR);
        for (int i = part.from; i < part.to;) {
            int h = part.height(i, m);
            long to = y + 4 * yStep * i;
            long from = start == 0 ? zeros : start + 4 * startStep * i;
            long fromStep = start == 0 ? 0 : 4 * startStep;
            boolean tall = h == TallTiles.ROWS;
            long a = tall ? left.rows + left.rowBytes * i : left.strips + 4L * (i - part.from) * k;
            long out = whole ? to : edge;
            long outStep = whole ? 4 * yStep : 4L * NR;
            if (!whole && start != 0) {
                copy(from, fromStep, edge, 4L * NR, h, columns);
                from = edge;
                fromStep = 4L * NR;
            }
            if (tall) {
                tall(narrow, a, left.rowBytes, panel, from, fromStep, out, outStep, k);
            } else {
                tile(narrow, h, a, panel, from, fromStep, out, outStep, k);
            }
            if (!whole) {
                copy(edge, 4L * NR, to, 4 * yStep, h, columns);
            }
            i += h;
        }
    }

    /** Eight rows by a panel, two vectors of its columns at a time. */
    private static void tall(boolean narrow, long a, long as, long b, long s, long rs, long c, long rc, int k) {
        for (int half = 0; half < 2; half++) {
            long side = 2L * half * Mem.LB;
            if (narrow) {
                TallTiles.bf16(a, as, b + side / 2, b + Mem.LB, s + side, rs, c + side, rc, k);
            } else {
                TallTiles.f32(a, as, b + side, b + 2L * Mem.LB, s + side, rs, c + side, rc, k);
            }
        }
    }

    private static void copy(long from, long fromStep, long to, long toStep, int rows, int columns) {
        for (int r = 0; r < rows; r++) {
            Convert.f32ToF32(from + fromStep * r, to + toStep * r, columns);
        }
    }

    private static void tile(boolean narrow, int h, long a, long b, long s, long rs, long c, long rc, int k) {
        if (NR == 4 * Mem.L) {
            if (narrow) {
                StripTiles4Bf16.run(h, a, b, s, rs, c, rc, k);
            } else {
                StripTiles4.run(h, a, b, s, rs, c, rc, k);
            }
        } else if (narrow) {
            StripTiles2Bf16.run(h, a, b, s, rs, c, rc, k);
        } else {
            StripTiles2.run(h, a, b, s, rs, c, rc, k);
        }
    }
}
