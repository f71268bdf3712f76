package dev.jotune.peft.weights;

import java.io.ByteArrayOutputStream;

/**
 * Golomb codes (Golomb, Run-length Encodings, 1966) for the places of a sparse ternary vector. The zeros before a number that is
 * not, g of them, are {@code g / m} ones and a zero, then {@code g mod m} in {@code log2 m} bits, rounded down for the small
 * remainders and up for the others; then a bit for the sign. For places that are taken with probability p the best m is
 * {@code ceil(-log(2 - p) / log(1 - p))} (Gallager and van Voorhis, 1975): within a few hundredths of the entropy.
 */
final class Golomb {
    private final int m;
    private final int bits;
    /** Remainders below this take a bit less. */
    private final int shorter;

    private Golomb(int m) {
        this.m = m;
        this.bits = Integer.SIZE - Integer.numberOfLeadingZeros(m - 1);
        this.shorter = (1 << bits) - m;
    }

    /** For vectors of which {@code count} in {@code size} numbers are not zero. */
    static Golomb of(long count, long size) {
        double p = count / (double) Math.max(1, size);
        if (p <= 0 || p >= 1) {
            return new Golomb(1);
        }
        return new Golomb((int) Math.clamp(Math.ceil(-Math.log(2 - p) / Math.log1p(-p)), 1, 1 << 24));
    }

    byte[] encode(Ternary t) {
        Writer out = new Writer();
        long gap = 0;
        for (long i = 0; i < t.size(); i++) {
            int sign = t.sign(i);
            if (sign == 0) {
                gap++;
                continue;
            }
            for (long q = gap / m; q > 0; q--) {
                out.put(1, 1);
            }
            out.put(0, 1);
            int rest = (int) (gap % m);
            if (rest < shorter) {
                out.put(rest, bits - 1);
            } else {
                out.put(rest + shorter, bits);
            }
            out.put(sign > 0 ? 1 : 0, 1);
            gap = 0;
        }
        return out.finish();
    }

    /**
     * What {@link #encode} was given.
     *
     * @throws IllegalArgumentException if the code ends early or leads beyond the vector
     */
    Ternary decode(byte[] code, long count, long size, double scale) {
        int words = Math.toIntExact((size + Long.SIZE - 1) / Long.SIZE);
        long[] positive = new long[words];
        long[] negative = new long[words];
        Reader in = new Reader(code);
        long place = -1;
        for (long k = 0; k < count; k++) {
            long gap = 0;
            while (in.bit() == 1) {
                gap += m;
            }
            int rest = 0;
            for (int b = 0; b < bits - 1; b++) {
                rest = rest << 1 | in.bit();
            }
            if (bits > 0 && rest >= shorter) {
                rest = (rest << 1 | in.bit()) - shorter;
            }
            place += gap + rest + 1;
            if (place >= size) {
                throw new IllegalArgumentException("number " + k + " would stand at place " + place + " of " + size + ". The file is damaged.");
            }
            (in.bit() == 1 ? positive : negative)[(int) (place / Long.SIZE)] |= 1L << place;
        }
        return new Ternary(size, scale, positive, negative);
    }

    private static final class Writer {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        private int open;
        private int used;

        /** The lowest {@code n} bits, highest first. */
        void put(int value, int n) {
            for (int b = n - 1; b >= 0; b--) {
                open = open << 1 | value >>> b & 1;
                if (++used == Byte.SIZE) {
                    bytes.write(open);
                    open = 0;
                    used = 0;
                }
            }
        }

        byte[] finish() {
            if (used > 0) {
                bytes.write(open << Byte.SIZE - used);
            }
            return bytes.toByteArray();
        }
    }

    private static final class Reader {
        private final byte[] bytes;
        private long at;

        Reader(byte[] bytes) {
            this.bytes = bytes;
        }

        int bit() {
            if (at >= (long) bytes.length * Byte.SIZE) {
                throw new IllegalArgumentException("the code ends after " + bytes.length + " bytes, within a number. The file is cut off.");
            }
            int bit = bytes[(int) (at / Byte.SIZE)] >>> Byte.SIZE - 1 - at % Byte.SIZE & 1;
            at++;
            return bit;
        }
    }
}
