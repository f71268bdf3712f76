package dev.jotune.models.tokenizer;

/** Unicode classes as the tokenizer format means them, where Java's own differ or have no name. */
final class Characters {

    private static final CharacterTable PUNCTUATION = CharacterTable.read("punctuation");
    private static final CharacterTable CONTROL = CharacterTable.read("control");
    private static final CharacterTable NONSPACING = CharacterTable.read("nonspacing");
    private static final CharacterTable COMBINING = CharacterTable.read("combining");

    private static final CharacterTable NORMALIZED = CharacterTable.read("normalized");

    private Characters() {}

    /** The property White_Space. */
    static boolean isWhiteSpace(int c) {
        return c >= 0x09 && c <= 0x0D || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680
                || c >= 0x2000 && c <= 0x200A || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F
                || c == 0x3000;
    }

    /** What a regular expression's {@code \w} matches: letters, marks, decimal digits, connectors, joiners. */
    static boolean isWord(int c) {
        if (Character.isAlphabetic(c) || c == 0x200C || c == 0x200D) {
            return true;
        }
        return switch (Character.getType(c)) {
            case Character.NON_SPACING_MARK, Character.ENCLOSING_MARK, Character.COMBINING_SPACING_MARK,
                    Character.DECIMAL_DIGIT_NUMBER, Character.CONNECTOR_PUNCTUATION -> true;
            default -> false;
        };
    }

    /** What cleaning drops: control, format and private use characters, U+0000 and U+FFFD. */
    static boolean isControl(int c) {
        return CONTROL.contains(c);
    }

    /** Unicode's punctuation, and every ASCII character that is neither letter, digit, space nor control. */
    static boolean isPunctuation(int c) {
        return PUNCTUATION.contains(c);
    }

    /** Digits, letters that are numbers, and other numbers. */
    static boolean isNumber(int c) {
        return switch (Character.getType(c)) {
            case Character.DECIMAL_DIGIT_NUMBER, Character.LETTER_NUMBER, Character.OTHER_NUMBER -> true;
            default -> false;
        };
    }

    /** Combining marks of any kind. */
    static boolean isMark(int c) {
        return COMBINING.contains(c);
    }

    /** Marks that take no room of their own, such as most accents. */
    static boolean isNonSpacingMark(int c) {
        return NONSPACING.contains(c);
    }

    /** What normalization forms take apart, put together or reorder. */
    static boolean isNormalized(int c) {
        return NORMALIZED.contains(c);
    }

    /** The ideographs of Chinese, Japanese and Korean, as BERT counts them. */
    static boolean isChinese(int c) {
        return c >= 0x4E00 && c <= 0x9FFF || c >= 0x3400 && c <= 0x4DBF || c >= 0x20000 && c <= 0x2A6DF
                || c >= 0x2A700 && c <= 0x2B73F || c >= 0x2B740 && c <= 0x2B81F || c >= 0x2B920 && c <= 0x2CEAF
                || c >= 0xF900 && c <= 0xFAFF || c >= 0x2F800 && c <= 0x2FA1F;
    }
}
