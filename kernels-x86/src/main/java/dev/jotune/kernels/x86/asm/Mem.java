package dev.jotune.kernels.x86.asm;

/**
 * An operand in memory: {@code [base + index * scale + disp]}, or the place of a label.
 *
 * @param base      null if it is a label's place
 * @param index     null for none; never RSP
 * @param scale     1, 2, 4 or 8
 * @param disp      bytes
 * @param label     null if it has a base
 * @param broadcast one element is read and spread over all lanes
 * @param mask      as the destination of a store: the mask register's number, 0 for all lanes
 */
public record Mem(Reg base, Reg index, int scale, int disp, Label label, boolean broadcast, int mask) implements Operand {
    /** Checks what can be encoded. */
    public Mem {
        if (index == Reg.RSP || scale != 1 && scale != 2 && scale != 4 && scale != 8) {
            throw new IllegalArgumentException("An address cannot have the index " + index + " times " + scale
                    + ". Take any register but RSP, times 1, 2, 4 or 8.");
        }
        if ((base == null) == (label == null) || label != null && index != null) {
            throw new IllegalArgumentException("An address has the base " + base + (label == null ? " and no label" : " and a label")
                    + ". Give it a base register, perhaps with an index, or a label alone.");
        }
    }

    /** {@code [base]}. */
    public static Mem at(Reg base) {
        return at(base, 0);
    }

    /** {@code [base + disp]}. */
    public static Mem at(Reg base, int disp) {
        return new Mem(base, null, 1, disp, null, false, 0);
    }

    /** {@code [base + index * scale + disp]}. */
    public static Mem at(Reg base, Reg index, int scale, int disp) {
        return new Mem(base, index, scale, disp, null, false, 0);
    }

    /** The place of a label: constants that lie behind the code. */
    public static Mem at(Label label) {
        return new Mem(null, null, 1, 0, label, false, 0);
    }

    /** {@code bytes} further. */
    public Mem plus(int bytes) {
        return new Mem(base, index, scale, Math.addExact(disp, bytes), label, broadcast, mask);
    }

    /** One element for all lanes. */
    public Mem spread() {
        return new Mem(base, index, scale, disp, label, true, mask);
    }

    /** As the destination of a store that writes the mask's lanes only. */
    public Mem merge(K k) {
        return new Mem(base, index, scale, disp, label, broadcast, k.masking());
    }
}
