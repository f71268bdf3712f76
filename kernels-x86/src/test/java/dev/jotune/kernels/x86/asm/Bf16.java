package dev.jotune.kernels.x86.asm;

/** The arithmetic that BF16 instructions share, whatever the processor's settings: denormal numbers are zeros, ties go to even. */
public final class Bf16 {
    private Bf16() {}

    /** A number's 16 bits as F32; a denormal number becomes zero. */
    public static float widen(int bits) {
        return flush(Float.intBitsToFloat(bits << 16));
    }

    /** Zero of the same sign in place of a denormal number. */
    public static float flush(float x) {
        return Math.abs(x) < Float.MIN_NORMAL ? Math.copySign(0f, x) : x;
    }

    /** {@code a * b + c} rounded once, in and out without denormal numbers. */
    public static float fma(float a, float b, float c) {
        return flush(Math.fma(flush(a), flush(b), flush(c)));
    }

    /** The nearest 16 bits. */
    public static int round(float x) {
        int bits = Float.floatToRawIntBits(x);
        if (Float.isNaN(x)) {
            return bits >>> 16 | 0x40;
        }
        if (Math.abs(x) < Float.MIN_NORMAL) {
            return bits >>> 16 & 0x8000;
        }
        return Float.isInfinite(x) ? bits >>> 16 : bits + 0x7fff + (bits >> 16 & 1) >>> 16;
    }
}
