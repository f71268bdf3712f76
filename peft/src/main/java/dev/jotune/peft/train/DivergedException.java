package dev.jotune.peft.train;

/** A step that cannot be made because a number of it is none; the run adds where it stands and what to do. */
public final class DivergedException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** @param what which number it is, with its value */
    public DivergedException(String what) {
        super(what);
    }
}
