package dev.jotune.models.generate;

/**
 * A text to be continued.
 *
 * @param prompt   token ids, at least one
 * @param row      which text of several with the same seed: each has random numbers of its own
 * @param decoder  a fresh one, used for this text only
 * @param listener hears tokens and text as they come
 */
public record TextRequest(int[] prompt, long row, TextDecoder decoder, GenerationListener listener) {

    public TextRequest {
        prompt = prompt.clone();
    }

    /** A text of ids that nobody listens to. */
    public static TextRequest of(int... prompt) {
        return new TextRequest(prompt, 0, TextDecoder.NONE, GenerationListener.NONE);
    }

    @Override
    public int[] prompt() {
        return prompt.clone();
    }
}
