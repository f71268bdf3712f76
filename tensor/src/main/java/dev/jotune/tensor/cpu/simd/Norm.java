package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Normalisation of rows of {@code n} contiguous floats, rows one after the other. With
 * {@code h = (x - mean) rstd} the result is {@code h w + b}; RMSNorm (arXiv 1910.07467) has mean 0 and no b, and
 * LayerNorm (arXiv 1607.06450) subtracts the mean. Weight gradients are summed in chunks of rows that do not depend
 * on the number of threads.
 */
public final class Norm {
    private Norm() {
    }

    /**
     * {@code y = x w / sqrt(mean(x^2) + eps)}.
     *
     * @param w    address of n weights, or 0 for ones
     * @param rstd address of one float a row for the backward pass, or 0
     */
    public static void rms(long x, long w, long y, long rstd, long rows, int n, float eps) {
        Rows.run(rows, n, 2, (from, to) -> {
            for (long r = from; r < to; r++) {
                long in = x + 4 * n * r;
                float scale = (float) (1 / Math.sqrt((double) Reduce.squares(in, 0, n) / n + eps));
                if (rstd != 0) {
                    Mem.f32(rstd + 4 * r, scale);
                }
                apply(in, 0, scale, w, 0, y + 4 * n * r, n);
            }
        });
    }

    /**
     * Gradients of {@link #rms}: with {@code g = dy w}, {@code dx = rstd (g - h mean(g h))}, {@code dw = sum dy h}.
     *
     * @param dx address, or 0 if not wanted; may be dy
     * @param dw address of n floats, overwritten, or 0
     */
    public static void rmsBackward(long x, long w, long rstd, long dy, long dx, long dw, long rows, int n) {
        backward(false, x, w, 0, rstd, dy, dx, dw, 0, rows, n);
    }

    /**
     * {@code y = (x - mean) / sqrt(var + eps) w + b}, var the mean square deviation.
     *
     * @param w    address of n weights, or 0 for ones
     * @param b    address of n biases, or 0 for zeros
     * @param mean address of one float a row for the backward pass, or 0
     * @param rstd as mean
     */
    public static void layer(long x, long w, long b, long y, long mean, long rstd, long rows, int n, float eps) {
        Rows.run(rows, n, 3, (from, to) -> {
            for (long r = from; r < to; r++) {
                long in = x + 4 * n * r;
                float average = Reduce.sum(in, n) / n;
                float scale = (float) (1 / Math.sqrt((double) Reduce.squares(in, average, n) / n + eps));
                if (rstd != 0) {
                    Mem.f32(mean + 4 * r, average);
                    Mem.f32(rstd + 4 * r, scale);
                }
                apply(in, average, scale, w, b, y + 4 * n * r, n);
            }
        });
    }

    /**
     * Gradients of {@link #layer}: with {@code g = dy w}, {@code dx = rstd (g - mean(g) - h mean(g h))},
     * {@code dw = sum dy h}, {@code db = sum dy}. Targets of 0 are not wanted, dw and db are overwritten.
     */
    public static void layerBackward(long x, long w, long mean, long rstd, long dy, long dx, long dw, long db,
            long rows, int n) {
        backward(true, x, w, mean, rstd, dy, dx, dw, db, rows, n);
    }

    private static void backward(boolean centred, long x, long w, long mean, long rstd, long dy, long dx, long dw,
            long db, long rows, int n) {
        int chunks = Rows.chunks(rows);
        boolean sums = dw != 0 || db != 0;
        long partials = sums ? Scratch.get(Scratch.PARTIALS, 8L * chunks * n) : 0;
        Rows.run(chunks, rows / chunks * n, 4, (from, to) -> {
            for (long c = from; c < to; c++) {
                long dWeight = partials + 4L * c * n;
                long dBias = partials + 4L * (chunks + c) * n;
                if (sums) {
                    Mem.zero(dWeight, 4L * n);
                    Mem.zero(dBias, 4L * n);
                }
                for (long r = rows * c / chunks; r < rows * (c + 1) / chunks; r++) {
                    long in = x + 4 * n * r;
                    long grad = dy + 4 * n * r;
                    float average = centred ? Mem.f32(mean + 4 * r) : 0;
                    float scale = Mem.f32(rstd + 4 * r);
                    if (dw != 0) {
                        collect(in, average, scale, grad, dWeight, n);
                    }
                    if (db != 0) {
                        Arithmetic.add(dBias, grad, dBias, n);
                    }
                    if (dx != 0) {
                        float dot = dot(in, average, w, grad, n) * scale / n;
                        float shift = centred ? (w == 0 ? Reduce.sum(grad, n) : Reduce.dot(grad, w, n)) / n : 0;
                        input(in, average, scale, w, grad, shift, dot, dx + 4 * n * r, n);
                    }
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

    // y = (x - mean) scale w + b
    private static void apply(long x, float mean, float scale, long w, long b, long y, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector h = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER).sub(mean).mul(scale);
            if (w != 0) {
                h = h.mul(FloatVector.fromMemorySegment(S, ALL, w + 4L * i, ORDER));
            }
            if (b != 0) {
                h = h.add(FloatVector.fromMemorySegment(S, ALL, b + 4L * i, ORDER));
            }
            h.intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            float h = (Mem.f32(x + 4L * i) - mean) * scale;
            h = w != 0 ? h * Mem.f32(w + 4L * i) : h;
            Mem.f32(y + 4L * i, b != 0 ? h + Mem.f32(b + 4L * i) : h);
        }
    }

    // target += dy (x - mean) scale
    private static void collect(long x, float mean, float scale, long dy, long target, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER).sub(mean).mul(scale)
                    .fma(FloatVector.fromMemorySegment(S, ALL, dy + 4L * i, ORDER),
                            FloatVector.fromMemorySegment(S, ALL, target + 4L * i, ORDER))
                    .intoMemorySegment(ALL, target + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            float h = (Mem.f32(x + 4L * i) - mean) * scale;
            Mem.f32(target + 4L * i, Math.fma(h, Mem.f32(dy + 4L * i), Mem.f32(target + 4L * i)));
        }
    }

    // sum of dy w (x - mean)
    private static float dot(long x, float mean, long w, long dy, int n) {
        FloatVector sum = FloatVector.zero(S);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector g = FloatVector.fromMemorySegment(S, ALL, dy + 4L * i, ORDER);
            if (w != 0) {
                g = g.mul(FloatVector.fromMemorySegment(S, ALL, w + 4L * i, ORDER));
            }
            sum = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER).sub(mean).fma(g, sum);
        }
        float total = sum.reduceLanes(VectorOperators.ADD);
        for (; i < n; i++) {
            float g = w != 0 ? Mem.f32(dy + 4L * i) * Mem.f32(w + 4L * i) : Mem.f32(dy + 4L * i);
            total += (Mem.f32(x + 4L * i) - mean) * g;
        }
        return total;
    }

    // dx = scale (dy w - shift - (x - mean) scale dot)
    private static void input(long x, float mean, float scale, long w, long dy, float shift, float dot, long dx,
            int n) {
        float slope = -dot * scale;
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector g = FloatVector.fromMemorySegment(S, ALL, dy + 4L * i, ORDER);
            if (w != 0) {
                g = g.mul(FloatVector.fromMemorySegment(S, ALL, w + 4L * i, ORDER));
            }
            FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER).sub(mean)
                    .fma(FloatVector.broadcast(S, slope), g.sub(shift)).mul(scale)
                    .intoMemorySegment(ALL, dx + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            float g = w != 0 ? Mem.f32(dy + 4L * i) * Mem.f32(w + 4L * i) : Mem.f32(dy + 4L * i);
            Mem.f32(dx + 4L * i, Math.fma(Mem.f32(x + 4L * i) - mean, slope, g - shift) * scale);
        }
    }
}
