package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.List;

/**
 * Cuts a text at the matches of a pattern.
 *
 * @param pattern what to look for
 * @param behavior what becomes of the matches
 * @param invert whether the matches are the words and what lies between them the delimiters
 */
record Split(TextPattern pattern, Behavior behavior, boolean invert) implements PreTokenizer {

    /** What becomes of a delimiter. */
    enum Behavior { REMOVED, ISOLATED, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT, CONTIGUOUS }

    static Split read(JsonView view) {
        return new Split(TextPattern.read(view.field("pattern")), behavior(view.field("behavior")),
                view.bool("invert", false));
    }

    static Behavior behavior(JsonView view) {
        return switch (view.text()) {
            case "Removed", "removed" -> Behavior.REMOVED;
            case "Isolated", "isolated" -> Behavior.ISOLATED;
            case "MergedWithPrevious", "merged_with_previous" -> Behavior.MERGED_WITH_PREVIOUS;
            case "MergedWithNext", "merged_with_next" -> Behavior.MERGED_WITH_NEXT;
            case "Contiguous", "contiguous" -> Behavior.CONTIGUOUS;
            default -> throw view.error("is '" + view.text() + "'. Write Removed, Isolated, MergedWithPrevious, "
                    + "MergedWithNext or Contiguous.");
        };
    }

    @Override
    public List<NormalizedText> split(NormalizedText text) {
        return cut(text, pattern, behavior, invert);
    }

    static List<NormalizedText> cut(NormalizedText text, TextPattern pattern, Behavior behavior, boolean invert) {
        return cut(text, pattern.matches(text), behavior, invert);
    }

    /** Cuts at matches that are in order and do not overlap. */
    static List<NormalizedText> cut(NormalizedText text, List<TextPattern.Match> matches, Behavior behavior,
            boolean invert) {
        List<int[]> spans = new ArrayList<>(2 * matches.size() + 1);
        int done = 0;
        for (TextPattern.Match match : matches) {
            addSpan(spans, done, match.start(), invert);
            addSpan(spans, match.start(), match.end(), !invert);
            done = match.end();
        }
        addSpan(spans, done, text.length(), invert);
        List<NormalizedText> pieces = new ArrayList<>(spans.size());
        for (int i = 0; i < spans.size(); ) {
            int last = lastOfPiece(spans, i, behavior);
            if (behavior != Behavior.REMOVED || spans.get(i)[2] == 0) {
                pieces.add(text.slice(spans.get(i)[0], spans.get(last)[1]));
            }
            i = last + 1;
        }
        return pieces;
    }

    private static void addSpan(List<int[]> spans, int start, int end, boolean delimiter) {
        if (start < end) {
            spans.add(new int[] {start, end, delimiter ? 1 : 0});
        }
    }

    /** Where the piece that begins with span {@code first} ends: the index of its last span. */
    private static int lastOfPiece(List<int[]> spans, int first, Behavior behavior) {
        int next = first + 1;
        if (next == spans.size()) {
            return first;
        }
        boolean delimiter = spans.get(first)[2] == 1;
        boolean delimiterNext = spans.get(next)[2] == 1;
        switch (behavior) {
            case MERGED_WITH_PREVIOUS -> {
                return !delimiter && delimiterNext ? next : first;
            }
            case MERGED_WITH_NEXT -> {
                return delimiter && !delimiterNext ? next : first;
            }
            case CONTIGUOUS -> {
                int last = first;
                while (last + 1 < spans.size() && spans.get(last + 1)[2] == spans.get(first)[2]) {
                    last++;
                }
                return last;
            }
            default -> {
                return first;
            }
        }
    }
}
