package dev.jotune.tensor.quant;

import static dev.jotune.tensor.quant.Bits.f16;
import static dev.jotune.tensor.quant.Bits.high;
import static dev.jotune.tensor.quant.Bits.i32;
import static dev.jotune.tensor.quant.Bits.inverse;
import static dev.jotune.tensor.quant.Bits.low;

/**
 * The formats of 32 numbers a block: one scale d, perhaps a minimum m, and codes q. Four-bit codes lie two in a byte,
 * numbers 0 to 15 in the low and 16 to 31 in the high halves; a fifth bit lies in a word of its own.
 */
final class SmallBlocks {
    /** Numbers of a block. */
    static final int N = 32;
    private static final int HALF = N / 2;
    private static final int HALF_BYTES = Short.BYTES;

    /** Code values of IQ4_NL and IQ4_XS: steps that grow with the distance from zero. */
    static final byte[] NON_LINEAR = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    /** Twice the values of E2M1, the four-bit float of the OCP microscaling formats. */
    private static final byte[] E2M1_TWICE = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

    static final BlockCodec Q4_0 = BlockCodec.of(SmallBlocks::decodeQ4, SmallBlocks::encodeQ4);
    static final BlockCodec Q4_1 = BlockCodec.of(SmallBlocks::decodeQ4Min, SmallBlocks::encodeQ4Min);
    static final BlockCodec Q5_0 = BlockCodec.of(SmallBlocks::decodeQ5, SmallBlocks::encodeQ5);
    static final BlockCodec Q5_1 = BlockCodec.of(SmallBlocks::decodeQ5Min, SmallBlocks::encodeQ5Min);
    static final BlockCodec Q8_0 = BlockCodec.of(SmallBlocks::decodeQ8, SmallBlocks::encodeQ8);
    static final BlockCodec IQ4_NL = BlockCodec.reading(SmallBlocks::decodeNonLinear);
    static final BlockCodec MXFP4 = BlockCodec.of(SmallBlocks::decodeMx, SmallBlocks::encodeMx);

    private SmallBlocks() {}

    // ---- x = d (q - 8) ----

    private static void decodeQ4(byte[] in, int at, float[] out, int to) {
        float d = f16(in, at);
        for (int j = 0; j < HALF; j++) {
            int codes = at + HALF_BYTES + j;
            out[to + j] = d * (low(in, codes) - 8);
            out[to + j + HALF] = d * (high(in, codes) - 8);
        }
    }

    private static void encodeQ4(float[] x, int from, byte[] out, int at) {
        float d = Bits.farthest(x, from, N) / -8;
        f16(out, at, d);
        float inverse = inverse(d);
        for (int j = 0; j < HALF; j++) {
            int lower = centred(x[from + j], inverse, 8.5, 15);
            int upper = centred(x[from + j + HALF], inverse, 8.5, 15);
            out[at + HALF_BYTES + j] = (byte) (lower | upper << 4);
        }
    }

    /** Product and sum in doubles and rounded to float once, as the reference has it. */
    private static int centred(float x, float inverse, double offset, int largest) {
        return Math.clamp((int) (float) ((double) x * inverse + offset), 0, largest);
    }

    // ---- x = d q + m ----

    private static void decodeQ4Min(byte[] in, int at, float[] out, int to) {
        float d = f16(in, at);
        float m = f16(in, at + 2);
        for (int j = 0; j < HALF; j++) {
            int codes = at + 4 + j;
            out[to + j] = d * low(in, codes) + m;
            out[to + j + HALF] = d * high(in, codes) + m;
        }
    }

    private static void encodeQ4Min(float[] x, int from, byte[] out, int at) {
        float min = Bits.min(x, from, N);
        float d = (Bits.max(x, from, N) - min) / 15;
        f16(out, at, d);
        f16(out, at + 2, min);
        float inverse = inverse(d);
        for (int j = 0; j < HALF; j++) {
            int lower = aboveMin(x[from + j], min, inverse, 15);
            int upper = aboveMin(x[from + j + HALF], min, inverse, 15);
            out[at + 4 + j] = (byte) (lower | upper << 4);
        }
    }

    private static int aboveMin(float x, float min, float inverse, int largest) {
        return Math.clamp((int) ((x - min) * inverse + 0.5f), 0, largest);
    }

    // ---- five bits: x = d (q - 16) and x = d q + m ----

    private static int fiveLow(byte[] in, int codes, int fifth, int j) {
        return low(in, codes + j) | (fifth >>> j & 1) << 4;
    }

    private static int fiveHigh(byte[] in, int codes, int fifth, int j) {
        return high(in, codes + j) | (fifth >>> (j + HALF) & 1) << 4;
    }

    private static void decodeQ5(byte[] in, int at, float[] out, int to) {
        float d = f16(in, at);
        int fifth = i32(in, at + 2);
        for (int j = 0; j < HALF; j++) {
            out[to + j] = d * (fiveLow(in, at + 6, fifth, j) - 16);
            out[to + j + HALF] = d * (fiveHigh(in, at + 6, fifth, j) - 16);
        }
    }

    private static void encodeQ5(float[] x, int from, byte[] out, int at) {
        float d = Bits.farthest(x, from, N) / -16;
        f16(out, at, d);
        float inverse = inverse(d);
        int[] codes = new int[N];
        for (int j = 0; j < N; j++) {
            codes[j] = centred(x[from + j], inverse, 16.5, 31);
        }
        putFive(codes, out, at + 2);
    }

    private static void putFive(int[] codes, byte[] out, int at) {
        int fifth = 0;
        for (int j = 0; j < N; j++) {
            fifth |= codes[j] >>> 4 << j;
        }
        i32(out, at, fifth);
        for (int j = 0; j < HALF; j++) {
            out[at + 4 + j] = (byte) (codes[j] & 0xf | (codes[j + HALF] & 0xf) << 4);
        }
    }

    private static void decodeQ5Min(byte[] in, int at, float[] out, int to) {
        float d = f16(in, at);
        float m = f16(in, at + 2);
        int fifth = i32(in, at + 4);
        for (int j = 0; j < HALF; j++) {
            out[to + j] = d * fiveLow(in, at + 8, fifth, j) + m;
            out[to + j + HALF] = d * fiveHigh(in, at + 8, fifth, j) + m;
        }
    }

    private static void encodeQ5Min(float[] x, int from, byte[] out, int at) {
        float min = Bits.min(x, from, N);
        float d = (Bits.max(x, from, N) - min) / 31;
        f16(out, at, d);
        f16(out, at + 2, min);
        float inverse = inverse(d);
        int[] codes = new int[N];
        for (int j = 0; j < N; j++) {
            codes[j] = aboveMin(x[from + j], min, inverse, 31);
        }
        putFive(codes, out, at + 4);
    }

    // ---- x = d q ----

    private static void decodeQ8(byte[] in, int at, float[] out, int to) {
        float d = f16(in, at);
        for (int j = 0; j < N; j++) {
            out[to + j] = d * in[at + HALF_BYTES + j];
        }
    }

    private static void encodeQ8(float[] x, int from, byte[] out, int at) {
        float d = Bits.absMax(x, from, N) / 127;
        f16(out, at, d);
        float inverse = inverse(d);
        for (int j = 0; j < N; j++) {
            out[at + HALF_BYTES + j] = (byte) Bits.round(x[from + j] * inverse);
        }
    }

    // ---- x = d table[q] ----

    private static void decodeNonLinear(byte[] in, int at, float[] out, int to) {
        float d = f16(in, at);
        for (int j = 0; j < HALF; j++) {
            int codes = at + HALF_BYTES + j;
            out[to + j] = d * NON_LINEAR[low(in, codes)];
            out[to + j + HALF] = d * NON_LINEAR[high(in, codes)];
        }
    }

    /** Half the scale {@code 2^(e - 127)}, for a table of twice the values. */
    private static float halfScale(int e) {
        return (float) Math.scalb(1.0, e - 128);
    }

    private static void decodeMx(byte[] in, int at, float[] out, int to) {
        float d = halfScale(Bits.u8(in, at));
        for (int j = 0; j < HALF; j++) {
            out[to + j] = d * E2M1_TWICE[low(in, at + 1 + j)];
            out[to + j + HALF] = d * E2M1_TWICE[high(in, at + 1 + j)];
        }
    }

    private static void encodeMx(float[] x, int from, byte[] out, int at) {
        float max = Bits.absMax(x, from, N);
        // The largest code is 6 = 1.5 2^2, so the exponent of the largest number becomes 2.
        int e = max > 0 ? Math.clamp(Math.getExponent((double) max) - 2 + 127, 0, 255) : 0;
        out[at] = (byte) e;
        float d = halfScale(e);
        for (int j = 0; j < HALF; j++) {
            out[at + 1 + j] = (byte) (nearestMx(x[from + j], d) | nearestMx(x[from + j + HALF], d) << 4);
        }
    }

    /** The code with the smallest error, the first of equals. */
    private static int nearestMx(float x, float d) {
        int best = 0;
        for (int code = 1; code < E2M1_TWICE.length; code++) {
            if (Math.abs(d * E2M1_TWICE[code] - x) < Math.abs(d * E2M1_TWICE[best] - x)) {
                best = code;
            }
        }
        return best;
    }
}
