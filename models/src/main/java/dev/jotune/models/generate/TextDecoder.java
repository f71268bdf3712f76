package dev.jotune.models.generate;

/** Turns token ids into text as they arrive. What it gives, put together, is the text of all ids. */
public interface TextDecoder {

    /** A decoder for those who want ids only: there is no text. */
    TextDecoder NONE = new TextDecoder() {
        @Override
        public String push(int id) {
            return "";
        }

        @Override
        public String finish() {
            return "";
        }

        @Override
        public TextDecoder copy() {
            return this;
        }
    };

    /** Takes the next id and gives the text that is complete now, perhaps none. */
    String push(int id);

    /** Gives what is left. */
    String finish();

    /**
     * Another decoder that has seen the same ids and goes its own way; beam search, which follows several texts, needs
     * it.
     */
    default TextDecoder copy() {
        throw new UnsupportedOperationException("This decoder cannot be copied, which beam search with text needs. "
                + "Use the tokenizer's, or override copy().");
    }
}
