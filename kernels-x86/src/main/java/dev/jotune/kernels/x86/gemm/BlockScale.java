package dev.jotune.kernels.x86.gemm;

import static dev.jotune.kernels.x86.asm.Reg.R11;

import dev.jotune.kernels.x86.asm.Assembler;
import dev.jotune.kernels.x86.asm.Label;
import dev.jotune.kernels.x86.asm.Mem;
import dev.jotune.kernels.x86.asm.Reg;
import dev.jotune.kernels.x86.asm.Vec;

/**
 * Emits the scale of 32 F32 numbers that are to be rounded: their largest magnitude over the largest whole number that there is to be.
 *
 * <p>Magnitudes are compared as whole numbers: that order is the same, and not-a-number is the largest, so that it gets
 * into the block's scale and from there into the result. Registers 16 to 22 are taken.
 */
final class BlockScale {
    private static final int PARTNERS = 16;
    private static final int FOLDS = 4;
    private static final Vec MAGNITUDE = Vec.zmm(20);
    private static final Vec TINY = Vec.zmm(21);
    private static final Vec LARGEST = Vec.zmm(22);

    private final Assembler a;
    private final float largest;
    private final Label partners = new Label();

    BlockScale(Assembler a, float largest) {
        this.a = a;
        this.largest = largest;
    }

    /** Loads what the code needs, once; R11 is lost. */
    void constants() {
        constant(MAGNITUDE, 0x7fff_ffff);
        constant(TINY, Float.floatToRawIntBits(1e-30f));
        constant(LARGEST, Float.floatToRawIntBits(largest));
        a.lea(R11, Mem.at(partners));
        for (int i = 0; i < FOLDS; i++) {
            a.vmovups(Vec.zmm(PARTNERS + i), Mem.at(R11, 64 * i));
        }
    }

    /** {@code bits} to all of {@code target}; R11 is lost. */
    void constant(Vec target, int bits) {
        a.mov(R11, bits);
        a.vpbroadcastd(target, R11);
    }

    /** The numbers at {@code source} over their scale to zmm0 and zmm1, the scale to zmm2; zmm3 is lost. */
    void divide(Reg source) {
        a.vmovups(Vec.zmm(0), Mem.at(source));
        a.vmovups(Vec.zmm(1), Mem.at(source, 64));
        a.vpandd(Vec.zmm(2), MAGNITUDE, Vec.zmm(0));
        a.vpandd(Vec.zmm(3), MAGNITUDE, Vec.zmm(1));
        a.vpmaxsd(Vec.zmm(2), Vec.zmm(2), Vec.zmm(3));
        a.vpmaxsd(Vec.zmm(2), Vec.zmm(2), TINY);
        for (int i = 0; i < FOLDS; i++) {
            a.vpermd(Vec.zmm(3), Vec.zmm(PARTNERS + i), Vec.zmm(2));
            a.vpmaxsd(Vec.zmm(2), Vec.zmm(2), Vec.zmm(3));
        }
        a.vdivps(Vec.zmm(3), LARGEST, Vec.zmm(2));
        a.vdivps(Vec.zmm(2), Vec.zmm(2), LARGEST);
        a.vmulps(Vec.zmm(0), Vec.zmm(0), Vec.zmm(3));
        a.vmulps(Vec.zmm(1), Vec.zmm(1), Vec.zmm(3));
    }

    /**
     * Adds up the ints of a vector, so that each of them is the sum of all.
     *
     * @param other is lost; as wide as {@code sum}, 512 or 256 bits
     */
    void total(Vec sum, Vec other) {
        // A vector of eight has its other half four elements away.
        for (int i = sum.bits() == 512 ? 0 : 1; i < FOLDS; i++) {
            a.vpermd(other, new Vec(PARTNERS + i, sum.bits(), 0, false), sum);
            a.vpaddd(sum, sum, other);
        }
    }

    /** The tables, behind the code. */
    void data() {
        a.align(64);
        a.bind(partners);
        for (int distance = 8; distance > 0; distance /= 2) {
            for (int i = 0; i < 16; i++) {
                a.ints(i ^ distance);
            }
        }
    }
}
