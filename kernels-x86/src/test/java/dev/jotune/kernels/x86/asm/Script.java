package dev.jotune.kernels.x86.asm;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Instructions and, beside each, how a disassembler should write it. */
final class Script {
    final Assembler a = new Assembler();
    private final List<String> expected = new ArrayList<>();

    /** What was emitted since the last call should read so. */
    void reads(String text) {
        expected.add(text);
    }

    void check() throws IOException {
        List<String> seen = Disassembler.of(a.toBytes());
        for (int i = 0; i < Math.min(seen.size(), expected.size()); i++) {
            if (!seen.get(i).equals(expected.get(i))) {
                assertThat(seen.get(i)).as("instruction %d", i).isEqualTo(expected.get(i));
            }
        }
        assertThat(seen).hasSameSizeAs(expected);
        assertThat(expected).isNotEmpty();
    }

    static String text(Reg r) {
        return r.name().toLowerCase();
    }

    static String text32(Reg r) {
        return r.ordinal() >= 8 ? text(r) + "d" : "e" + text(r).substring(1);
    }

    static String text(K k) {
        return k.name().toLowerCase();
    }

    static String text(Tile t) {
        return t.name().toLowerCase();
    }

    static String text(Operand o) {
        return switch (o) {
            case Vec v -> v.toString();
            case Mem m -> text(m);
        };
    }

    static String text(Mem m) {
        StringBuilder s = new StringBuilder(m.broadcast() ? "BCST [" : "[").append(text(m.base()));
        if (m.index() != null) {
            s.append('+').append(text(m.index())).append('*').append(m.scale());
        }
        // RSP and R12 are written in a form that has room for an index; so are tiles.
        if (m.disp() != 0) {
            s.append(m.disp() > 0 ? "+0x" : "-0x").append(Long.toHexString(Math.abs((long) m.disp())));
        } else if (m.base() == Reg.RBP || m.base() == Reg.R13) {
            s.append("+0x0");
        }
        return s.append(']').append(m.mask() == 0 ? "" : "{k" + m.mask() + "}").toString();
    }

    static String hex(long value) {
        return "0x" + Long.toHexString(value);
    }
}
