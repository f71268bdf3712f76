package dev.jotune.models.generate;

/**
 * A function from a token history to the next token's logits, with its own incremental state. These functions form an
 * algebra, {@link Logits}, and {@link Generator} decodes any of them. Proxy-tuning (Liu et al., arXiv 2401.08565)
 * reads {@code base.plus(alpha, expert.minus(anti))}.
 */
public interface LanguageModel {

    /** V, the number of logits. */
    int vocabularySize();

    /** How many tokens a history may have; {@link Integer#MAX_VALUE} if the model sets no limit. */
    int contextLength();

    /** A new session with an empty history. Sessions of one model do not disturb each other. */
    Session open();

    /**
     * Whether a batch may begin with texts of unequal length. A model that reads padding as if it were text takes those
     * of one length together instead; {@link Generator} sees to it.
     */
    default boolean readsUnequal() {
        return true;
    }

    /** Several texts, with empty histories, to be read and written in lock step. */
    default BatchSession openBatch(int rows) {
        return new SeparateRows(this, rows);
    }

    /**
     * One text being read and written: a history, and whatever the model keeps of it (a KV cache). Not for use by
     * several threads.
     */
    interface Session extends AutoCloseable {

        /** Number of tokens in the history. */
        int length();

        /**
         * Appends tokens to the history; all or, if it throws, none. What an empty history is fed first is the text's
         * prompt, to members of a combination that tell it from what was written and to adapters that make something of it.
         *
         * @throws IllegalArgumentException if an id is outside the vocabulary or the context has no room
         */
        void feed(int... tokens);

        /**
         * Logits for the token after the history; may be asked for again.
         *
         * @param out [V] takes them
         * @throws IllegalStateException if the history is empty
         */
        void logits(float[] out);

        /**
         * Logits after each of the last tokens, in their order; the last are those of {@link #logits(float[])}. One
         * pass where the model can: speculative decoding checks a draft so.
         *
         * @param out [n][V] with n from 1 to the history's length
         * @throws IllegalArgumentException if n is not
         */
        void logits(float[][] out);

        /**
         * Takes the history back to its first {@code length} tokens.
         *
         * @throws IllegalArgumentException if it has fewer
         */
        void rewind(int length);

        /** Releases what the session holds; it is of no use afterwards. Closing twice does nothing. */
        @Override
        void close();
    }

    /** {@code this + other}. */
    default LanguageModel plus(LanguageModel other) {
        return plus(1, other);
    }

    /** {@code this + weight * other}; see {@link Logits#linear}. */
    default LanguageModel plus(double weight, LanguageModel other) {
        return Logits.linear(new LanguageModel[] {this, other}, 1, weight);
    }

    /** {@code this - other}. */
    default LanguageModel minus(LanguageModel other) {
        return plus(-1, other);
    }

    /** {@code factor * this}. */
    default LanguageModel times(double factor) {
        return Logits.linear(new LanguageModel[] {this}, factor);
    }
}
