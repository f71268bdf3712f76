package dev.jotune.models.generate;

import java.util.Arrays;

/**
 * The part of a session that all models with a cache share. Tokens wait until logits are asked for and then go
 * through the model together, so that a prompt is one forward pass however it was fed. Where logits are asked for right
 * after going back, the last token is read again to give them.
 */
public abstract class IncrementalSession implements LanguageModel.Session {

    private final int vocabularySize;
    private final int contextLength;
    private final TokenHistory history = new TokenHistory();
    private final float[] last;
    private int cached;
    private int prompt;
    /** The length of the history whose logits {@code last} holds; 0 if of none. */
    private int lastLength;
    private boolean closed;

    /**
     * @param model whose vocabulary size and context length are checked against
     */
    protected IncrementalSession(LanguageModel model) {
        this(model.vocabularySize(), model.contextLength());
    }

    /**
     * @param vocabularySize V
     * @param contextLength how many tokens the history may have
     */
    protected IncrementalSession(int vocabularySize, int contextLength) {
        this.vocabularySize = vocabularySize;
        this.contextLength = contextLength;
        last = new float[vocabularySize];
    }

    /**
     * Reads tokens {@code from} to {@code to} (exclusive) of the history; those before are cached already. If it
     * throws, {@link #truncate} is called to cut off what it may have added.
     *
     * @param history the whole history; not to be changed
     * @param logits  [V] takes the logits after the last of them
     */
    protected abstract void advance(int[] history, int from, int to, float[] logits);

    /**
     * Reads tokens as the other method does, and gives the logits after each of the last of them. One by one here; a
     * model that can do it in one pass should.
     *
     * @param logits [n][V] with n from 1 to {@code to - from}
     */
    protected void advance(int[] history, int from, int to, float[][] logits) {
        int at = from;
        for (int i = 0; i < logits.length; i++) {
            int next = to - logits.length + 1 + i;
            advance(history, at, next, logits[i]);
            at = next;
        }
    }

    /**
     * Forgets all but the first {@code length} cached tokens.
     *
     * @return how many stay: fewer where what is cached cannot go back that far only; the others are read again
     */
    protected abstract int truncate(int length);

    /** Frees the cache. Called once. */
    protected abstract void release();

    @Override
    public final int length() {
        return history.length();
    }

    @Override
    public final void feed(int... tokens) {
        checkOpen();
        Require.inVocabulary("The text", tokens, vocabularySize);
        long needed = (long) history.length() + tokens.length;
        if (needed > contextLength) {
            throw new IllegalArgumentException("The text of " + needed + " tokens is longer than the context of "
                    + contextLength + ". Shorten the prompt or ask for fewer new tokens.");
        }
        if (history.length() < Math.max(1, prompt)) {
            prompt = history.length() + tokens.length;
        }
        history.append(tokens);
    }

    /** How long the text's prompt is: what an empty history was fed first, or a text that was taken back into its prompt. */
    protected final int prompt() {
        return prompt;
    }

    @Override
    public final void logits(float[] out) {
        int length = checkLogits(1, out);
        if (lastLength != length) {
            forget(Math.min(cached, length - 1));
            lastLength = 0;
            try {
                advance(history.array(), cached, length, last);
            } catch (RuntimeException | Error e) {
                cached = truncate(cached);
                throw e;
            }
            cached = length;
            lastLength = length;
        }
        System.arraycopy(last, 0, out, 0, vocabularySize);
    }

    @Override
    public final void logits(float[][] out) {
        int length = checkLogits(out.length, out);
        forget(Math.min(cached, length - out.length));
        lastLength = 0;
        try {
            advance(history.array(), cached, length, out);
        } catch (RuntimeException | Error e) {
            cached = truncate(cached);
            throw e;
        }
        cached = length;
        lastLength = length;
        System.arraycopy(out[out.length - 1], 0, last, 0, vocabularySize);
    }

    private int checkLogits(int places, float[]... out) {
        checkOpen();
        int length = history.length();
        if (length == 0) {
            throw new IllegalStateException("The history is empty, so there are no next-token logits. "
                    + "Feed at least one token, for example the beginning-of-text token.");
        }
        if (places < 1 || places > length) {
            throw new IllegalArgumentException("Logits after the last " + places + " tokens were asked for, but the "
                    + "history has " + length + ". Ask for 1 to " + length + ".");
        }
        for (float[] row : out) {
            if (row.length != vocabularySize) {
                throw new IllegalArgumentException("The array for logits has " + row.length + " elements, but the "
                        + "vocabulary has " + vocabularySize + " tokens. Pass one of that size.");
            }
        }
        return length;
    }

    private void forget(int length) {
        if (length < cached) {
            cached = truncate(length);
        }
    }

    @Override
    public final void rewind(int length) {
        checkOpen();
        history.rewind(length);
        forget(Math.min(cached, length));
        if (lastLength > length) {
            lastLength = 0;
        }
    }

    /** The history, as a copy. */
    public final int[] tokens() {
        return Arrays.copyOf(history.array(), history.length());
    }

    @Override
    public final void close() {
        if (!closed) {
            closed = true;
            release();
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("The session is closed. Open another one.");
        }
    }
}
