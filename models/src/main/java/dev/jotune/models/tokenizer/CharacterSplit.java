package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntPredicate;

/** Pre-tokenizers that cut at characters of some kind, one after the other. */
record CharacterSplit(List<Cut> cuts) implements PreTokenizer {

    /** What is cut at, and what becomes of it. */
    record Cut(IntPredicate pattern, Split.Behavior behavior) {}

    private static final Cut SPACES = new Cut(Characters::isWhiteSpace, Split.Behavior.REMOVED);

    CharacterSplit {
        cuts = List.copyOf(cuts);
    }

    /** At white space, which is dropped. */
    static CharacterSplit whitespace() {
        return new CharacterSplit(List.of(SPACES));
    }

    /** At white space, which is dropped, and around every punctuation character. */
    static CharacterSplit bert() {
        return new CharacterSplit(List.of(SPACES, new Cut(Characters::isPunctuation, Split.Behavior.ISOLATED)));
    }

    /** At punctuation. */
    static CharacterSplit punctuation(JsonView view) {
        Split.Behavior behavior = view.optional("behavior").map(Split::behavior).orElse(Split.Behavior.ISOLATED);
        return new CharacterSplit(List.of(new Cut(Characters::isPunctuation, behavior)));
    }

    /** Around numbers, or around every digit. */
    static CharacterSplit digits(JsonView view) {
        Split.Behavior behavior = view.bool("individual_digits", false)
                ? Split.Behavior.ISOLATED : Split.Behavior.CONTIGUOUS;
        return new CharacterSplit(List.of(new Cut(Characters::isNumber, behavior)));
    }

    /** At one character, which is dropped. */
    static CharacterSplit delimiter(JsonView view) {
        int delimiter = view.field("delimiter").codePoint();
        return new CharacterSplit(List.of(new Cut(c -> c == delimiter, Split.Behavior.REMOVED)));
    }

    @Override
    public List<NormalizedText> split(NormalizedText text) {
        List<NormalizedText> pieces = List.of(text);
        for (Cut cut : cuts) {
            pieces = pieces.stream()
                    .flatMap(piece -> Split.cut(piece, matches(piece, cut.pattern()), cut.behavior(), false).stream())
                    .toList();
        }
        return pieces;
    }

    private static List<TextPattern.Match> matches(NormalizedText text, IntPredicate pattern) {
        List<TextPattern.Match> matches = new ArrayList<>();
        for (int i = 0; i < text.length(); i++) {
            if (pattern.test(text.codePoint(i))) {
                matches.add(new TextPattern.Match(i, i + 1));
            }
        }
        return matches;
    }
}
