package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/** What a file looks for in a text: a fixed string or a regular expression. */
sealed interface TextPattern {

    /** A match from {@code start} to {@code end} (exclusive), in code points. */
    record Match(int start, int end) {}

    /** All matches that do not overlap, from left to right. */
    List<Match> matches(NormalizedText text);

    String replaceAll(String text, String replacement);

    /** Reads {@code {"String": ...}}, {@code {"Regex": ...}} or a bare string. */
    static TextPattern read(JsonView view) {
        if (view.node().isTextual()) {
            return literal(view);
        }
        view.requireObject();
        if (view.has("String")) {
            return literal(view.field("String"));
        }
        if (view.has("Regex")) {
            return regex(view.field("Regex"));
        }
        throw view.error("is neither {\"String\": ...} nor {\"Regex\": ...}. Give one of the two.");
    }

    private static TextPattern literal(JsonView view) {
        if (view.text().isEmpty()) {
            throw view.error("is empty. Give the text to look for.");
        }
        return new Literal(view.text());
    }

    /** A regular expression whose classes are those of Unicode. */
    static TextPattern regex(String pattern) {
        return new Regex(Pattern.compile(pattern, Pattern.UNICODE_CHARACTER_CLASS | Pattern.UNICODE_CASE));
    }

    private static TextPattern regex(JsonView view) {
        try {
            return regex(view.text());
        } catch (PatternSyntaxException e) {
            throw view.error("is not a regular expression that Java can read (" + e.getDescription()
                    + "). Rewrite the pattern.");
        }
    }

    /** A fixed string. */
    record Literal(String content) implements TextPattern {

        @Override
        public List<Match> matches(NormalizedText text) {
            int[] wanted = content.codePoints().toArray();
            List<Match> found = new ArrayList<>();
            int last = text.length() - wanted.length;
            for (int i = 0; i <= last; ) {
                int k = 0;
                while (k < wanted.length && text.codePoint(i + k) == wanted[k]) {
                    k++;
                }
                if (k == wanted.length) {
                    found.add(new Match(i, i + k));
                    i += k;
                } else {
                    i++;
                }
            }
            return found;
        }

        @Override
        public String replaceAll(String text, String replacement) {
            return text.replace(content, replacement);
        }
    }

    /** A regular expression over Unicode characters. */
    record Regex(Pattern pattern) implements TextPattern {

        @Override
        public List<Match> matches(NormalizedText text) {
            String string = text.toString();
            List<Match> found = new ArrayList<>();
            Matcher matcher = pattern.matcher(new BoundedText(string));
            int unit = 0;
            int codePoint = 0;
            try {
                while (matcher.find()) {
                    if (splitsACharacter(string, matcher)) {
                        continue;
                    }
                    int start = codePoint + string.codePointCount(unit, matcher.start());
                    int end = start + string.codePointCount(matcher.start(), matcher.end());
                    found.add(new Match(start, end));
                    unit = matcher.end();
                    codePoint = end;
                }
            } catch (StackOverflowError e) {
                throw new TokenizerException("The pattern '" + pattern + "' needs too deep a recursion on a text of "
                        + string.length() + " characters. Use a simpler pattern or a shorter text.", e);
            }
            return found;
        }

        /** True of an empty match between the two halves of a surrogate pair, where Java looks too. */
        private static boolean splitsACharacter(String text, Matcher match) {
            int at = match.start();
            return at == match.end() && at > 0 && at < text.length()
                    && Character.isSurrogatePair(text.charAt(at - 1), text.charAt(at));
        }

        @Override
        public String replaceAll(String text, String replacement) {
            return pattern.matcher(text).replaceAll(Matcher.quoteReplacement(replacement));
        }
    }

    /** A text that may be read only so often, so that a pattern which backtracks without end is stopped. */
    final class BoundedText implements CharSequence {

        private static final long READS_PER_CHARACTER = 20_000;

        private final String text;
        private long left;

        BoundedText(String text) {
            this.text = text;
            this.left = 1_000_000 + READS_PER_CHARACTER * text.length();
        }

        @Override
        public char charAt(int index) {
            if (--left < 0) {
                throw new TokenizerException("A pattern of this tokenizer does not finish on a text of " + text.length()
                        + " characters. Use a simpler pattern or a shorter text.");
            }
            return text.charAt(index);
        }

        @Override
        public int length() {
            return text.length();
        }

        @Override
        public CharSequence subSequence(int start, int end) {
            return text.substring(start, end);
        }

        @Override
        public String toString() {
            return text;
        }
    }
}
