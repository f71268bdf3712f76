package dev.jotune.peft.train;

import dev.jotune.autograd.ops.CrossEntropy;

/**
 * One text to learn from. The arrays are not copied.
 *
 * @param ids token ids
 * @param labels for each token its id, or -100 where it is given and not to be learnt
 */
public record Example(int[] ids, int[] labels) {
    /** The label of a token that is not to be learnt. */
    public static final int IGNORED = (int) CrossEntropy.IGNORE_INDEX;

    /** @throws IllegalArgumentException if there is no token, or not one label for each */
    public Example {
        if (ids.length == 0 || ids.length != labels.length) {
            throw new IllegalArgumentException("an example has " + ids.length + " tokens and " + labels.length
                    + " labels. Give at least one token, and a label for each.");
        }
    }

    /** Number of tokens. */
    public int length() {
        return ids.length;
    }

    /**
     * How many labels count. A model without virtual tokens has nothing to predict the first token from.
     *
     * @param firstCounts whether a label of the first token counts
     */
    public int labelCount(boolean firstCounts) {
        int n = 0;
        for (int i = firstCounts ? 0 : 1; i < labels.length; i++) {
            n += labels[i] == IGNORED ? 0 : 1;
        }
        return n;
    }
}
