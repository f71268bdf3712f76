package dev.jotune.peft;

/** What methods ask of their hyper-parameters, refused in the same words everywhere. */
public final class Require {
    private Require() {}

    /** @throws AdapterException with {@code otherwise}, unless it holds */
    public static void that(boolean holds, String otherwise) {
        if (!holds) {
            throw new AdapterException(otherwise);
        }
    }

    /** @throws AdapterException naming the field, unless it counts something */
    public static void positive(String field, int value) {
        that(value > 0, field + " is " + value + "; it must be a positive integer.");
    }

    /** @throws AdapterException naming the field, unless it is a probability to drop with */
    public static void dropout(String field, double value) {
        that(value >= 0 && value < 1, field + " is " + value + "; it must lie in [0, 1).");
    }

    /** @throws AdapterException naming the field, unless it can be a weight or a deviation */
    public static void notNegative(String field, double value) {
        that(value >= 0 && value < Double.POSITIVE_INFINITY, field + " is " + value + "; it must be a finite number, 0 or more.");
    }
}
