package dev.jotune.tensor.quant;

import static dev.jotune.tensor.quant.Bits.f16;
import static dev.jotune.tensor.quant.Bits.u8;

/** The formats of 256 numbers that are -d, 0 or d: five to a byte in base three, or four to a byte. */
final class TernaryBlocks {
    static final BlockCodec TQ1_0 = BlockCodec.of(TernaryBlocks::decodeBaseThree, TernaryBlocks::encodeBaseThree);
    static final BlockCodec TQ2_0 = BlockCodec.of(TernaryBlocks::decodeTwoBits, TernaryBlocks::encodeTwoBits);

    private static final int[] POWER = {1, 3, 9, 27, 81};

    /**
     * Digit {@code digit} of byte {@code first + column} is number {@code start + width digit + column}.
     *
     * @param first  first byte
     * @param width  bytes
     * @param digits numbers in a byte
     * @param start  first number
     */
    private record Group(int first, int width, int digits, int start) {}

    private static final Group[] GROUPS = {new Group(0, 32, 5, 0), new Group(32, 16, 5, 160), new Group(48, 4, 4, 240)};
    private static final int BASE_THREE_SCALE = 52;
    private static final int TWO_BITS_SCALE = 64;

    private TernaryBlocks() {}

    private static int digit(float x, float inverse) {
        return Bits.round(x * inverse) + 1;
    }

    private static void decodeBaseThree(byte[] in, int at, float[] out, int to) {
        float d = f16(in, at + BASE_THREE_SCALE);
        for (Group g : GROUPS) {
            for (int n = 0; n < g.digits; n++) {
                for (int c = 0; c < g.width; c++) {
                    // A byte is a fraction of 256 in base three: multiplying by 3^n moves digit n before the point.
                    int fraction = u8(in, at + g.first + c) * POWER[n] & 0xff;
                    out[to + g.start + g.width * n + c] = d * ((fraction * 3 >>> 8) - 1);
                }
            }
        }
    }

    private static void encodeBaseThree(float[] x, int from, byte[] out, int at) {
        float d = Bits.absMax(x, from, SuperBlocks.N);
        f16(out, at + BASE_THREE_SCALE, d);
        float inverse = Bits.inverse(d);
        for (Group g : GROUPS) {
            for (int c = 0; c < g.width; c++) {
                int value = 0;
                for (int n = 0; n < g.digits; n++) {
                    value += digit(x[from + g.start + g.width * n + c], inverse) * POWER[4 - n];
                }
                // As a fraction of 256, rounded up so that the digits come back.
                out[at + g.first + c] = (byte) ((value * 256 + 242) / 243);
            }
        }
    }

    private static void decodeTwoBits(byte[] in, int at, float[] out, int to) {
        float d = f16(in, at + TWO_BITS_SCALE);
        for (int i = 0; i < SuperBlocks.N; i++) {
            int b = i / 128 * 32 + i % 32;
            out[to + i] = d * ((u8(in, at + b) >>> (i % 128 / 32 * 2) & 3) - 1);
        }
    }

    private static void encodeTwoBits(float[] x, int from, byte[] out, int at) {
        float d = Bits.absMax(x, from, SuperBlocks.N);
        float inverse = Bits.inverse(d);
        for (int b = 0; b < TWO_BITS_SCALE; b++) {
            int value = 0;
            for (int n = 0; n < 4; n++) {
                value |= digit(x[from + b / 32 * 128 + 32 * n + b % 32], inverse) << (2 * n);
            }
            out[at + b] = (byte) value;
        }
        f16(out, at + TWO_BITS_SCALE, d);
    }
}
