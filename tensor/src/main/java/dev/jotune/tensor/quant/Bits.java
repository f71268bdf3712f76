package dev.jotune.tensor.quant;

/** Little-endian numbers in byte arrays, and the rounding that the block formats' reference quantisers use. */
final class Bits {
    private Bits() {}

    static int u8(byte[] b, int at) {
        return b[at] & 0xff;
    }

    static int low(byte[] b, int at) {
        return b[at] & 0xf;
    }

    static int high(byte[] b, int at) {
        return (b[at] & 0xff) >>> 4;
    }

    static int u16(byte[] b, int at) {
        return u8(b, at) | u8(b, at + 1) << 8;
    }

    static int i32(byte[] b, int at) {
        return u16(b, at) | u16(b, at + 2) << 16;
    }

    static void i32(byte[] b, int at, int value) {
        for (int i = 0; i < Integer.BYTES; i++) {
            b[at + i] = (byte) (value >>> (8 * i));
        }
    }

    static float f16(byte[] b, int at) {
        return Float.float16ToFloat((short) u16(b, at));
    }

    static void f16(byte[] b, int at, float value) {
        short bits = Float.floatToFloat16(value);
        b[at] = (byte) bits;
        b[at + 1] = (byte) (bits >>> 8);
    }

    /** To the nearest whole number, halves away from zero. */
    static int round(float x) {
        float size = Math.abs(x);
        float floor = (float) Math.floor(size);
        float up = (float) Math.floor(2 * (size - floor));
        return (int) Math.copySign(floor + up, x);
    }

    /** The largest magnitude among n numbers. */
    static float absMax(float[] x, int from, int n) {
        float max = 0;
        for (int i = from; i < from + n; i++) {
            max = Math.max(max, Math.abs(x[i]));
        }
        return max;
    }

    /** The number of largest magnitude among n, with its sign; the first of equals. */
    static float farthest(float[] x, int from, int n) {
        float far = x[from];
        for (int i = from + 1; i < from + n; i++) {
            far = Math.abs(x[i]) > Math.abs(far) ? x[i] : far;
        }
        return far;
    }

    static float min(float[] x, int from, int n) {
        float min = x[from];
        for (int i = from + 1; i < from + n; i++) {
            min = Math.min(min, x[i]);
        }
        return min;
    }

    static float max(float[] x, int from, int n) {
        float max = x[from];
        for (int i = from + 1; i < from + n; i++) {
            max = Math.max(max, x[i]);
        }
        return max;
    }

    /** {@code 1 / d}, and 0 for a block of zeros. */
    static float inverse(float d) {
        return d == 0 ? 0 : 1 / d;
    }
}
