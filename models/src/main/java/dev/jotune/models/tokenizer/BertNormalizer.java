package dev.jotune.models.tokenizer;

/**
 * The text cleaning of BERT.
 *
 * @param clean whether control characters are dropped and all white space becomes a space
 * @param separateChinese whether Chinese characters get spaces around them
 * @param stripAccents whether accents are dropped
 * @param lowercase whether everything is written in lower case
 */
record BertNormalizer(boolean clean, boolean separateChinese, boolean stripAccents, boolean lowercase)
        implements Normalizer {

    private static final Normalizer DECOMPOSED = new UnicodeForm(java.text.Normalizer.Form.NFD);
    private static final Normalizer LOWERCASE = new Lowercase();

    /** Where {@code strip_accents} is left out, accents go together with upper case. */
    static BertNormalizer read(JsonView view) {
        boolean lowercase = view.bool("lowercase", true);
        return new BertNormalizer(view.bool("clean_text", true), view.bool("handle_chinese_chars", true),
                view.bool("strip_accents", lowercase), lowercase);
    }

    @Override
    public NormalizedText normalize(NormalizedText text) {
        NormalizedText result = text;
        if (clean) {
            result = cleaned(result);
        }
        if (separateChinese) {
            result = separated(result);
        }
        if (stripAccents) {
            result = DECOMPOSED.normalize(result).filter(c -> !Characters.isNonSpacingMark(c));
        }
        return lowercase ? LOWERCASE.normalize(result) : result;
    }

    private static NormalizedText cleaned(NormalizedText text) {
        NormalizedText.Builder builder = text.builder(text.length());
        for (int i = 0; i < text.length(); i++) {
            int c = text.codePoint(i);
            boolean space = Characters.isWhiteSpace(c);
            if (Characters.isControl(c)) {
                continue;
            }
            builder.addAs(space ? ' ' : c, i);
        }
        return builder.build();
    }

    private static NormalizedText separated(NormalizedText text) {
        NormalizedText.Builder builder = text.builder(text.length());
        for (int i = 0; i < text.length(); i++) {
            boolean chinese = Characters.isChinese(text.codePoint(i));
            if (chinese) {
                builder.addAs(' ', i);
            }
            builder.addAs(text.codePoint(i), i);
            if (chinese) {
                builder.addAs(' ', i);
            }
        }
        return builder.build();
    }
}
