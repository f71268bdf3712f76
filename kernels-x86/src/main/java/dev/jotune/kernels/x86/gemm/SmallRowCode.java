package dev.jotune.kernels.x86.gemm;

import dev.jotune.kernels.x86.asm.Label;
import dev.jotune.kernels.x86.asm.Mem;
import dev.jotune.kernels.x86.asm.Vec;
import dev.jotune.tensor.quant.BlockFormat;

/** {@link RowSumsCode} over blocks of 32 with one scale in half precision: signed bytes, or halves of bytes less 8. */
final class SmallRowCode extends RowSumsCode {
    /** Q8_0: the highest bit of each byte, which adds 128; Q4_0: the lower halves. */
    private static final Vec MASK = Vec.ymm(30);
    /** Q4_0: 16 numbers lie in the lower halves of as many bytes, 16 in the upper. */
    private static final Vec SHIFTS = Vec.ymm(31);

    private final boolean whole;
    private final int bytes;
    private final Label shifts = new Label();

    SmallRowCode(BlockFormat format) {
        whole = format == BlockFormat.Q8_0;
        bytes = format.bytes();
    }

    @Override
    void constants() {
        constant(MASK, whole ? 0x80808080 : 0x0f0f0f0f);
        if (!whole) {
            a.lea(FREE, Mem.at(shifts));
            a.vmovups(SHIFTS, Mem.at(FREE));
        }
    }

    @Override
    void data() {
        a.align(64);
        a.bind(shifts);
        a.ints(0, 0, 0, 0, 4, 4, 4, 4);
    }

    @Override
    int parts() {
        return 1;
    }

    @Override
    int bytes() {
        return bytes;
    }

    @Override
    int[] rounds() {
        return new int[] {4, 2, 1};
    }

    @Override
    void round(int blocks) {
        Vec[] codes = registers(4, blocks);
        Vec[] sums = registers(12, blocks);
        Vec[] scales = registers(20, blocks);
        for (int i = 0; i < blocks; i++) {
            a.vpbroadcastw(Vec.xmm(scales[i].number()), Mem.at(CODES, bytes * i));
        }
        codes(codes);
        for (Vec scale : scales) {
            a.vcvtph2ps(scale, Vec.xmm(scale.number()));
        }
        multiply(sums, codes, 0);
        for (int i = 0; i < blocks; i++) {
            a.vmulps(scales[i], scales[i], Mem.at(SCALES, Float.BYTES * i).spread());
        }
        for (int i = 0; i < blocks; i++) {
            a.vpaddd(sums[i], sums[i], Mem.at(X, RowArgs.BLOCK * i + (whole ? RowArgs.TIMES_128 : RowArgs.TIMES_8)));
        }
        for (Vec sum : sums) {
            a.vcvtdq2ps(sum, sum);
        }
        for (int i = 0; i < blocks; i++) {
            a.vfmadd231ps(accumulator(i), sums[i], scales[i]);
        }
    }

    private void codes(Vec[] targets) {
        for (int i = 0; i < targets.length; i++) {
            Mem at = Mem.at(CODES, bytes * i + Short.BYTES);
            if (whole) {
                a.vpxord(targets[i], MASK, at);
            } else {
                a.vmovups(Vec.xmm(targets[i].number()), at);
            }
        }
        if (!whole) {
            for (Vec t : targets) {
                a.vshufi32x4(t, t, t, 0);
            }
            for (Vec t : targets) {
                a.vpsrlvd(t, t, SHIFTS);
            }
            for (Vec t : targets) {
                a.vpandd(t, t, MASK);
            }
        }
    }
}
