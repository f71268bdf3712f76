package dev.jotune.tensor.cpu.simd;

import dev.jotune.tensor.DType;

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
            for (int p = 0; p < k; p += BLOCK) {
                int steps = Math.min(BLOCK, k - p);
                long source = b + p * rowStep;
                long target = out + p * outStep;
                for (int j = 0; j < cols; j++) {
                    strided(type, source + j * colStep, rowStep, target + 4L * j, outStep, steps);
                }
            }
        }
        if (cols < width) {
            for (int p = 0; p < k; p++) {
                Mem.zero(out + p * outStep + 4L * cols, 4L * (width - cols));
            }
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
