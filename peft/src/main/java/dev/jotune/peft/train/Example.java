package dev.jotune.peft.train;

import dev.jotune.autograd.ops.CrossEntropy;
import java.util.Arrays;
import java.util.Optional;

/**
 * One text to learn from. The arrays are not copied.
 *
 * @param ids token ids
 * @param labels for each token its id, or -100 where it is given and not to be learnt
 * @param tokenTypes which text of a pair each token is of; empty: all of the first
 * @param category the text's class, or -100 where it has none
 * @param rejected of a pair of answers to one prompt, the one that is worse than this text
 */
public record Example(int[] ids, int[] labels, int[] tokenTypes, int category, Optional<Example> rejected) {
    /** The label of a token that is not to be learnt, and the category of a text that has none. */
    public static final int IGNORED = (int) CrossEntropy.IGNORE_INDEX;

    /** @throws IllegalArgumentException if there is no token, or not one label for each */
    public Example {
        if (ids.length == 0 || ids.length != labels.length) {
            throw new IllegalArgumentException("an example has " + ids.length + " tokens and " + labels.length
                    + " labels. Give at least one token, and a label for each.");
        }
        if (tokenTypes.length != 0 && tokenTypes.length != ids.length) {
            throw new IllegalArgumentException("an example has " + ids.length + " tokens and " + tokenTypes.length
                    + " token types. Give one for each, or none.");
        }
    }

    /** Tokens to learn. */
    public Example(int[] ids, int[] labels) {
        this(ids, labels, new int[0], IGNORED, Optional.empty());
    }

    /** This text, preferred to {@code worse}. */
    public Example preferredTo(Example worse) {
        return new Example(ids, labels, tokenTypes, category, Optional.of(worse));
    }

    /** A text to classify; its tokens are given. */
    public static Example ofCategory(int[] ids, int[] tokenTypes, int category) {
        int[] labels = new int[ids.length];
        Arrays.fill(labels, IGNORED);
        return new Example(ids, labels, tokenTypes, category, Optional.empty());
    }

    /** Number of tokens. */
    public int length() {
        return ids.length;
    }

    /** Whether the text as a whole has a class. */
    public boolean isClassified() {
        return category != IGNORED;
    }

    /**
     * How many labels count. A model without virtual tokens has nothing to predict the first token from.
     *
     * @param firstCounts whether a label of the first token counts
     */
    public int labelCount(boolean firstCounts) {
        int n = isClassified() ? 1 : 0;
        for (int i = firstCounts ? 0 : 1; i < labels.length; i++) {
            n += labels[i] == IGNORED ? 0 : 1;
        }
        return n;
    }

    /** The first {@code maxLength} tokens; of a text to classify the last token stays, which ends every text there. */
    Example cutTo(int maxLength) {
        if (length() <= maxLength && rejected.stream().allMatch(r -> r.length() <= maxLength)) {
            return this;
        }
        if (length() <= maxLength) {
            return preferredTo(rejected.get().cutTo(maxLength));
        }
        Example e = new Example(Arrays.copyOf(ids, maxLength), Arrays.copyOf(labels, maxLength),
                tokenTypes.length == 0 ? tokenTypes : Arrays.copyOf(tokenTypes, maxLength), category, rejected.map(r -> r.cutTo(maxLength)));
        if (isClassified()) {
            e.ids[maxLength - 1] = ids[length() - 1];
        }
        return e;
    }
}
