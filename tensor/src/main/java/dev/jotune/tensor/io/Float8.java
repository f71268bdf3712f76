package dev.jotune.tensor.io;

/**
 * The 8-bit floating formats that checkpoints use, after "FP8 Formats for Deep Learning" (arXiv 2209.05433):
 * E4M3 has no infinity and one NaN per sign (largest value 448), E5M2 follows IEEE 754 (largest value 57344).
 * Narrowing rounds to nearest, ties to even, as PyTorch does: what is too large, infinity included, becomes the
 * largest value in E4M3 and infinity in E5M2, while NaN stays NaN.
 * The FNUZ twins have neither infinity nor negative zero (0x80 is their NaN); E8M0 is a bare power of two.
 */
public final class Float8 {

    private static final int BYTE_MASK = 0xff;
    private static final int E8M0_BIAS = 127;

    private Float8() {
    }

    public static float fromE4m3(byte bits) {
        return (float) MiniFloat.E4M3.decode(bits & BYTE_MASK);
    }

    public static byte toE4m3(float value) {
        return (byte) MiniFloat.E4M3.encode(value);
    }

    public static float fromE5m2(byte bits) {
        return (float) MiniFloat.E5M2.decode(bits & BYTE_MASK);
    }

    public static byte toE5m2(float value) {
        return (byte) MiniFloat.E5M2.encode(value);
    }

    public static float fromE4m3Fnuz(byte bits) {
        return (float) MiniFloat.E4M3_FNUZ.decode(bits & BYTE_MASK);
    }

    public static float fromE5m2Fnuz(byte bits) {
        return (float) MiniFloat.E5M2_FNUZ.decode(bits & BYTE_MASK);
    }

    /** {@code 2^(bits - 127)} with the byte taken as unsigned; 255 is NaN. */
    public static float fromE8m0(byte bits) {
        int exponent = bits & BYTE_MASK;
        return exponent == BYTE_MASK ? Float.NaN : (float) Math.scalb(1.0, exponent - E8M0_BIAS);
    }
}
