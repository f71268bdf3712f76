package dev.jotune.kernels.x86.gemm;

import static dev.jotune.kernels.x86.asm.Reg.R10;
import static dev.jotune.kernels.x86.asm.Reg.R11;
import static dev.jotune.kernels.x86.asm.Reg.R8;
import static dev.jotune.kernels.x86.asm.Reg.R9;
import static dev.jotune.kernels.x86.asm.Reg.RAX;
import static dev.jotune.kernels.x86.asm.Reg.RBX;
import static dev.jotune.kernels.x86.asm.Reg.RCX;
import static dev.jotune.kernels.x86.asm.Reg.RDI;
import static dev.jotune.kernels.x86.asm.Reg.RDX;
import static dev.jotune.kernels.x86.asm.Reg.RSI;

import dev.jotune.kernels.x86.asm.Assembler;
import dev.jotune.kernels.x86.asm.Cond;
import dev.jotune.kernels.x86.asm.K;
import dev.jotune.kernels.x86.asm.Label;
import dev.jotune.kernels.x86.asm.Mem;
import dev.jotune.kernels.x86.asm.Vec;

/**
 * Emits what splits F32 into BF16 pieces for {@link AmxCode}: each piece is what the earlier ones left, rounded. The
 * pieces of a step of 32 elements lie side by side; a last step is filled up with zeros.
 *
 * <p>Registers as {@link RepackCode} loads them: RSI and RAX source and its stride, RDX and RCX target and its, R10 rows,
 * R9 the argument block.
 */
final class SplitCode {
    private final Assembler a;
    private final int pieces;

    SplitCode(Assembler a, int pieces) {
        this.a = a;
        this.pieces = pieces;
    }

    /** Rows of A: {@code [k]} to {@code [k/32][pieces][32]}. */
    void rows() {
        Label row = a.here();
        a.mov(RDI, RSI);
        a.mov(R8, RDX);
        a.mov(R11, Mem.at(R9, RepackCode.COLUMNS));
        Label rest = new Label();
        Label done = new Label();
        a.sub(R11, 32);
        a.j(Cond.L, rest);
        Label step = a.here();
        a.vmovups(Vec.zmm(0), Mem.at(RDI));
        a.vmovups(Vec.zmm(1), Mem.at(RDI, 64));
        split();
        a.add(RDI, 128);
        a.add(R8, AmxCode.ROW * pieces);
        a.sub(R11, 32);
        a.j(Cond.GE, step);
        a.bind(rest);
        a.add(R11, 32);
        a.j(Cond.E, done);
        partial();
        split();
        a.bind(done);
        a.add(RSI, RAX);
        a.add(RDX, RCX);
        a.dec(R10);
        a.j(Cond.NE, row);
    }

    /** The last R11 elements, fewer than 32, of a row. */
    private void partial() {
        Label second = new Label();
        Label loaded = new Label();
        a.mov(RBX, Mem.at(R9, RepackCode.MASK));
        a.kmovw(K.K1, RBX);
        a.cmp(R11, 16);
        a.j(Cond.G, second);
        a.vmovups(Vec.zmm(0).zero(K.K1), Mem.at(RDI));
        a.vpxord(Vec.zmm(1), Vec.zmm(1), Vec.zmm(1));
        a.jmp(loaded);
        a.bind(second);
        a.vmovups(Vec.zmm(0), Mem.at(RDI));
        a.vmovups(Vec.zmm(1).zero(K.K1), Mem.at(RDI, 64));
        a.bind(loaded);
    }

    /** 32 numbers in zmm0 and zmm1. */
    private void split() {
        for (int i = 0; i < pieces; i++) {
            a.vcvtne2ps2bf16(Vec.zmm(2), Vec.zmm(1), Vec.zmm(0));
            a.vmovups(Mem.at(R8, AmxCode.ROW * i), Vec.zmm(2));
            if (i < pieces - 1) {
                a.vpmovzxwd(Vec.zmm(3), Vec.ymm(2));
                a.vextracti64x4(Vec.ymm(4), Vec.zmm(2), 1);
                a.vpmovzxwd(Vec.zmm(4), Vec.ymm(4));
                a.vpslld(Vec.zmm(3), Vec.zmm(3), 16);
                a.vpslld(Vec.zmm(4), Vec.zmm(4), 16);
                a.vsubps(Vec.zmm(0), Vec.zmm(0), Vec.zmm(3));
                a.vsubps(Vec.zmm(1), Vec.zmm(1), Vec.zmm(4));
            }
        }
    }

    /** A panel: {@code [k][64]} to {@code [k/32][pieces][16][64][2]}. */
    void panel() {
        Label step = a.here();
        a.mov(R11, 16);
        Label pair = a.here();
        load();
        for (int v = 0; v < 4; v++) {
            splitPair(v);
        }
        a.add(RDX, TileCode.PANEL_ROW);
        a.sub(R10, 2);
        a.dec(R11);
        a.j(Cond.NE, pair);
        a.add(RDX, AmxCode.PANEL_STEP * (pieces - 1));
        a.test(R10, R10);
        a.j(Cond.G, step);
    }

    /** The next two rows to zmm0 to 3 and 4 to 7; zeros where there are none. */
    private void load() {
        Label loaded = new Label();
        for (int v = 0; v < 8; v++) {
            a.vpxord(Vec.zmm(v), Vec.zmm(v), Vec.zmm(v));
        }
        for (int half = 0; half < 2; half++) {
            a.cmp(R10, half);
            a.j(Cond.LE, loaded);
            for (int v = 0; v < 4; v++) {
                a.vmovups(Vec.zmm(4 * half + v), Mem.at(RSI, 64 * v));
            }
            a.add(RSI, RAX);
        }
        a.bind(loaded);
    }

    private void splitPair(int v) {
        Vec even = Vec.zmm(v);
        Vec odd = Vec.zmm(4 + v);
        Vec low = Vec.zmm(8 + v);
        Vec high = Vec.zmm(12 + v);
        for (int i = 0; i < pieces; i++) {
            a.vcvtneps2bf16(Vec.ymm(8 + v), even);
            a.vcvtneps2bf16(Vec.ymm(12 + v), odd);
            a.vpmovzxwd(low, Vec.ymm(8 + v));
            a.vpmovzxwd(high, Vec.ymm(12 + v));
            a.vpslld(high, high, 16);
            a.vpord(Vec.zmm(16 + v), low, high);
            a.vmovups(Mem.at(RDX, AmxCode.PANEL_STEP * i + 64 * v), Vec.zmm(16 + v));
            if (i < pieces - 1) {
                a.vpslld(low, low, 16);
                a.vsubps(even, even, low);
                a.vsubps(odd, odd, high);
            }
        }
    }
}
