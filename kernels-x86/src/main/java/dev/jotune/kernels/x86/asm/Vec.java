package dev.jotune.kernels.x86.asm;

/**
 * A vector register of 512, 256 or 128 bits, as a destination perhaps under a mask.
 *
 * @param number  0 to 31
 * @param bits    512, 256 or 128
 * @param mask    the mask register's number, 0 for all lanes
 * @param zeroing whether lanes that the mask leaves out become zero instead of keeping their value
 */
public record Vec(int number, int bits, int mask, boolean zeroing) implements Operand {
    /** Checks the register's name. */
    public Vec {
        if (number < 0 || number > 31 || bits != 512 && bits != 256 && bits != 128) {
            throw new IllegalArgumentException("There is no vector register " + number + " of " + bits
                    + " bits. Numbers are 0 to 31, widths 128, 256 and 512.");
        }
        if (mask < 0 || mask > 7 || zeroing && mask == 0) {
            throw new IllegalArgumentException("A vector register cannot be masked by k" + mask + (zeroing ? " with zeroing" : "")
                    + ". Take k1 to k7.");
        }
    }

    /** {@code zmm0} to {@code zmm31}. */
    public static Vec zmm(int number) {
        return new Vec(number, 512, 0, false);
    }

    /** {@code ymm0} to {@code ymm31}: the lower half of zmm. */
    public static Vec ymm(int number) {
        return new Vec(number, 256, 0, false);
    }

    /** {@code xmm0} to {@code xmm31}: the lowest quarter of zmm. */
    public static Vec xmm(int number) {
        return new Vec(number, 128, 0, false);
    }

    /** As a destination whose other lanes keep their values. */
    public Vec merge(K k) {
        return new Vec(number, bits, k.masking(), false);
    }

    /** As a destination whose other lanes become zero. */
    public Vec zero(K k) {
        return new Vec(number, bits, k.masking(), true);
    }

    @Override
    public String toString() {
        return (bits == 512 ? "zmm" : bits == 256 ? "ymm" : "xmm") + number + (mask == 0 ? "" : "{k" + mask + "}")
                + (zeroing ? "{z}" : "");
    }
}
