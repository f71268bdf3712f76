package dev.jotune.kernels.x86.asm;

import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.jotune.kernels.x86.asm.Evex.Form;
import dev.jotune.kernels.x86.asm.Evex.Tuple;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Every vector instruction, on every register, mask, address and width, reads back as it was meant. */
class VectorEncodingTest {
    private static final int IMMEDIATE = 0x5b;

    @BeforeAll
    static void needsADisassembler() {
        assumeTrue(Disassembler.isThere(), "objdump is not on the PATH; install binutils to check the encoder");
    }

    @TestFactory
    Stream<DynamicTest> registers() {
        return Stream.of(Evex.values()).map(op -> DynamicTest.dynamicTest(op.name(), () -> {
            Script s = new Script();
            for (int bits = op.narrowest(); bits <= 512; bits *= 2) {
                for (int i = 0; i < 32; i++) {
                    int mask = op == Evex.VMOVNTPS ? 0 : i & 7;
                    if (isForRegisters(op)) {
                        emit(s, op, bits, i, i * 7 + 3 & 31, new Vec(i * 5 + 17 & 31, source(op, bits), 0, false), mask, i > 15);
                    }
                }
            }
            if (isForRegisters(op)) {
                s.check();
            }
        }));
    }

    @TestFactory
    Stream<DynamicTest> addresses() {
        return Stream.of(Evex.values()).map(op -> DynamicTest.dynamicTest(op.name(), () -> {
            Script s = new Script();
            for (int bits = op.narrowest(); bits <= 512; bits *= 2) {
                int unit = op.tuple.bytes(bits / 8);
                int register = 0;
                for (Mem m : places(unit, op.tuple == Tuple.FULL && !isStore(op) ? op.element() : 0)) {
                    register = register + 5 & 31;
                    int mask = op == Evex.VMOVNTPS ? 0 : register & 7;
                    emit(s, op, bits, register, register + 9 & 31, m, mask, register > 12);
                }
            }
            s.check();
        }));
    }

    /** Every base, every index, every scale, and displacements on both sides of where their encoding changes. */
    private static List<Mem> places(int unit, int element) {
        List<Mem> out = new ArrayList<>();
        for (Reg base : Reg.values()) {
            for (int disp : displacements(unit)) {
                out.add(Mem.at(base, disp));
            }
            for (int disp : element == 0 ? new int[0] : displacements(element)) {
                out.add(Mem.at(base, disp).spread());
            }
            for (Reg index : Reg.values()) {
                if (index != Reg.RSP) {
                    out.add(Mem.at(base, index, 1 << (base.ordinal() + index.ordinal() & 3), index.ordinal() % 3 * unit));
                }
            }
        }
        return out;
    }

    private static int[] displacements(int unit) {
        return new int[] {0, 1, unit, -unit, unit + 1, 127 * unit, 128 * unit, -128 * unit, -129 * unit, 127, -127, 0x12345678, Integer.MIN_VALUE};
    }

    private static boolean isStore(Evex op) {
        return op.form == Form.STORE || op.form == Form.STORE_IMM;
    }

    private static boolean isForRegisters(Evex op) {
        return !op.name().endsWith("_STORE") && op != Evex.VMOVNTPS;
    }

    /** Bits of the last operand if it is a register. */
    private static int source(Evex op, int bits) {
        return Math.max(128, 8 * op.tuple.bytes(bits / 8));
    }

    /** Emits the instruction and writes it as Intel does; the mask goes to the destination, whichever operand it is. */
    private static void emit(Script s, Evex op, int bits, int first, int second, Operand last, int mask, boolean zeroing) {
        String name = op.name().replaceAll("_.*", "").toLowerCase();
        boolean zero = zeroing && mask != 0;
        int narrow = op.form == Form.NARROW ? Math.max(128, bits / 2) : bits;
        if (op.form == Form.NARROW && bits == 128 && last instanceof Mem) {
            return;
        }
        switch (op.form) {
            case TWO, TWO_IMM, NARROW -> {
                Vec d = new Vec(first, narrow, mask, zero);
                s.a.emit(op, d, null, last, IMMEDIATE);
                s.reads(name + " " + d + "," + Script.text(last) + (op.form == Form.TWO_IMM ? "," + Script.hex(IMMEDIATE) : ""));
            }
            case STORE, STORE_IMM -> {
                Vec from = new Vec(first, bits, 0, false);
                Operand d = switch (last) {
                    case Vec v -> new Vec(v.number(), v.bits(), mask, zero);
                    case Mem m -> mask == 0 ? m : m.merge(K.values()[mask]);
                };
                s.a.emit(op, from, null, d, IMMEDIATE);
                s.reads(name + " " + Script.text(d) + "," + from + (op.form == Form.STORE_IMM ? "," + Script.hex(IMMEDIATE) : ""));
            }
            case THREE, THREE_IMM -> {
                Vec d = new Vec(first, bits, mask, zero);
                Vec a = new Vec(second, bits, 0, false);
                s.a.emit(op, d, a, last, IMMEDIATE);
                s.reads(name + " " + d + "," + a + "," + Script.text(last) + (op.form == Form.THREE_IMM ? "," + Script.hex(IMMEDIATE) : ""));
            }
            case SHIFT_2, SHIFT_4, SHIFT_6 -> {
                Vec d = new Vec(first, bits, mask, zero);
                s.a.emit(op, null, d, last, IMMEDIATE);
                s.reads(name + " " + d + "," + Script.text(last) + "," + Script.hex(IMMEDIATE));
            }
        }
    }

    @Test
    void whatCannotBeEncodedIsRefused() {
        Assembler a = new Assembler();
        Vec z = Vec.zmm(1);
        assertThatIllegalArgumentException().isThrownBy(() -> a.vaddps(z, z, Vec.ymm(2)))
                .withMessageContaining("VADDPS on 512 bits cannot take ymm2");
        assertThatIllegalArgumentException().isThrownBy(() -> a.vaddps(z, Vec.ymm(3), z)).withMessageContaining("ymm3");
        assertThatIllegalArgumentException().isThrownBy(() -> a.vaddps(z, z.merge(K.K1), z)).withMessageContaining("source");
        assertThatIllegalArgumentException().isThrownBy(() -> a.vpermw(z, z, Mem.at(Reg.RAX).spread())).withMessageContaining("spread");
        assertThatIllegalArgumentException().isThrownBy(() -> a.vpermd(Vec.xmm(1), Vec.xmm(1), Vec.xmm(1)))
                .withMessageContaining("VPERMD on 128 bits");
        assertThatIllegalArgumentException().isThrownBy(() -> a.vmovntps(Mem.at(Reg.RAX).merge(K.K1), z)).withMessageContaining("non-temporal");
        assertThatIllegalArgumentException().isThrownBy(() -> a.vmovups(Mem.at(Reg.RAX).spread(), z)).withMessageContaining("spread");
        assertThatIllegalArgumentException().isThrownBy(() -> Vec.zmm(32)).withMessageContaining("32");
        assertThatIllegalArgumentException().isThrownBy(() -> z.merge(K.K0)).withMessageContaining("k0");
    }
}
