package dev.jotune.models.tokenizer;

/** Writes every character in lower case, one at a time: a sigma at the end of a word gets no form of its own. */
record Lowercase() implements Normalizer {

    private static final int DOTTED_I = 0x130;
    private static final int DOT_ABOVE = 0x307;

    @Override
    public NormalizedText normalize(NormalizedText text) {
        NormalizedText.Builder builder = text.builder(text.length());
        for (int i = 0; i < text.length(); i++) {
            builder.addAs(Character.toLowerCase(text.codePoint(i)), i);
            if (text.codePoint(i) == DOTTED_I) {
                builder.addAs(DOT_ABOVE, i);
            }
        }
        return builder.build();
    }
}
