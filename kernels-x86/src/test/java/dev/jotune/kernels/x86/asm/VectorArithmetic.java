package dev.jotune.kernels.x86.asm;

/** Longer pieces of {@link VectorMeaning}. */
final class VectorArithmetic {
    private VectorArithmetic() {}

    /** To a multiple of a power of two: {@code how >> 4} fractional bits stay, the lowest two bits choose the direction. */
    static float round(float x, int how) {
        double scaled = Math.scalb((double) x, how >> 4);
        double rounded = switch (how & 3) {
            case 0 -> Math.rint(scaled);
            case 1 -> Math.floor(scaled);
            case 2 -> Math.ceil(scaled);
            default -> scaled < 0 ? Math.ceil(scaled) : Math.floor(scaled);
        };
        return (float) Math.scalb(rounded, -(how >> 4));
    }

    /** To the nearest int; what does not fit is the smallest one. */
    static int toInt(float x) {
        double r = Math.rint(x);
        return r >= -0x1p31 && r < 0x1p31 ? (int) r : Integer.MIN_VALUE;
    }

    /** Each bit looked up in the table's eight bits. */
    static int ternary(int x, int y, int z, int table) {
        int out = 0;
        for (int i = 0; i < 32; i++) {
            int place = (x >>> i & 1) << 2 | (y >>> i & 1) << 1 | z >>> i & 1;
            out |= (table >> place & 1) << i;
        }
        return out;
    }
}
