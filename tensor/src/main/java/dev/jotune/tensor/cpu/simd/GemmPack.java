package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.SI;

import dev.jotune.tensor.DType;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/** Copies operands of a matrix product into the order the tiles read, widening to F32 on the way. */
final class GemmPack {
    /** k steps per block: a block of 16 steps of a 64-column panel is 4 KB, so that scattered stores stay in L1. */
    private static final int BLOCK = 16;

    private GemmPack() {
    }

    /** Refuses element types that a product cannot widen. */
    static void check(DType type) {
        if (type != DType.F32 && type != DType.BF16 && type != DType.F16) {
            throw new IllegalArgumentException("A matrix product cannot read " + type + ". "
                    + "Convert the operand to F32, BF16 or F16.");
        }
    }

    /** Rows of the tile that starts at row {@code i} of {@code m}: 6 while they last, then 4, 2, 1. */
    static int tileRows(int i, int m) {
        int left = m - i;
        return left >= 6 ? 6 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
    }

    /** Packs rows {@code [from, to)} of the block of A at {@code a}, k-major within each tile of rows. */
    static void packA(DType type, long a, long ars, long acs, int from, int to, int m, int k, long out) {
        int size = type.byteSize();
        long rowStep = ars * size;
        long colStep = acs * size;
        for (int i = from; i < to;) {
            int h = tileRows(i, m);
            long target = out + 4L * i * k;
            for (int r = 0; r < h; r++) {
                strided(type, a + (i + r) * rowStep, colStep, target + 4L * r, 4L * h, k);
            }
            i += h;
        }
    }

    /** Packs {@code cols} columns of B into one panel {@code [k][width]}, padding with zeros. */
    static void packB(DType type, long b, long brs, long bcs, int cols, int k, int width, long out) {
        int size = type.byteSize();
        long rowStep = brs * size;
        long colStep = bcs * size;
        long outStep = 4L * width;
        if (bcs == 1) {
            for (int p = 0; p < k; p++) {
                widen(type, b + p * rowStep, out + p * outStep, cols);
            }
        } else {
            int j = 0;
            int done = 0;
            if (brs == 1 && cols >= L) {
                done = k / (2 * L) * (2 * L);
                for (; j + L <= cols; j += L) {
                    squares(type, b + j * colStep, colStep, done, out + 4L * j, outStep);
                }
            }
            elements(type, b + done * rowStep, rowStep, colStep, 0, j, k - done, out + done * outStep, outStep);
            elements(type, b, rowStep, colStep, j, cols, k, out, outStep);
        }
        if (cols < width) {
            for (int p = 0; p < k; p++) {
                Mem.zero(out + p * outStep + 4L * cols, 4L * (width - cols));
            }
        }
    }

    private static void elements(DType type, long b, long rowStep, long colStep, int from, int to, int k, long out,
            long outStep) {
        for (int p = 0; p < k && from < to; p += BLOCK) {
            int steps = Math.min(BLOCK, k - p);
            long source = b + p * rowStep;
            long target = out + p * outStep;
            for (int j = from; j < to; j++) {
                strided(type, source + j * colStep, rowStep, target + 4L * j, outStep, steps);
            }
        }
    }

    // L columns that are contiguous along k; `done` is a multiple of 2L.
    private static void squares(DType type, long b, long colStep, int done, long out, long outStep) {
        if (type == DType.F32) {
            Transpose.run(b, colStep, out, outStep, done / L);
            return;
        }
        long block = Scratch.get(Scratch.GEMM_ROWS, 4L * 2 * L * L);
        for (int p = 0; p < done; p += 2 * L) {
            if (type == DType.BF16) {
                // Pairs of elements move as one int and are taken apart afterwards.
                Transpose.run(b + 2L * p, colStep, block, LB, 1);
                splitPairs(block, out + p * outStep, outStep);
            } else {
                for (int j = 0; j < L; j++) {
                    Convert.f16ToF32(b + colStep * j + 2L * p, block + 2L * LB * j, 2 * L);
                }
                Transpose.run(block, 2L * LB, out + p * outStep, outStep, 2);
            }
        }
    }

    private static void splitPairs(long block, long out, long outStep) {
        for (int i = 0; i < L; i++) {
            IntVector pair = IntVector.fromMemorySegment(SI, ALL, block, ORDER);
            pair.lanewise(VectorOperators.LSHL, 16).intoMemorySegment(ALL, out, ORDER);
            pair.and(0xffff0000).intoMemorySegment(ALL, out + outStep, ORDER);
            block += LB;
            out += 2 * outStep;
        }
    }

    private static void strided(DType type, long from, long fromStep, long to, long toStep, int n) {
        switch (type) {
            case F32 -> {
                for (int i = 0; i < n; i++) {
                    Mem.f32(to, Mem.f32(from));
                    from += fromStep;
                    to += toStep;
                }
            }
            case BF16 -> {
                for (int i = 0; i < n; i++) {
                    Mem.i32(to, Mem.i16(from) << 16);
                    from += fromStep;
                    to += toStep;
                }
            }
            default -> {
                for (int i = 0; i < n; i++) {
                    Mem.f32(to, Float.float16ToFloat(Mem.i16(from)));
                    from += fromStep;
                    to += toStep;
                }
            }
        }
    }

    /** {@code n} contiguous elements to F32. */
    static void widen(DType type, long from, long to, int n) {
        switch (type) {
            case F32 -> Convert.f32ToF32(from, to, n);
            case BF16 -> Convert.bf16ToF32(from, to, n);
            default -> Convert.f16ToF32(from, to, n);
        }
    }
}
