package dev.jotune.models.generate;

/** Ends a text by any rule on its tokens. The token that fulfils it belongs to the result. */
@FunctionalInterface
public interface StopCondition {

    /**
     * Asked after each new token.
     *
     * @param history      token ids so far, prompt included; only the first {@code length} count, none may be changed
     * @param promptLength how many of them are the prompt's
     * @param length       number of tokens so far
     */
    boolean ends(int[] history, int promptLength, int length);
}
