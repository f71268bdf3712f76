package dev.jotune.models.tokenizer;

/** Drops white space at the ends of a text. */
record StripNormalizer(boolean left, boolean right) implements Normalizer {

    @Override
    public NormalizedText normalize(NormalizedText text) {
        int start = 0;
        while (left && start < text.length() && Characters.isWhiteSpace(text.codePoint(start))) {
            start++;
        }
        int end = text.length();
        while (right && end > start && Characters.isWhiteSpace(text.codePoint(end - 1))) {
            end--;
        }
        NormalizedText.Builder builder = text.builder(end - start);
        builder.copy(start, end);
        return builder.build();
    }
}
