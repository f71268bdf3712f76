package dev.jotune.kernels.x86.asm;

import static dev.jotune.kernels.x86.asm.Script.hex;
import static dev.jotune.kernels.x86.asm.Script.text;
import static dev.jotune.kernels.x86.asm.Script.text32;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** General instructions, jumps, masks and tiles read back as they were meant. */
class IntegerEncodingTest {
    private final Script s = new Script();
    private final Assembler a = s.a;

    @BeforeAll
    static void needsADisassembler() {
        assumeTrue(Disassembler.isThere(), "objdump is not on the PATH; install binutils to check the encoder");
    }

    private static final int[] DISPLACEMENTS = {0, 1, 127, 128, -128, -129, 0x12345678};

    @Test
    void twoRegisters() throws IOException {
        for (Reg d : Reg.values()) {
            for (Reg r : Reg.values()) {
                Map<String, BiConsumer<Reg, Reg>> all = Map.of("mov", a::mov, "add", a::add, "sub", a::sub, "and", a::and,
                        "or", a::or, "xor", a::xor, "cmp", a::cmp, "test", a::test, "imul", a::imul);
                all.forEach((name, emit) -> {
                    emit.accept(d, r);
                    s.reads(name + " " + text(d) + "," + text(r));
                });
                a.imul(d, r, -12345);
                s.reads("imul " + text(d) + "," + text(r) + "," + hex(-12345));
            }
        }
        s.check();
    }

    @Test
    void oneRegister() throws IOException {
        for (Reg r : Reg.values()) {
            Map<String, Consumer<Reg>> all = Map.of("inc", a::inc, "dec", a::dec, "neg", a::neg, "push", a::push, "pop", a::pop);
            all.forEach((name, emit) -> {
                emit.accept(r);
                s.reads(name + " " + text(r));
            });
            a.shl(r, 5);
            s.reads("shl " + text(r) + ",0x5");
            a.shr(r, 63);
            s.reads("shr " + text(r) + ",0x3f");
            for (int value : new int[] {0, 1, 127, 128, -128, -129, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
                Map<String, BiConsumer<Reg, Integer>> more = Map.of("add", a::add, "sub", a::sub, "and", a::and, "cmp", a::cmp);
                more.forEach((name, emit) -> {
                    emit.accept(r, value);
                    s.reads(name + " " + text(r) + "," + hex(value));
                });
                a.mov(r, value);
                s.reads("mov " + (value < 0 ? text(r) : text32(r)) + "," + hex(value));
            }
            a.mov(r, 0xffff_ffffL);
            s.reads("mov " + text32(r) + ",0xffffffff");
            a.mov(r, 0x1_2345_6789L);
            s.reads("movabs " + text(r) + ",0x123456789");
            a.mov(r, Long.MIN_VALUE);
            s.reads("movabs " + text(r) + "," + hex(Long.MIN_VALUE));
        }
        s.check();
    }

    @Test
    void memory() throws IOException {
        for (Reg base : Reg.values()) {
            for (Reg index : Reg.values()) {
                for (int disp : DISPLACEMENTS) {
                    // RSP cannot be an index: there stand the addresses without one.
                    Mem m = index == Reg.RSP ? Mem.at(base, disp) : Mem.at(base, index, 1 << (disp + index.ordinal() & 3), disp);
                    Reg r = Reg.values()[base.ordinal() * 3 + index.ordinal() + 1 & 15];
                    Map<String, BiConsumer<Reg, Mem>> all = Map.of("mov", a::mov, "lea", a::lea, "add", a::add, "sub", a::sub, "cmp", a::cmp);
                    all.forEach((name, emit) -> {
                        emit.accept(r, m);
                        s.reads(name + " " + text(r) + "," + text(m));
                    });
                    a.mov(m, r);
                    s.reads("mov " + text(m) + "," + text(r));
                    a.mov32(r, m);
                    s.reads("mov " + text32(r) + "," + text(m));
                    a.mov32(m, r);
                    s.reads("mov " + text(m) + "," + text32(r));
                    Map<String, Consumer<Mem>> one = Map.of("prefetcht0", a::prefetcht0, "prefetcht1", a::prefetcht1,
                            "prefetchnta", a::prefetchnta, "prefetchw", a::prefetchw, "ldtilecfg", a::ldtilecfg, "sttilecfg", a::sttilecfg);
                    one.forEach((name, emit) -> {
                        emit.accept(m);
                        s.reads(name + " " + text(m));
                    });
                    if (m.index() != null) {
                        Tile t = Tile.values()[index.ordinal() & 7];
                        a.tileloadd(t, m);
                        s.reads("tileloadd " + text(t) + "," + text(m));
                        a.tileloaddt1(t, m);
                        s.reads("tileloaddt1 " + text(t) + "," + text(m));
                        a.tilestored(m, t);
                        s.reads("tilestored " + text(m) + "," + text(t));
                    }
                }
            }
        }
        s.check();
    }

    @Test
    void tiles() throws IOException {
        for (Tile t : Tile.values()) {
            a.tilezero(t);
            s.reads("tilezero " + text(t));
            for (int i = 1; i < 8; i++) {
                Tile u = Tile.values()[t.ordinal() + i & 7];
                Tile v = Tile.values()[t.ordinal() + i % 7 + 1 & 7];
                a.tdpbf16ps(t, u, v);
                s.reads("tdpbf16ps " + text(t) + "," + text(u) + "," + text(v));
                a.tdpbssd(t, u, v);
                s.reads("tdpbssd " + text(t) + "," + text(u) + "," + text(v));
                a.tdpbusd(t, u, v);
                s.reads("tdpbusd " + text(t) + "," + text(u) + "," + text(v));
            }
        }
        a.tilerelease();
        s.reads("tilerelease");
        s.check();
        assertThatIllegalArgumentException().isThrownBy(() -> a.tdpbf16ps(Tile.TMM1, Tile.TMM2, Tile.TMM2))
                .withMessageContaining("three different");
        assertThatIllegalArgumentException().isThrownBy(() -> a.tileloadd(Tile.TMM1, Mem.at(Reg.RAX))).withMessageContaining("no index");
    }

    @Test
    void masksAndTheRest() throws IOException {
        for (K k : K.values()) {
            for (Reg r : Reg.values()) {
                a.kmovw(k, r);
                s.reads("kmovw " + text(k) + "," + text32(r));
                a.kmovd(k, r);
                s.reads("kmovd " + text(k) + "," + text32(r));
                a.kmovq(k, r);
                s.reads("kmovq " + text(k) + "," + text(r));
                a.kmovq(r, k);
                s.reads("kmovq " + text(r) + "," + text(k));
            }
        }
        for (Reg r : Reg.values()) {
            for (int i = 0; i < 32; i++) {
                Vec v = new Vec(i, 128 << r.ordinal() % 3, i & 7, i % 3 == 0 && (i & 7) != 0);
                a.vpbroadcastd(v, r);
                s.reads("vpbroadcastd " + v + "," + text32(r));
            }
        }
        Map<String, Runnable> all = Map.of("ret", a::ret, "vzeroupper", a::vzeroupper, "cpuid", a::cpuid, "xgetbv", a::xgetbv, "sfence", a::sfence);
        all.forEach((name, emit) -> {
            emit.run();
            s.reads(name);
        });
        s.check();
    }

    @Test
    void jumpsInBothDirections() throws IOException {
        Label start = a.here();
        for (Cond c : Cond.values()) {
            Label ahead = new Label();
            a.j(c, start);
            s.reads("j" + c.name().toLowerCase() + " 0x0");
            a.j(c, ahead);
            int place = a.position() + 2;
            s.reads("j" + c.name().toLowerCase() + " " + hex(place));
            a.jmp(a.here());
            s.reads("jmp " + hex(place - 2));
            a.bind(ahead);
        }
        Label end = new Label();
        a.jmp(end);
        s.reads("jmp " + hex(a.position()));
        a.bind(end);
        // Far enough behind for a long distance.
        a.jmp(start);
        s.reads("jmp 0x0");
        s.check();
    }

    @Test
    void aJumpBackIsShortUpTo128Bytes() throws IOException {
        for (int pad = 120; pad < 132; pad++) {
            Assembler b = new Assembler();
            Label start = b.here();
            byte[] nothing = new byte[pad];
            Arrays.fill(nothing, (byte) 0x90);
            b.data(nothing);
            b.j(Cond.NE, start);
            assertThat(b.position()).isEqualTo(pad + (pad + 2 <= 128 ? 2 : 6));
            List<String> lines = Disassembler.of(b.toBytes());
            assertThat(lines.getLast()).isEqualTo("jne 0x0");
        }
    }

    @Test
    void constantsBehindTheCodeAreFoundFromIt() throws IOException {
        Label constants = new Label();
        a.vmovups(Vec.zmm(20), Mem.at(constants));
        a.vpternlogd(Vec.zmm(3), Vec.zmm(4), Mem.at(constants), 0x5b);
        a.lea(Reg.R9, Mem.at(constants));
        int end = a.position();
        a.align(64);
        a.bind(constants);
        List<String> lines = Disassembler.of(a.toBytes());
        assertThat(lines.get(0)).isEqualTo("vmovups zmm20,[rip+" + hex(64 - 10) + "]");
        assertThat(lines.get(1)).isEqualTo("vpternlogd zmm3,zmm4,[rip+" + hex(64 - 21) + "],0x5b");
        assertThat(lines.get(2)).isEqualTo("lea r9,[rip+" + hex(64 - 28) + "]");
        assertThat(end).isEqualTo(28);
        assertThat(lines.subList(3, lines.size())).allMatch(l -> l.startsWith("nop") || l.startsWith("cs nop") || l.startsWith("xchg ax,ax"));
        assertThat(a.position()).isEqualTo(64);
    }

    @Test
    void labelsAreBoundOnceAndBeforeTheEnd() {
        Label label = new Label();
        a.jmp(label);
        assertThatIllegalStateException().isThrownBy(a::toBytes).withMessageContaining("never bound");
        a.bind(label);
        assertThatIllegalStateException().isThrownBy(() -> a.bind(label)).withMessageContaining("bound twice");
        assertThat(a.toBytes()).hasSize(5);
        assertThatIllegalArgumentException().isThrownBy(() -> Mem.at(Reg.RAX, Reg.RSP, 1, 0)).withMessageContaining("RSP");
        assertThatIllegalArgumentException().isThrownBy(() -> Mem.at(Reg.RAX, Reg.RBX, 3, 0)).withMessageContaining("times 3");
        assertThatIllegalArgumentException().isThrownBy(() -> a.lea(Reg.RAX, Mem.at(label).plus(4))).withMessageContaining("4 bytes");
    }
}
