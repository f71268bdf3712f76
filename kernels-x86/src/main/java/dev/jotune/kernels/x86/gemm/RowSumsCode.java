package dev.jotune.kernels.x86.gemm;

import static dev.jotune.kernels.x86.asm.Reg.R10;
import static dev.jotune.kernels.x86.asm.Reg.R11;
import static dev.jotune.kernels.x86.asm.Reg.R8;
import static dev.jotune.kernels.x86.asm.Reg.R9;
import static dev.jotune.kernels.x86.asm.Reg.RAX;
import static dev.jotune.kernels.x86.asm.Reg.RCX;
import static dev.jotune.kernels.x86.asm.Reg.RDI;
import static dev.jotune.kernels.x86.asm.Reg.RDX;
import static dev.jotune.kernels.x86.asm.Reg.RSI;

import dev.jotune.kernels.x86.asm.Assembler;
import dev.jotune.kernels.x86.asm.Cond;
import dev.jotune.kernels.x86.asm.Label;
import dev.jotune.kernels.x86.asm.Mem;
import dev.jotune.kernels.x86.asm.Reg;
import dev.jotune.kernels.x86.asm.Vec;
import dev.jotune.tensor.quant.BlockFormat;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * Emits the sums of a quantised weight's rows with one row of x whose numbers are digits ({@link RowArgs}). 32 codes become
 * unsigned bytes; four of them at a time meet the digits a, then b, then c in the processor's byte instruction, the sum growing
 * by 256 between them. It is exact, and joins the F32 sums times both scales. So an instruction multiplies
 * 32 codes instead of 16, and x keeps so many bits that a sum's error is no more than F32's own.
 *
 * <p>Instructions of several blocks stand in turns, since those of one wait for each other.
 */
abstract class RowSumsCode {
    /** Accumulators, so that a sum need not wait for the one before. */
    static final int SUMS = 4;
    /** Where the current block of the row lies. */
    static final Reg CODES = RAX;
    static final Reg X = RSI;
    static final Reg SCALES = RDI;
    /** The arguments. */
    static final Reg ARGS = R9;
    static final Reg FREE = R11;

    final Assembler a = new Assembler();

    /** The code for a format, empty if there is none. */
    static Optional<Assembler> emit(BlockFormat format) {
        return switch (format) {
            case Q8_0, Q4_0 -> Optional.of(new SmallRowCode(format).code());
            case Q4_K -> Optional.of(new SuperRowCode4().code());
            case Q6_K -> Optional.of(new SuperRowCode6().code());
            default -> Optional.empty();
        };
    }

    /** Constants in registers from 25 on. */
    abstract void constants();

    /** Tables behind the code. */
    abstract void data();

    /** How many blocks of the format a round takes at most, and then, while there are as many left; the last is 1. */
    abstract int[] rounds();

    /** A round of {@code blocks} blocks of the format. */
    abstract void round(int blocks);

    /** Blocks of {@link RowArgs#LENGTH} numbers in one of the format. */
    abstract int parts();

    /** Bytes of a block of the format. */
    abstract int bytes();

    final Assembler code() {
        a.mov(ARGS, RDI);
        a.mov(RDX, Mem.at(ARGS, RowArgs.W));
        a.mov(R8, Mem.at(ARGS, RowArgs.COUNT));
        a.mov(R10, Mem.at(ARGS, RowArgs.OUT));
        constants();
        Label row = a.here();
        a.mov(CODES, RDX);
        a.mov(X, Mem.at(ARGS, RowArgs.X));
        a.mov(SCALES, Mem.at(ARGS, RowArgs.SCALES));
        a.mov(RCX, Mem.at(ARGS, RowArgs.BLOCKS));
        for (int i = 0; i < SUMS; i++) {
            a.vpxord(accumulator(i), accumulator(i), accumulator(i));
        }
        for (int blocks : rounds()) {
            Label over = new Label();
            a.sub(RCX, blocks);
            a.j(Cond.L, over);
            Label again = a.here();
            round(blocks);
            a.add(CODES, bytes() * blocks);
            a.add(X, parts() * RowArgs.BLOCK * blocks);
            a.add(SCALES, parts() * Float.BYTES * blocks);
            a.sub(RCX, blocks);
            a.j(Cond.GE, again);
            a.bind(over);
            a.add(RCX, blocks);
        }
        for (int width = SUMS / 2; width > 0; width /= 2) {
            for (int i = 0; i < width; i++) {
                a.vaddps(accumulator(i), accumulator(i), accumulator(i + width));
            }
        }
        // The upper half has been zero since the last instruction on the lower one.
        a.vmovups(Mem.at(R10), Vec.zmm(accumulator(0).number()));
        a.add(R10, Mem.at(ARGS, RowArgs.OUT_STEP));
        a.add(RDX, Mem.at(ARGS, RowArgs.W_STRIDE));
        a.dec(R8);
        a.j(Cond.NE, row);
        a.vzeroupper();
        a.ret();
        data();
        return a;
    }

    static Vec accumulator(int number) {
        return Vec.ymm(number % SUMS);
    }

    final void constant(Vec target, int bits) {
        a.mov(FREE, bits & 0xffff_ffffL);
        a.vpbroadcastd(target, FREE);
    }

    /** {@code sums} = codes times blocks of x from {@code first} on, over their scales. */
    final void multiply(Vec[] sums, Vec[] codes, int first) {
        for (Vec sum : sums) {
            a.vpxord(sum, sum, sum);
        }
        for (int digit : new int[] {RowArgs.A, RowArgs.B, RowArgs.C}) {
            for (int i = 0; i < sums.length && digit != RowArgs.A; i++) {
                a.vpslld(sums[i], sums[i], RowArgs.DIGIT);
            }
            for (int i = 0; i < sums.length; i++) {
                a.vpdpbusd(sums[i], codes[i], Mem.at(X, RowArgs.BLOCK * (first + i) + digit));
            }
        }
    }

    /** {@code count} registers from {@code first} on. */
    static Vec[] registers(int first, int count) {
        return IntStream.range(first, first + count).mapToObj(Vec::ymm).toArray(Vec[]::new);
    }
}
