package dev.jotune.tensor.cpu.simd;

/**
 * Normalisation of rows of {@code n} contiguous floats, rows one after the other. With
 * {@code h = (x - mean) rstd} the result is {@code h w + b}; RMSNorm (arXiv 1910.07467) has mean 0 and no b, and
 * LayerNorm (arXiv 1607.06450) subtracts the mean. Each row is brought into the first-level cache by its first pass
 * and stays there for the others. Weight gradients are summed in chunks of rows that do not depend on the number of
 * threads.
 */
public final class Norm {
    private Norm() {
    }

    /** {@code y = x w / sqrt(mean(x^2) + eps)}. */
    public static void rms(long x, long w, long y, long rows, int n, double eps) {
        addRms(x, 0, w, x, y, rows, n, eps);
    }

    /**
     * {@code sum = x + residual}, {@code y = sum w / sqrt(mean(sum^2) + eps)}.
     *
     * @param residual address, or 0: then sum is x
     * @param sum address; may be x or residual
     */
    public static void addRms(long x, long residual, long w, long sum, long y, long rows, int n, double eps) {
        int group = group(n);
        Rows.run(rows, n, 2, (from, to) -> {
            long scales = Scratch.get(Scratch.ROWS, 4L * group);
            for (long first = from; first < to; first += group) {
                int count = (int) Math.min(group, to - first);
                long in = added(x, residual, sum, first, count, n);
                for (int k = 0; k < count; k++) {
                    Mem.f32(scales + 4L * k, NormRows.squares(in + 4L * n * k, n));
                }
                for (int k = 0; k < count; k++) {
                    Mem.f32(scales + 4L * k, rstd(Mem.f32(scales + 4L * k), n, eps));
                }
                for (int k = 0; k < count; k++) {
                    NormRows.apply(in + 4L * n * k, Mem.f32(scales + 4L * k), w, y + 4 * n * (first + k), n);
                }
            }
        });
    }

    /**
     * Rows whose sums are known before the first root is taken, and whose roots before the first of them is written: a root and
     * two divisions for each row are a chain of some hundred cycles, and such chains hide in each other. They are 12 KB, so that they, the
     * weights and what is written stay in a first-level cache of 32 KB.
     */
    private static int group(int n) {
        return Math.clamp(3072 / Math.max(1, n), 2, 16);
    }

    /**
     * {@code y = (x - mean) / sqrt(var + eps) w + b}, var the mean square deviation.
     *
     * @param mean address of one float a row for the backward pass, or 0
     * @param rstd as mean
     */
    public static void layer(long x, long w, long b, long y, long mean, long rstd, long rows, int n, double eps) {
        addLayer(x, 0, w, b, x, y, mean, rstd, rows, n, eps);
    }

    /** {@link #layer} of {@code sum = x + residual}; addresses as those of {@link #addRms}. */
    public static void addLayer(long x, long residual, long w, long b, long sum, long y, long mean, long rstd, long rows, int n,
            double eps) {
        int group = group(n);
        Rows.run(rows, n, 3, (from, to) -> {
            long means = Scratch.get(Scratch.ROWS, 8L * group);
            long scales = means + 4L * group;
            for (long first = from; first < to; first += group) {
                int count = (int) Math.min(group, to - first);
                long in = added(x, residual, sum, first, count, n);
                for (int k = 0; k < count; k++) {
                    NormRows.moments(in + 4L * n * k, n, means + 4L * k, scales + 4L * k);
                }
                for (int k = 0; k < count; k++) {
                    layerScale(in + 4L * n * k, means + 4L * k, scales + 4L * k, n, eps);
                }
                NormRows.apply(in, means, scales, w, b, y + 4 * n * first, n, count);
                if (rstd != 0) {
                    Mem.copy(means, mean + 4 * first, 4L * count);
                    Mem.copy(scales, rstd + 4 * first, 4L * count);
                }
            }
        });
    }

    /**
     * A row's mean and scale.
     *
     * @param mean  address, where the sum of the row lies before
     * @param scale address, where the sum of its squares lies before
     */
    private static void layerScale(long x, long mean, long scale, int n, double eps) {
        float average = Mem.f32(mean) / n;
        double square = Mem.f32(scale);
        double variance = square / n - (double) average * average;
        Mem.f32(mean, average);
        // Where the mean is most of the square, the difference has lost its digits: once more, about the mean.
        Mem.f32(scale, square > 2.0 * n * average * average ? (float) (1 / Math.sqrt(variance + eps))
                : rstd(Reduce.squares(x, average, n), n, eps));
    }

    /** The rows to normalise, made first if they are sums. */
    private static long added(long x, long residual, long sum, long row, int rows, int n) {
        long at = 4 * n * row;
        if (residual != 0) {
            Arithmetic.add(x + at, residual + at, sum + at, rows * n);
        }
        return sum + at;
    }

    private static float rstd(float squares, int n, double eps) {
        return (float) (1 / Math.sqrt((double) squares / n + eps));
    }

    /**
     * Gradients of {@link #rms}: with {@code g = dy w}, {@code dx = more + rstd (g - h mean(g h))},
     * {@code dw = sum dy h}.
     *
     * @param more address of a gradient by x from elsewhere, or 0
     * @param dx   address, or 0 if not wanted; may be dy or more
     * @param dw   address of n floats, overwritten, or 0
     */
    public static void rmsBackward(long x, long w, long dy, long more, long dx, long dw, long rows, int n, double eps) {
        backward(rows, n, dw, 0, (r, dWeight, dBias) -> {
            long two = Scratch.get(Scratch.ROWS, NormRows.SCRATCH);
            long at = 4 * n * r;
            NormRows.squaresAndDot(x + at, w, dy + at, n, two);
            float scale = rstd(Mem.f32(two), n, eps);
            if (dWeight != 0) {
                NormRows.collect(x + at, 0, scale, dy + at, dWeight, n);
            }
            float dot = Mem.f32(two + 4) * scale / n;
            input(x + at, 0, scale, w, dy + at, 0, -dot * scale, more == 0 ? 0 : more + at, dx == 0 ? 0 : dx + at, n);
        });
    }

    /**
     * Gradients of {@link #layer}: with {@code g = dy w}, {@code dx = more + rstd (g - mean(g) - h mean(g h))},
     * {@code dw = sum dy h}, {@code db = sum dy}. Addresses as those of {@link #rmsBackward}.
     */
    public static void layerBackward(long x, long w, long mean, long rstd, long dy, long more, long dx, long dw, long db, long rows,
            int n) {
        backward(rows, n, dw, db, (r, dWeight, dBias) -> {
            long two = Scratch.get(Scratch.ROWS, NormRows.SCRATCH);
            long at = 4 * n * r;
            float average = Mem.f32(mean + 4 * r);
            float scale = Mem.f32(rstd + 4 * r);
            if (dx != 0) {
                NormRows.sumAndDot(x + at, average, w, dy + at, n, two);
            }
            if (dWeight != 0) {
                NormRows.collect(x + at, average, scale, dy + at, dWeight, n);
            }
            if (dBias != 0) {
                Arithmetic.add(dBias, dy + at, dBias, n);
            }
            float dot = Mem.f32(two + 4) * scale / n;
            input(x + at, average, scale, w, dy + at, Mem.f32(two) / n, -dot * scale, more == 0 ? 0 : more + at,
                    dx == 0 ? 0 : dx + at, n);
        });
    }

    private static void input(long x, float mean, float scale, long w, long dy, float shift, float slope, long more, long dx, int n) {
        if (dx == 0) {
            return;
        }
        if (more == 0) {
            NormRows.input(x, mean, scale, w, dy, shift, slope, dx, n);
        } else {
            NormRows.input(x, mean, scale, w, dy, shift, slope, more, dx, n);
        }
    }

    /** The backward pass of one row; adds to n floats each of dWeight and dBias unless these are 0. */
    private interface Row {
        void run(long row, long dWeight, long dBias);
    }

    private static void backward(long rows, int n, long dw, long db, Row row) {
        if (dw == 0 && db == 0) {
            Rows.run(rows, n, 4, (from, to) -> {
                for (long r = from; r < to; r++) {
                    row.run(r, 0, 0);
                }
            });
            return;
        }
        int chunks = Rows.chunks(rows);
        long partials = Scratch.get(Scratch.PARTIALS, 8L * chunks * n);
        Rows.run(chunks, rows / chunks * n, 4, (from, to) -> {
            for (long c = from; c < to; c++) {
                long dWeight = dw == 0 ? 0 : partials + 4L * c * n;
                long dBias = db == 0 ? 0 : partials + 4L * (chunks + c) * n;
                Mem.zero(partials + 4L * c * n, 4L * n);
                Mem.zero(partials + 4L * (chunks + c) * n, 4L * n);
                for (long r = rows * c / chunks; r < rows * (c + 1) / chunks; r++) {
                    row.run(r, dWeight, dBias);
                }
            }
        });
        if (dw != 0) {
            Rows.sumChunks(partials, chunks, n, dw);
        }
        if (db != 0) {
            Rows.sumChunks(partials + 4L * chunks * n, chunks, n, db);
        }
    }
}
