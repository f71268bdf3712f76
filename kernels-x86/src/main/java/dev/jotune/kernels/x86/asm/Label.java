package dev.jotune.kernels.x86.asm;

/** A place in the code of one {@link Assembler}; may be used before it is bound. */
public final class Label {
    private int position = -1;

    boolean isBound() {
        return position >= 0;
    }

    int position() {
        return position;
    }

    void bindTo(int place) {
        if (position >= 0) {
            throw new IllegalStateException("A label is bound twice, at " + position + " and at " + place
                    + ". Make a new label for each place.");
        }
        position = place;
    }
}
