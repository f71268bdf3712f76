package dev.jotune.tensor;

/** What a reduction does with the elements of an axis. */
public enum Reduction {
    /** The sum; 0 of no elements. */
    SUM,
    /** The largest; -infinity of no elements. */
    MAX
}
