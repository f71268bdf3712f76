package dev.jotune.models.tokenizer;

import java.util.Arrays;

/**
 * Decodes ids as they arrive, giving out only whole characters.
 *
 * <p>What {@link #push} and {@link #finish} give, put together, is what {@link Tokenizer#decode} gives for all the ids.
 * There is one exception: where bytes that were given out as characters are followed by bytes that are not UTF-8, a
 * decoder of byte tokens would take the characters back, and this one keeps them. Not for use by several threads.
 */
public final class DecodeStream {

    /**
     * How many ids may wait for the rest of a character. Four bytes make one, but a U+FFFD that really is in the text
     * looks broken too, so a few more may wait.
     */
    private static final int LONGEST_WAIT = 64;
    private static final char BROKEN = '\uFFFD';

    private final Tokenizer tokenizer;
    private final boolean skipSpecialTokens;
    /** Ids already given out that the decoder needs to see before the waiting ones, then the waiting ones. */
    private int[] window = new int[16];
    private int context;
    private int size;

    DecodeStream(Tokenizer tokenizer, boolean skipSpecialTokens) {
        this.tokenizer = tokenizer;
        this.skipSpecialTokens = skipSpecialTokens;
    }

    /** Another stream that has seen the same ids and goes its own way. */
    public DecodeStream copy() {
        DecodeStream copy = new DecodeStream(tokenizer, skipSpecialTokens);
        copy.window = window.clone();
        copy.context = context;
        copy.size = size;
        return copy;
    }

    /** Takes the next id and gives the text that is now complete, often that of this id, perhaps none. */
    public String push(int id) {
        String token = tokenizer.visibleToken(id, skipSpecialTokens);
        if (token == null || token.isEmpty()) {
            return "";
        }
        if (size == window.length) {
            window = Arrays.copyOf(window, size * 2);
        }
        window[size++] = id;
        return take(false);
    }

    /** Gives what is left, broken characters as U+FFFD, and begins anew. */
    public String finish() {
        String rest = take(true);
        context = 0;
        size = 0;
        return rest;
    }

    private String take(boolean all) {
        int waiting = size - context;
        String before = decode(0, context);
        String after = decode(0, size);
        boolean incomplete = !after.isEmpty() && after.charAt(after.length() - 1) == BROKEN;
        if (!all && waiting <= LONGEST_WAIT && (incomplete || after.length() <= before.length())) {
            return "";
        }
        String text = after.startsWith(before) ? after.substring(before.length()) : decode(context, size);
        if (size > LONGEST_WAIT || !decode(context, size).isEmpty()) {
            System.arraycopy(window, context, window, 0, waiting);
            size = waiting;
        } // Else the decoder strips what was given out, and needs to see more before it.
        context = size;
        return text;
    }

    private String decode(int from, int to) {
        return from == to ? "" : tokenizer.decode(Arrays.copyOfRange(window, from, to), skipSpecialTokens);
    }
}
