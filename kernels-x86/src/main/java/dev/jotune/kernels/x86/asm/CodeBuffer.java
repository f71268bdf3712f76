package dev.jotune.kernels.x86.asm;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Bytes that grow, labels, and the parts that all encodings share. */
class CodeBuffer {
    /** The recommended forms of doing nothing, by length. */
    private static final String[] NOPS = {"", "90", "6690", "0f1f00", "0f1f4000", "0f1f440000", "660f1f440000", "0f1f8000000000",
        "0f1f840000000000", "660f1f840000000000"};

    /** A distance to a label, to be written when its place is known; it counts from {@code position + 4 + trailing}. */
    private record Fixup(Label label, int position, int trailing) {}

    private byte[] bytes = new byte[256];
    private int size;
    private final List<Fixup> fixups = new ArrayList<>();

    /** Bytes so far. */
    public final int position() {
        return size;
    }

    /** Makes {@code label} mean this place. */
    public final void bind(Label label) {
        label.bindTo(size);
    }

    /** A label for this place. */
    public final Label here() {
        Label label = new Label();
        bind(label);
        return label;
    }

    /** Does nothing up to the next multiple of {@code boundary} bytes, a power of two. */
    public final void align(int boundary) {
        int pad = -size & boundary - 1;
        while (pad > 0) {
            int n = Math.min(pad, NOPS.length - 1);
            for (int i = 0; i < n; i++) {
                emit(Integer.parseInt(NOPS[n], 2 * i, 2 * i + 2, 16));
            }
            pad -= n;
        }
    }

    /** Appends constants. */
    public final void data(byte... constants) {
        for (byte b : constants) {
            emit(b);
        }
    }

    /** Appends constants of 32 bits. */
    public final void ints(int... constants) {
        for (int value : constants) {
            emit32(value);
        }
    }

    /**
     * The code.
     *
     * @throws IllegalStateException if a label was used and never bound
     */
    public final byte[] toBytes() {
        byte[] out = Arrays.copyOf(bytes, size);
        for (Fixup f : fixups) {
            if (!f.label.isBound()) {
                throw new IllegalStateException("The code refers to a label at byte " + f.position
                        + " that was never bound. Call bind(label) at its place.");
            }
            int distance = f.label.position() - (f.position + 4 + f.trailing);
            for (int i = 0; i < 4; i++) {
                out[f.position + i] = (byte) (distance >> 8 * i);
            }
        }
        return out;
    }

    final void emit(int value) {
        if (size == bytes.length) {
            bytes = Arrays.copyOf(bytes, 2 * size);
        }
        bytes[size++] = (byte) value;
    }

    final void emit32(int value) {
        for (int i = 0; i < 4; i++) {
            emit(value >> 8 * i);
        }
    }

    final void emit64(long value) {
        emit32((int) value);
        emit32((int) (value >> 32));
    }

    /** Four bytes of distance to a label, the instruction ending {@code trailing} bytes later. */
    final void distance(Label label, int trailing) {
        fixups.add(new Fixup(label, size, trailing));
        emit32(0);
    }

    /** ModRM with a register in both places. */
    final void registers(int reg, int rm) {
        emit(0xc0 | (reg & 7) << 3 | rm & 7);
    }

    /**
     * ModRM, SIB and displacement of a memory operand.
     *
     * @param unit     what a displacement of one byte counts in: 1, or more in EVEX instructions
     * @param trailing bytes of the instruction that follow
     * @param sib      whether the instruction demands a SIB byte
     */
    final void memory(int reg, Mem m, int unit, int trailing, boolean sib) {
        int field = (reg & 7) << 3;
        if (m.label() != null) {
            if (m.disp() != 0 || sib) {
                throw new IllegalArgumentException("A label's place cannot be moved by " + m.disp() + " bytes or indexed. Bind a label there.");
            }
            emit(field | 5);
            distance(m.label(), trailing);
            return;
        }
        int base = m.base().number() & 7;
        boolean small = m.disp() % unit == 0 && m.disp() / unit == (byte) (m.disp() / unit);
        // A base of RBP or R13 without displacement means something else.
        int mod = m.disp() == 0 && base != 5 ? 0 : small ? 0x40 : 0x80;
        if (m.index() != null || base == 4 || sib) {
            int index = m.index() == null ? 4 : m.index().number() & 7;
            emit(mod | field | 4);
            emit(Integer.numberOfTrailingZeros(m.scale()) << 6 | index << 3 | base);
        } else {
            emit(mod | field | base);
        }
        if (mod == 0x40) {
            emit(m.disp() / unit);
        } else if (mod == 0x80) {
            emit32(m.disp());
        }
    }

    /** The fourth bit of a register's number, as the prefixes hold it: 0 if there is no register. */
    static int high(Reg r) {
        return r == null ? 0 : r.number() >> 3;
    }
}
