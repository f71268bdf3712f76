package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.L;

import dev.jotune.tensor.DType;

/**
 * Matrix products in F32: {@code C[m,n] = A[m,k] B[k,n]} or {@code C += A B}, with any strides of A and B, unit
 * column stride of C, and A or B stored as F32, BF16 or F16.
 *
 * <p>Three paths. Few rows against a transposed weight: dot products over the weight as it lies
 * ({@link GemmDot}). Few rows against a row-major B: tiles over B as it lies. Everything else: B is packed in
 * panels of {@link #NR} columns, A (where it pays) in strips of 6 rows, and 6 x NR tiles run over all of K up to
 * {@link #KC} at a time; splitting K earlier loses 2 to 10 %. The summation order depends on the shape alone,
 * never on the number of threads.
 */
public final class Gemm {
    /**
     * Columns of a panel. Four vectors where there are 32 vector registers; two on 256-bit machines, which
     * usually have 16.
     */
    static final int NR = L == 8 ? 2 * L : 4 * L;
    private static final int KC = 1024;
    /** Floats of packed A at a time. */
    private static final long A_FLOATS = 2 << 20;
    /** Rows up to which dot products over an unpacked transposed B beat packing it. */
    private static final int DOT_ROWS = 10;
    /** Rows up to which an unpacked row-major B is read in place. */
    private static final int DIRECT_ROWS = 96;
    /** Multiply-adds that justify a task of their own: about 10 to 20 microseconds. */
    static final long TASK = 1 << 20;

    private Gemm() {
    }

    /**
     * {@code C = A B}, or {@code C += A B} if {@code add}.
     *
     * @param m    rows of A and C, 0 allowed
     * @param n    columns of B and C, 0 allowed
     * @param k    columns of A and rows of B; 0 gives zeros, or leaves C as it is when adding
     * @param c    address of C, F32, columns contiguous
     * @param crs  elements from one row of C to the next
     */
    public static void run(int m, int n, int k, Matrix a, Matrix b, long c, long crs, boolean add) {
        GemmPack.check(a.type());
        GemmPack.check(b.type());
        if (m <= 0 || n <= 0) {
            return;
        }
        if (k <= 0) {
            for (int i = 0; i < m && !add; i++) {
                Mem.zero(c + 4 * crs * i, 4L * n);
            }
            return;
        }
        boolean transposed = b.rowStride() == 1 && b.colStride() != 1 || n == 1 && b.rowStride() == 1;
        if (transposed && k >= 2 * L && (m <= DOT_ROWS || n <= 4)) {
            GemmDot.run(m, n, k, a, b, c, crs, add);
        } else if (b.colStride() == 1 && b.type() == DType.F32 && m <= DIRECT_ROWS) {
            direct(m, n, k, a, b, c, crs, add);
        } else {
            packed(m, n, k, a, b, c, crs, add);
        }
    }

    /**
     * {@code count} products of one shape; operands of product i lie at the given addresses (bytes), with the types
     * and strides of {@code a} and {@code b} (whose own addresses are ignored). The targets must not overlap.
     */
    public static void batched(int count, int m, int n, int k, long[] as, Matrix a, long[] bs, Matrix b,
            long[] cs, long crs, boolean add) {
        long work = (long) m * n * Math.max(k, 1);
        if (count == 1 || work >= 64 * TASK) {
            for (int i = 0; i < count; i++) {
                run(m, n, k, a.at(as[i]), b.at(bs[i]), cs[i], crs, add);
            }
            return;
        }
        int tasks = tasks(count, work * count);
        Parallel.run(tasks, t -> {
            for (int i = (int) ((long) count * t / tasks); i < (long) count * (t + 1) / tasks; i++) {
                run(m, n, k, a.at(as[i]), b.at(bs[i]), cs[i], crs, add);
            }
        });
    }

    /** How many tasks {@code units} pieces of {@code work} multiply-adds in all are worth. */
    static int tasks(int units, long work) {
        return (int) Math.max(1, Math.min(Math.min(units, 8L * Parallel.sharedThreads()), work / TASK));
    }

    // Few rows, B row-major: one pass over B, nothing packed but A if it must be widened.
    private static void direct(int m, int n, int k, Matrix a, Matrix b, long c, long crs, boolean add) {
        boolean pack = a.type() != DType.F32;
        long pa = pack ? Scratch.get(Scratch.GEMM_A, 4L * m * k) : 0;
        if (pack) {
            GemmPack.packA(a.type(), a.address(), a.rowStride(), a.colStride(), 0, m, m, k, pa);
        }
        int chunks = (n + NR - 1) / NR;
        int tasks = tasks(chunks, (long) m * n * k);
        Parallel.run(tasks, t -> {
            int to = (int) ((long) chunks * (t + 1) / tasks);
            for (int chunk = (int) ((long) chunks * t / tasks); chunk < to; chunk++) {
                int end = Math.min(n, (chunk + 1) * NR);
                for (int j = chunk * NR; j < end;) {
                    int width = width(end - j);
                    int cols = Math.min(width, end - j);
                    long panel = b.address() + 4L * j;
                    long rb = 4 * b.rowStride();
                    if (cols < width) {
                        long copy = Scratch.get(Scratch.GEMM_PANEL, 4L * k * width);
                        GemmPack.packB(DType.F32, panel, b.rowStride(), 1, cols, k, width, copy);
                        panel = copy;
                        rb = 4L * width;
                    }
                    rows(0, m, m, width, cols, k, pack ? pa : a.address(), pack, a.rowStride(), a.colStride(),
                            panel, rb, c + 4L * j, crs, add);
                    j += cols;
                }
            }
        });
    }

    private static void packed(int m, int n, int k, Matrix a, Matrix b, long c, long crs, boolean add) {
        int kBlocks = (k + KC - 1) / KC;
        int kc = (k + kBlocks - 1) / kBlocks;
        int mc = (int) Math.max(48, A_FLOATS / kc / 6 * 6);
        boolean pack = a.type() != DType.F32 || a.colStride() != 1 || m > 96 && (n >= 1536 || k >= 1536);
        int aSize = a.type().byteSize();
        int bSize = b.type().byteSize();
        for (int i = 0; i < m; i += mc) {
            int rows = Math.min(mc, m - i);
            for (int p = 0; p < k; p += kc) {
                Matrix blockA = a.at(a.address() + aSize * (i * a.rowStride() + p * a.colStride()));
                Matrix blockB = b.at(b.address() + (long) bSize * p * b.rowStride());
                block(rows, n, Math.min(kc, k - p), blockA, pack, blockB, c + 4L * i * crs, crs, add || p > 0);
            }
        }
    }

    // One block of rows and of K. Many panels: each task packs its own and runs it over all rows while it is hot.
    // Few panels: all are packed first, and tasks share them over groups of rows.
    private static void block(int m, int n, int k, Matrix a, boolean pack, Matrix b, long c, long crs, boolean add) {
        int chunks = (n + NR - 1) / NR;
        long work = (long) m * n * k;
        int threads = Parallel.sharedThreads();
        int groups = 1;
        if (chunks < 4 * threads && threads > 1) {
            groups = (int) Math.max(1, Math.min(Math.min(m / 48, work / TASK), 4 * threads / chunks));
        }
        boolean share = groups > 1;
        long pa = pack ? Scratch.get(Scratch.GEMM_A, 4L * m * k) : 0;
        long pb = share ? Scratch.get(Scratch.GEMM_B, 4L * chunks * NR * k) : 0;
        if (pack || share) {
            int packs = pack ? (m + 47) / 48 : 0;
            int units = packs + (share ? chunks : 0);
            // A packed element costs about as much as eight multiply-adds.
            int packTasks = tasks(units, 8L * k * ((pack ? m : 0) + (share ? n : 0)));
            Parallel.run(packTasks, t -> {
                for (int u = (int) ((long) units * t / packTasks); u < (long) units * (t + 1) / packTasks; u++) {
                    if (u < packs) {
                        GemmPack.packA(a.type(), a.address(), a.rowStride(), a.colStride(), u * 48,
                                Math.min(m, (u + 1) * 48), m, k, pa);
                    } else {
                        packChunk(u - packs, n, k, b, pb + 4L * (u - packs) * NR * k);
                    }
                }
            });
        }
        int rowGroups = groups;
        int tasks = share ? chunks * groups : tasks(chunks, work);
        Parallel.run(tasks, t -> {
            if (share) {
                int chunk = t / rowGroups;
                int group = t % rowGroups;
                int tiles = (m + 5) / 6;
                int from = (int) ((long) tiles * group / rowGroups) * 6;
                int to = Math.min(m, (int) ((long) tiles * (group + 1) / rowGroups) * 6);
                chunk(chunk, from, to, m, n, k, a, pack, pa, pb + 4L * chunk * NR * k, c, crs, add);
            } else {
                long panel = Scratch.get(Scratch.GEMM_PANEL, 4L * NR * k);
                int end = (int) ((long) chunks * (t + 1) / tasks);
                for (int chunk = (int) ((long) chunks * t / tasks); chunk < end; chunk++) {
                    packChunk(chunk, n, k, b, panel);
                    chunk(chunk, 0, m, m, n, k, a, pack, pa, panel, c, crs, add);
                }
            }
        });
    }

    private static void packChunk(int chunk, int n, int k, Matrix b, long out) {
        int start = chunk * NR;
        int end = Math.min(n, start + NR);
        for (int j = start; j < end;) {
            int width = width(end - j);
            int cols = Math.min(width, end - j);
            long from = b.address() + b.colStride() * j * b.type().byteSize();
            GemmPack.packB(b.type(), from, b.rowStride(), b.colStride(), cols, k, width, out + 4L * (j - start) * k);
            j += cols;
        }
    }

    private static void chunk(int chunk, int from, int to, int m, int n, int k, Matrix a, boolean pack, long pa,
            long panels, long c, long crs, boolean add) {
        int start = chunk * NR;
        int end = Math.min(n, start + NR);
        for (int j = start; j < end;) {
            int width = width(end - j);
            int cols = Math.min(width, end - j);
            rows(from, to, m, width, cols, k, pack ? pa : a.address(), pack, a.rowStride(), a.colStride(),
                    panels + 4L * (j - start) * k, 4L * width, c + 4L * j, crs, add);
            j += cols;
        }
    }

    /** Width of the next panel: the narrowest of one, two or four vectors that wastes less than one vector. */
    private static int width(int left) {
        return NR == 4 * L && left > 3 * L ? 4 * L : left > L ? 2 * L : L;
    }

    /** Tiles of rows {@code [from, to)} of {@code m} against one panel; {@code cols < width} at the edge of C. */
    static void rows(int from, int to, int m, int width, int cols, int k, long a, boolean packed, long ars,
            long acs, long panel, long rb, long c, long crs, boolean add) {
        for (int i = from; i < to;) {
            int h = GemmPack.tileRows(i, m);
            long ai = a + 4 * (packed ? (long) i * k : i * ars);
            long ra = packed ? 4 : 4 * ars;
            long ca = packed ? 4L * h : 4 * acs;
            long ci = c + 4 * crs * i;
            if (cols == width) {
                tile(width, h, add, ai, ra, ca, panel, rb, ci, 4 * crs, k);
            } else {
                long edge = Scratch.get(Scratch.GEMM_TILE, 4L * 6 * NR);
                tile(width, h, false, ai, ra, ca, panel, rb, edge, 4L * width, k);
                for (int r = 0; r < h; r++) {
                    for (int j = 0; j < cols; j++) {
                        long target = ci + 4 * (crs * r + j);
                        float value = Mem.f32(edge + 4L * (r * width + j));
                        Mem.f32(target, add ? Mem.f32(target) + value : value);
                    }
                }
            }
            i += h;
        }
    }

    static void tile(int width, int h, boolean add, long a, long ra, long ca, long b, long rb, long c, long rc,
            int k) {
        if (add) {
            // The tile is added from L1: 24 more loads in a tile of 6 x 4 vectors would be too many for the compiler.
            long sum = Scratch.get(Scratch.GEMM_TILE, 4L * 6 * NR);
            tile(width, h, false, a, ra, ca, b, rb, sum, 4L * width, k);
            for (int i = 0; i < h; i++) {
                AttentionRows.add(c + i * rc, sum + 4L * i * width, width);
            }
        } else if (width == 4 * L) {
            Tiles4.run(h, a, ra, ca, b, rb, c, rc, k);
        } else if (width == 2 * L) {
            Tiles2.run(h, a, ra, ca, b, rb, c, rc, k);
        } else {
            Tiles1.run(h, a, ra, ca, b, rb, c, rc, k);
        }
    }
}
