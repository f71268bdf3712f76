package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.L;

import dev.jotune.tensor.DType;

/**
 * {@code C = A B} for few rows of A and a B whose columns are contiguous (a weight {@code [n, k]} as stored, used
 * transposed): every weight row is read once, nothing is packed. F16 rows are widened a few at a time.
 */
final class GemmDot {
    /** 16 sums of vectors need 32 registers. */
    private static final boolean TALL = L != 8;

    /** A weight that comes from memory is read row by row, in one stream a thread; from the cache several rows at once. */
    private static final long ROWS_BYTES = 4 << 20;

    private GemmDot() {
    }

    static void run(int m, int n, int k, Matrix a, Matrix b, long c, long crs, boolean add) {
        if (m == 1 && !add && n > 1 && (b.type() == DType.F16 || (long) n * k * b.type().byteSize() > ROWS_BYTES)) {
            rows(n, k, a, b, c);
            return;
        }
        boolean pairs = b.type() == DType.BF16;
        int unit = pairs ? 2 * L : L;
        long x = a.address();
        long xs = 4 * a.rowStride();
        if (pairs || a.type() != DType.F32 || a.colStride() != 1) {
            x = prepare(m, k, a, pairs ? k / unit * unit : 0);
            xs = 4L * k;
        }
        long rows = x;
        long rowStep = xs;
        int width = m == 1 ? 8 : 4;
        int groups = (n + width - 1) / width;
        int tasks = Gemm.tasks(groups, Math.max((long) m * n * k, 4L * n * k));
        Parallel.run(tasks, t -> {
            int end = Math.min(n, (int) ((long) groups * (t + 1) / tasks) * width);
            group((int) ((long) groups * t / tasks) * width, end, width, m, k, rows, rowStep, b, c, crs, add);
        });
    }

    /** One row of A: the same sums, to the last bit, as those of a tile. */
    private static void rows(int n, int k, Matrix a, Matrix b, long c) {
        long x = a.type() == DType.F32 && a.colStride() == 1 ? a.address() : prepare(1, k, a, 0);
        SkinnyProduct.run(RowProduct.of(b, n, k), 1, x, 4L * k, c, 4L * n);
    }

    // A copy of A in F32, rows contiguous; the first `paired` elements of a row sorted even before odd per 2L.
    private static long prepare(int m, int k, Matrix a, int paired) {
        long copy = Scratch.get(Scratch.GEMM_A, 4L * m * k);
        int size = a.type().byteSize();
        for (int i = 0; i < m; i++) {
            long from = a.address() + size * a.rowStride() * i;
            long to = copy + 4L * i * k;
            for (int p = 0; p < k; p++) {
                long source = from + size * a.colStride() * p;
                float value = switch (a.type()) {
                    case F32 -> Mem.f32(source);
                    case BF16 -> Float.intBitsToFloat(Mem.i16(source) << 16);
                    default -> Float.float16ToFloat(Mem.i16(source));
                };
                int at = p;
                if (p < paired) {
                    int within = p % (2 * L);
                    at = p - within + within / 2 + (within & 1) * L;
                }
                Mem.f32(to + 4L * at, value);
            }
        }
        return copy;
    }

    /** Columns {@code [from, to)} of C, {@code width} at a time; x and xs (bytes) are rows of F32. */
    static void group(int from, int to, int width, int m, int k, long x, long xs, Matrix b, long c, long crs,
            boolean add) {
        boolean pairs = b.type() == DType.BF16;
        boolean half = b.type() == DType.F16;
        int size = b.type().byteSize();
        int steps = k / (pairs ? 2 * L : L);
        int done = steps * (pairs ? 2 * L : L);
        long sums = Scratch.get(Scratch.GEMM_TILE, 4L * 6 * Gemm.NR);
        long wide = half ? Scratch.get(Scratch.GEMM_ROWS, 4L * width * k) : 0;
        for (int j = from; j < to; j += width) {
            int cols = Math.min(width, to - j);
            // At the edge the tile still reads `width` rows: step 0 reads one row again and again.
            int reads = cols == width ? 1 : cols;
            for (int read = 0; read < reads; read++) {
                long w = b.address() + size * b.colStride() * (j + read);
                long ws = reads == 1 && cols == width ? size * b.colStride() : 0;
                int taken = cols == width ? width : 1;
                if (half) {
                    for (int r = 0; r < taken; r++) {
                        Convert.f16ToF32(w + ws * r, wide + 4L * r * k, k);
                    }
                    w = wide;
                    ws = taken == 1 ? 0 : 4L * k;
                }
                for (int i = 0; i < m;) {
                    int h = m - i >= 4 && TALL ? 4 : m - i >= 2 ? 2 : 1;
                    tile(pairs, h, width, x + xs * i, xs, w, ws, steps, sums);
                    finish(pairs, h, taken, width, x + xs * i, xs, w, ws, done, k, sums,
                            c + 4 * (crs * i + j + read), crs, add);
                    i += h;
                }
            }
        }
    }

    private static void tile(boolean pairs, int h, int width, long x, long xs, long w, long ws, int steps, long out) {
        if (h == 4) {
            if (pairs) {
                DotTilesBf16.tile4x4(x, xs, w, ws, steps, out);
            } else {
                DotTiles.tile4x4(x, xs, w, ws, steps, out);
            }
        } else if (h == 2) {
            if (pairs) {
                DotTilesBf16.tile2x4(x, xs, w, ws, steps, out);
            } else {
                DotTiles.tile2x4(x, xs, w, ws, steps, out);
            }
        } else if (width == 8) {
            if (pairs) {
                DotTilesBf16.tile1x8(x, xs, w, ws, steps, out);
            } else {
                DotTiles.tile1x8(x, xs, w, ws, steps, out);
            }
        } else if (pairs) {
            DotTilesBf16.tile1x4(x, xs, w, ws, steps, out);
        } else {
            DotTiles.tile1x4(x, xs, w, ws, steps, out);
        }
    }

    private static void finish(boolean pairs, int h, int cols, int width, long x, long xs, long w, long ws, int done,
            int k, long sums, long c, long crs, boolean add) {
        if (done == k && !add && cols == 4 && width == 4) {
            for (int r = 0; r < h; r++) {
                Mem.i64(c + 4 * crs * r, Mem.i64(sums + 16L * r));
                Mem.i64(c + 4 * crs * r + 8, Mem.i64(sums + 16L * r + 8));
            }
            return;
        }
        for (int r = 0; r < h; r++) {
            for (int j = 0; j < cols; j++) {
                float sum = Mem.f32(sums + 4L * (r * width + j));
                for (int p = done; p < k; p++) {
                    long at = w + ws * j;
                    float weight = pairs ? Float.intBitsToFloat(Mem.i16(at + 2L * p) << 16) : Mem.f32(at + 4L * p);
                    sum += Mem.f32(x + xs * r + 4L * p) * weight;
                }
                long target = c + 4 * (crs * r + j);
                Mem.f32(target, add ? Mem.f32(target) + sum : sum);
            }
        }
    }
}
