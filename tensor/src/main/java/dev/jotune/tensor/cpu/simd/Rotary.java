package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.IN;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import jdk.incubator.vector.FloatVector;

/** Rotary position embedding (arXiv 2104.09864): pairs of elements of each head turn by an angle per position. */
public final class Rotary {
    private Rotary() {
    }

    /**
     * {@code (a, b) -> (a cos - b sin, b cos + a sin)} for every pair.
     *
     * @param x           rows {@code [batch, heads, positions, size]}
     * @param y           result, may be x
     * @param rotated     leading elements of a row that turn, even; the rest is copied
     * @param interleaved pairs are neighbours (2i, 2i+1); otherwise element i pairs with i + rotated / 2
     * @param inverse     turns back: the backward pass
     * @param cos         address of F32 {@code [batch or shared, positions, rotated / 2]}
     * @param sin         as cos
     * @param tableBatch  elements from one batch entry's table to the next, 0 if shared
     * @param tableRow    elements from one position's table row to the next
     */
    public static void run(Heads x, Heads y, int batch, int heads, int positions, int size, int rotated,
            boolean interleaved, boolean inverse, long cos, long sin, long tableBatch, long tableRow) {
        float sign = inverse ? -1 : 1;
        int half = rotated / 2;
        Rows.run((long) batch * positions, (long) heads * size, 2, (from, to) -> {
            for (long r = from; r < to; r++) {
                long b = r / positions;
                long t = r % positions;
                long table = 4 * (b * tableBatch + t * tableRow);
                for (int h = 0; h < heads; h++) {
                    long in = x.row(b, h, t);
                    long out = y.row(b, h, t);
                    if (interleaved) {
                        neighbours(in, out, half, cos + table, sin + table, sign);
                    } else {
                        halves(in, out, half, cos + table, sin + table, sign);
                    }
                    if (in != out) {
                        Mem.copy(in + 4L * rotated, out + 4L * rotated, 4L * (size - rotated));
                    }
                }
            }
        });
    }

    private static void halves(long x, long y, int half, long cos, long sin, float sign) {
        x &= IN;
        cos &= IN;
        sin &= IN;
        y &= IN;
        long x2 = x + 4L * half & IN;
        long y2 = y + 4L * half & IN;
        int i = 0;
        for (; i <= half - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, x2 + 4L * i, ORDER);
            FloatVector c = FloatVector.fromMemorySegment(S, ALL, cos + 4L * i, ORDER);
            FloatVector s = FloatVector.fromMemorySegment(S, ALL, sin + 4L * i, ORDER).mul(sign);
            a.mul(c).sub(b.mul(s)).intoMemorySegment(ALL, y + 4L * i, ORDER);
            b.mul(c).add(a.mul(s)).intoMemorySegment(ALL, y2 + 4L * i, ORDER);
        }
        for (; i < half; i++) {
            float a = Mem.f32(x + 4L * i);
            float b = Mem.f32(x2 + 4L * i);
            float c = Mem.f32(cos + 4L * i);
            float s = Mem.f32(sin + 4L * i) * sign;
            Mem.f32(y + 4L * i, a * c - b * s);
            Mem.f32(y2 + 4L * i, b * c + a * s);
        }
    }

    private static void neighbours(long x, long y, int half, long cos, long sin, float sign) {
        cos &= IN;
        sin &= IN;
        for (int i = 0; i < half; i++) {
            float a = Mem.f32(x + 8L * i);
            float b = Mem.f32(x + 8L * i + 4);
            float c = Mem.f32(cos + 4L * i);
            float s = Mem.f32(sin + 4L * i) * sign;
            Mem.f32(y + 8L * i, a * c - b * s);
            Mem.f32(y + 8L * i + 4, b * c + a * s);
        }
    }
}
