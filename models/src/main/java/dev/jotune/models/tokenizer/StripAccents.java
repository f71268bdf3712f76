package dev.jotune.models.tokenizer;

/** Drops combining marks; of use after a decomposing form. */
record StripAccents() implements Normalizer {

    @Override
    public NormalizedText normalize(NormalizedText text) {
        return text.filter(c -> !Characters.isMark(c));
    }
}
