package dev.jotune.models.tokenizer;

/** Puts a string before every text that is not empty. */
record Prepend(String prefix) implements Normalizer {

    @Override
    public NormalizedText normalize(NormalizedText text) {
        return text.prepend(prefix);
    }
}
