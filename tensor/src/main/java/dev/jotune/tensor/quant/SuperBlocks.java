package dev.jotune.tensor.quant;

import static dev.jotune.tensor.quant.Bits.f16;
import static dev.jotune.tensor.quant.Bits.high;
import static dev.jotune.tensor.quant.Bits.low;
import static dev.jotune.tensor.quant.Bits.u16;
import static dev.jotune.tensor.quant.Bits.u8;

/**
 * The formats of 256 numbers a super-block, cut into 8 or 16 sub-blocks whose scales (and minima) are small integers
 * times one half-precision scale: the k-quants of ggml, and IQ4_XS.
 */
final class SuperBlocks {
    /** Numbers of a super-block. */
    static final int N = 256;

    static final BlockCodec Q2_K = BlockCodec.reading(SuperBlocks::decodeQ2);
    static final BlockCodec Q3_K = BlockCodec.reading(SuperBlocks::decodeQ3);
    static final BlockCodec Q4_K = BlockCodec.reading(SuperBlocks::decodeQ4);
    static final BlockCodec Q5_K = BlockCodec.reading(SuperBlocks::decodeQ5);
    static final BlockCodec Q6_K = BlockCodec.reading(SuperBlocks::decodeQ6);
    static final BlockCodec IQ4_XS = BlockCodec.reading(SuperBlocks::decodeNonLinear);

    private SuperBlocks() {}

    /** 16 bytes of scales (low) and minima (high), 64 bytes of codes, d, dMin. Sub-blocks of 16. */
    private static void decodeQ2(byte[] in, int at, float[] out, int to) {
        int codes = at + 16;
        float d = f16(in, at + 80);
        float dMin = f16(in, at + 82);
        for (int sub = 0; sub < 16; sub++) {
            float scale = d * low(in, at + sub);
            float min = dMin * high(in, at + sub);
            for (int l = 0; l < 16; l++) {
                out[to + 16 * sub + l] = scale * twoBits(in, codes, sub, l) - min;
            }
        }
    }

    /** Halves of 128 numbers share 32 bytes; sub-blocks 2i and 2i + 1 of a half have bits 2i and 2i + 1 of these. */
    private static int twoBits(byte[] in, int codes, int sub, int l) {
        int half = sub / 8;
        return u8(in, codes + 32 * half + sub % 2 * 16 + l) >>> (sub % 8 / 2 * 2) & 3;
    }

    /** 32 bytes of third bits, 64 bytes of codes, 12 bytes of six-bit scales, d. Sub-blocks of 16. */
    private static void decodeQ3(byte[] in, int at, float[] out, int to) {
        int codes = at + 32;
        float d = f16(in, at + 108);
        for (int sub = 0; sub < 16; sub++) {
            float scale = d * (sixBits(in, at + 96, sub) - 32);
            for (int l = 0; l < 16; l++) {
                // The third bit is inverted: a zero takes 4 away.
                int third = u8(in, at + sub % 2 * 16 + l) >>> (sub / 2) & 1;
                out[to + 16 * sub + l] = scale * (twoBits(in, codes, sub, l) - (third == 0 ? 4 : 0));
            }
        }
    }

    /** Four low bits in bytes 0 to 7 (first the low halves), two high bits in bytes 8 to 11. */
    private static int sixBits(byte[] in, int at, int sub) {
        int lower = sub < 8 ? low(in, at + sub) : high(in, at + sub - 8);
        return lower | (u8(in, at + 8 + sub % 4) >>> (sub / 4 * 2) & 3) << 4;
    }

    /** The scale of sub-block j (of 8) in the 12 bytes that scales and minima share. */
    private static int scale(byte[] in, int at, int j) {
        return j < 4 ? u8(in, at + j) & 63 : low(in, at + j + 4) | u8(in, at + j - 4) >>> 6 << 4;
    }

    private static int min(byte[] in, int at, int j) {
        return j < 4 ? u8(in, at + j + 4) & 63 : high(in, at + j + 4) | u8(in, at + j) >>> 6 << 4;
    }

    /** d, dMin, 12 bytes of scales and minima, 128 bytes of codes. Sub-blocks of 32. */
    private static void decodeQ4(byte[] in, int at, float[] out, int to) {
        float d = f16(in, at);
        float dMin = f16(in, at + 2);
        for (int sub = 0; sub < 8; sub++) {
            float scale = d * scale(in, at + 4, sub);
            float min = dMin * min(in, at + 4, sub);
            int codes = at + 16 + sub / 2 * 32;
            for (int l = 0; l < 32; l++) {
                int q = sub % 2 == 0 ? low(in, codes + l) : high(in, codes + l);
                out[to + 32 * sub + l] = scale * q - min;
            }
        }
    }

    /** d, dMin, 12 bytes of scales and minima, 32 bytes of fifth bits, 128 bytes of codes. Sub-blocks of 32. */
    private static void decodeQ5(byte[] in, int at, float[] out, int to) {
        float d = f16(in, at);
        float dMin = f16(in, at + 2);
        for (int sub = 0; sub < 8; sub++) {
            float scale = d * scale(in, at + 4, sub);
            float min = dMin * min(in, at + 4, sub);
            int codes = at + 48 + sub / 2 * 32;
            for (int l = 0; l < 32; l++) {
                int q = sub % 2 == 0 ? low(in, codes + l) : high(in, codes + l);
                int fifth = u8(in, at + 16 + l) >>> sub & 1;
                out[to + 32 * sub + l] = scale * (q | fifth << 4) - min;
            }
        }
    }

    /** 128 bytes of low and 64 bytes of high code bits, 16 signed scales, d. Sub-blocks of 16. */
    private static void decodeQ6(byte[] in, int at, float[] out, int to) {
        float d = f16(in, at + 208);
        for (int i = 0; i < N; i++) {
            int half = i / 128;
            int quarter = i % 128 / 32;
            int l = i % 32;
            int lows = at + 64 * half + quarter % 2 * 32 + l;
            int lower = quarter < 2 ? low(in, lows) : high(in, lows);
            int upper = u8(in, at + 128 + 32 * half + l) >>> (2 * quarter) & 3;
            out[to + i] = d * in[at + 192 + i / 16] * ((lower | upper << 4) - 32);
        }
    }

    /** d, 16 bits of high and 4 bytes of low scale bits, 128 bytes of codes. Sub-blocks of 32. */
    private static void decodeNonLinear(byte[] in, int at, float[] out, int to) {
        float d = f16(in, at);
        int highs = u16(in, at + 2);
        for (int sub = 0; sub < 8; sub++) {
            int lower = sub % 2 == 0 ? low(in, at + 4 + sub / 2) : high(in, at + 4 + sub / 2);
            float scale = d * ((lower | (highs >>> (2 * sub) & 3) << 4) - 32);
            for (int j = 0; j < 16; j++) {
                int codes = at + 8 + 16 * sub + j;
                out[to + 32 * sub + j] = scale * SmallBlocks.NON_LINEAR[low(in, codes)];
                out[to + 32 * sub + 16 + j] = scale * SmallBlocks.NON_LINEAR[high(in, codes)];
            }
        }
    }
}
