package dev.jotune.models.tokenizer;

/** Writes the UTF-8 bytes of a text as visible characters, as {@link ByteLevel} does, but as a normalizer. */
record VisibleBytes() implements Normalizer {

    @Override
    public NormalizedText normalize(NormalizedText text) {
        return ByteLevel.visible(text);
    }
}
