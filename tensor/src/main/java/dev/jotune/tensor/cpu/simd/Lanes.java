package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShuffle;

/**
 * Sums of lanes in a fixed order: halves are added until one lane is left. {@code reduceLanes(ADD)} leaves the order
 * open and in fact sums differently interpreted and compiled, so that a resumed run would differ in the last bit.
 */
final class Lanes {
    private static final VectorShuffle<Float> HALF = VectorShuffle.iota(S, L / 2, 1, true);
    private static final VectorShuffle<Float> QUARTER = VectorShuffle.iota(S, L / 4, 1, true);
    private static final VectorShuffle<Float> EIGHTH = VectorShuffle.iota(S, Math.max(1, L / 8), 1, true);
    private static final VectorShuffle<Float> NEXT = VectorShuffle.iota(S, 1, 1, true);

    private Lanes() {
    }

    /** The sum of one vector's lanes, all of them added to their neighbours half, a quarter, ... of a vector away. */
    static float sum(FloatVector v) {
        FloatVector t = v.add(v.rearrange(HALF));
        t = t.add(t.rearrange(QUARTER));
        if (L > 4) {
            t = t.add(t.rearrange(EIGHTH));
        }
        if (L > 8) {
            t = t.add(t.rearrange(NEXT));
        }
        return t.lane(0);
    }

    /** Vectors {@code 0 .. count - 1} at {@code at} become {@code count} floats there, their sums. */
    static void fold(long at, int count) {
        int i = 0;
        if (L == 16) {
            for (; i + 8 <= count; i += 8) {
                LaneFold.eight(at + (long) LB * i, at + 4L * i);
            }
        }
        for (; i < count; i++) {
            Mem.f32(at + 4L * i, sum(at + (long) LB * i));
        }
    }

    private static float sum(long at) {
        if (L == 16) {
            return sum16(at);
        }
        if (L == 8) {
            return sum8(at);
        }
        return Mem.f32(at) + Mem.f32(at + 8) + (Mem.f32(at + 4) + Mem.f32(at + 12));
    }

    /** Of 16 lanes: lane i and lane i + 8 first. */
    private static float sum16(long at) {
        float a = Mem.f32(at) + Mem.f32(at + 32);
        float b = Mem.f32(at + 4) + Mem.f32(at + 36);
        float c = Mem.f32(at + 8) + Mem.f32(at + 40);
        float d = Mem.f32(at + 12) + Mem.f32(at + 44);
        float e = Mem.f32(at + 16) + Mem.f32(at + 48);
        float f = Mem.f32(at + 20) + Mem.f32(at + 52);
        float g = Mem.f32(at + 24) + Mem.f32(at + 56);
        float h = Mem.f32(at + 28) + Mem.f32(at + 60);
        return a + e + (c + g) + (b + f + (d + h));
    }

    /** Of 8 lanes: lane i and lane i + 4 first. */
    private static float sum8(long at) {
        float a = Mem.f32(at) + Mem.f32(at + 16);
        float b = Mem.f32(at + 4) + Mem.f32(at + 20);
        float c = Mem.f32(at + 8) + Mem.f32(at + 24);
        float d = Mem.f32(at + 12) + Mem.f32(at + 28);
        return a + c + (b + d);
    }
}
