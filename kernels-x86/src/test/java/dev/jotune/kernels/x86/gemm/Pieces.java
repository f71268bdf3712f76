package dev.jotune.kernels.x86.gemm;

import dev.jotune.kernels.x86.asm.Bf16;

/** Factors as the AMX kernel reads them, made element by element in Java. */
final class Pieces {
    private static final int STEP = 32;

    private Pieces() {}

    /** The BF16 pieces of a number. */
    private static short[] of(float x, int count) {
        short[] out = new short[count];
        float rest = x;
        for (int i = 0; i < count; i++) {
            out[i] = (short) Bf16.round(rest);
            rest -= Bf16.widen(out[i]);
        }
        return out;
    }

    /** Rows {@code [k/32][pieces][32]}. */
    static void rows(Guarded target, int stride, double[] x, int rows, int k, Operands operands) {
        for (int i = 0; i < rows; i++) {
            for (int p = 0; p < (k + STEP - 1) / STEP * STEP; p++) {
                short[] pieces = of(p < k ? (float) x[i * k + p] : 0, operands.leftPieces());
                for (int j = 0; j < pieces.length; j++) {
                    target.setShort(i * (long) stride / 2 + (long) p / STEP * STEP * pieces.length + j * STEP + p % STEP, pieces[j]);
                }
            }
        }
    }

    /** A panel {@code [k/32][pieces][16][64][2]}, what lies beyond {@code k} or {@code columns} being zero. */
    static void panel(Guarded target, double[] x, int k, int columns, Operands operands) {
        for (int p = 0; p < (k + STEP - 1) / STEP * STEP; p++) {
            for (int n = 0; n < TileCode.WIDTH; n++) {
                short[] pieces = of(p < k && n < columns ? (float) x[p * columns + n] : 0, operands.rightPieces());
                for (int j = 0; j < pieces.length; j++) {
                    long step = ((long) p / STEP * pieces.length + j) * STEP * TileCode.WIDTH;
                    target.setShort(step + (long) p % STEP / 2 * 2 * TileCode.WIDTH + 2L * n + p % 2, pieces[j]);
                }
            }
        }
    }
}
