package dev.jotune.models.tokenizer;

import java.util.List;
import java.util.SplittableRandom;

/**
 * Random texts meant to break tokenizers: every plane, combining marks, emoji sequences, control characters, pieces of
 * special tokens, mixed scripts, long runs.
 *
 * <p>There are no half surrogate pairs in them: they are no Unicode text, have no UTF-8, and never reach the native
 * tokenizer as what they were.
 */
final class RandomTexts {

    private static final String[] ENGLISH = {"the", "The", "QUICK", "brown", "foxes", "don't", "I'LL", "we're", "it's",
        "they'd", "x'S", "'tis", "naive", "e-mail", "state-of-the-art", "U.S.A.", "3rd", "snake_case", "camelCase",
        "http://a.b/c?d=e&f#g", "a@b.co", "$9.99", "100%", "(see", "below)", "...", "--", "\"quoted\"", "[x]", "{y}",
        "internationalization", "antidisestablishmentarianism", "\u2019s", "\u2018t", "ff", "ok."};
    private static final String[] SCRIPTS = {"\u043F\u0440\u0438\u0432\u0435\u0442", "\u0395\u03BB\u03BB\u03AC\u03C2",
        "\u05E9\u05C1\u05B8\u05DC\u05D5\u05B9\u05DD", "\u0627\u0644\u0633\u064E\u0651\u0644\u0627\u0645",
        "\u0928\u092E\u0938\u094D\u0924\u0947", "\u0E2A\u0E27\u0E31\u0E2A\u0E14\u0E35", "\u4F60\u597D\u4E16\u754C",
        "\u3053\u3093\u306B\u3061\u306F", "\u30AB\u30BF\u30AB\u30CA", "\uFF76\uFF9E\uFF70", "\uD55C\uAE00",
        "\u1112\u1161\u11AB", "\u10D2\u10D0\u10DB", "\u12A0\u121B", "\u13A3\u13B3\u13A9", "\uD801\uDC00\uD801\uDC28",
        "\u0130stanbul", "Stra\u00DFe", "\u1E9E", "\uFB03", "\u01C4", "\u2160\u2171", "\u212B\u2126\u212A",
        "\uFF21\uFF22\uFF23\uFF11", "\u00BD\u00B2\u2460", "\u1E9B\u0323", "\u0F71\u0F72\u0F74", "\uF900\uFA30",
        "\uD834\uDD5E", "\uD83C\uDD30", "\u0344", "\u0958", "\u3391"};
    private static final String[] EMOJI = {"\uD83D\uDE00", "\uD83D\uDC68\u200D\uD83D\uDC69\u200D\uD83D\uDC67",
        "\uD83D\uDC4D\uD83C\uDFFD", "\u2764\uFE0F\u200D\uD83D\uDD25", "\uD83C\uDDE9\uD83C\uDDEA", "1\uFE0F\u20E3",
        "\uD83C\uDFF4\uDB40\uDC67\uDB40\uDC62\uDB40\uDC7F", "\u263A\uFE0E", "\u200D", "\uD83C\uDDE9"};
    private static final String[] ODD = {"\u2581", "\u2581\u2581", "\u0120", "\u010A", "<0x41>", "<0xF0>", "##ing", "##",
        "\uFFFD", "\uFEFF", "\u00AD", "\u200B", "\u200E", "\u202E", "\u2060", "\u00A0", "\u0085", "\u2028", "\u2029",
        "\u3000", "\u1680", "\u180E", "\u001C", "\u000B", "\uE000", "\uFFFE", "\uDBFF\uDFFF", "\u034F", "\u0000",
        "\u007F", "\u0340", "\u037E", "\u1FEF", "</w>", "</s", "<s", "[MAS", "K]", "|>", "<|"};
    private static final int[] DIGITS = {'0', '0', '0', '0', 0x660, 0x966, 0xFF10, 0x1D7CE, 0x2070, 0x2160, 0x2460};
    private static final String[] SPACES = {" ", "  ", "\n", "\n\n", "\t", "\r\n", " \n ", "   ", "\u00A0", "\u3000"};

    private final SplittableRandom random;
    private final List<String> specialTokens;

    RandomTexts(long seed, List<String> specialTokens) {
        this.random = new SplittableRandom(seed);
        this.specialTokens = specialTokens;
    }

    /** The next text, mostly of up to 60 characters. */
    String next() {
        StringBuilder text = new StringBuilder();
        int pieces = random.nextInt(1, 10);
        for (int i = 0; i < pieces; i++) {
            piece(text);
            if (random.nextInt(3) == 0) {
                text.append(' ');
            }
        }
        return text.toString();
    }

    private void piece(StringBuilder text) {
        switch (random.nextInt(15)) {
            case 0, 1, 2 -> text.append(one(ENGLISH));
            case 3, 4 -> text.append(one(SCRIPTS));
            case 5 -> text.append(one(EMOJI));
            case 6 -> text.append(one(ODD));
            case 7 -> text.append(one(SPACES).repeat(random.nextInt(8) == 0 ? random.nextInt(1, 40) : 1));
            case 8 -> digits(text);
            case 9 -> special(text);
            case 10 -> run(text, 0x300, 0x370, 6);
            case 11 -> run(text, 0x00, 0x250, 6);
            case 12 -> run(text, 0x250, 0x3400, 4);
            case 13 -> run(text, 0x3400, 0x10000, 3);
            default -> run(text, 0x10000, 0x110000, 2);
        }
    }

    private String one(String[] choices) {
        return choices[random.nextInt(choices.length)];
    }

    private void digits(StringBuilder text) {
        int zero = DIGITS[random.nextInt(DIGITS.length)];
        for (int i = random.nextInt(1, 9); i > 0; i--) {
            text.appendCodePoint(zero + random.nextInt(10));
        }
    }

    /** A special token, whole or cut, in its own or another case. */
    private void special(StringBuilder text) {
        if (specialTokens.isEmpty()) {
            return;
        }
        String token = specialTokens.get(random.nextInt(specialTokens.size()));
        int length = token.codePointCount(0, token.length());
        int from = random.nextInt(3) == 0 ? random.nextInt(length) : 0;
        int to = random.nextInt(3) == 0 ? random.nextInt(from, length) + 1 : length;
        String part = token.substring(token.offsetByCodePoints(0, from), token.offsetByCodePoints(0, to));
        text.append(random.nextInt(6) == 0 ? part.toUpperCase(java.util.Locale.ROOT) : part);
    }

    private void run(StringBuilder text, int from, int to, int longest) {
        int base = random.nextInt(from, to);
        for (int i = random.nextInt(1, longest + 1); i > 0; i--) {
            int c = random.nextInt(2) == 0 ? random.nextInt(from, to) : Math.min(base + random.nextInt(4), to - 1);
            if (c < 0xD800 || c > 0xDFFF) {
                text.appendCodePoint(c);
            }
        }
    }
}
