package dev.jotune.models.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class BpeTrainerTest {
    /** Words of the example in arXiv 1508.07909, figure 1, as often as there; each stands alone, so that no space belongs to it. */
    private static final List<String> PAPER = repeated("low", 5, "lower", 2, "newest", 6, "widest", 3);

    private static List<String> repeated(Object... wordsAndCounts) {
        List<String> out = new ArrayList<>();
        for (int i = 0; i < wordsAndCounts.length; i += 2) {
            for (int n = 0; n < (int) wordsAndCounts[i + 1]; n++) {
                out.add((String) wordsAndCounts[i]);
            }
        }
        return out;
    }

    private static List<String> tokens(String json, String text) {
        return Tokenizer.parse(json, "test").encode(text, false).tokens();
    }

    private static List<String> merges(String json) {
        List<String> out = new ArrayList<>();
        JsonView.parse(json, "test").field("model").field("merges").elements()
                .forEach(m -> out.add(m.elements().get(0).text() + " " + m.elements().get(1).text()));
        return out;
    }

    @Test
    void theMostFrequentPairIsMergedFirstAndSmallerIdsWinTies() {
        // "es" and "st" come nine times each, "lo" and "ow" seven times. Hugging Face's trainer gives the same.
        assertThat(merges(BpeTrainer.train(PAPER, 258 + 4))).containsExactly("e s", "es t", "l o", "lo w");
    }

    @Test
    void whatComesOnceIsNotMerged() {
        assertThat(merges(BpeTrainer.train(List.of("abc"), 300))).isEmpty();
        String json = BpeTrainer.train(List.of("abab", "ab"), 300);
        assertThat(merges(json)).containsExactly("a b");
        assertThat(tokens(json, "ababa")).containsExactly("ab", "ab", "a");
    }

    @Test
    void overlappingRepetitionsAreCountedAndMergedFromTheLeft() {
        String json = BpeTrainer.train(repeated("aaaa", 3), 300);
        assertThat(merges(json)).containsExactly("a a", "aa aa");
        assertThat(tokens(json, "aaaaa")).containsExactly("aaaa", "a");
    }

    @Test
    void everyTextCanBeWrittenAndReadBack() {
        Tokenizer t = Tokenizer.parse(BpeTrainer.train(PAPER, 262), "test");
        for (String text : List.of("lower prices", "naïve 日本 😀", "tab\tand\nline", "")) {
            assertThat(t.decode(t.encode(text, true).ids(), true)).isEqualTo(text);
        }
        assertThat(t.encode("low", true).ids()[0]).isEqualTo(BpeTrainer.BEGIN_ID);
        assertThat(t.tokenToId(BpeTrainer.END)).hasValue(BpeTrainer.END_ID);
        assertThat(t.vocabularySize()).isEqualTo(262);
    }

    @Test
    void tooSmallAVocabularyAndNoTextAreRefused() {
        assertThatThrownBy(() -> BpeTrainer.train(PAPER, 257)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("257").hasMessageContaining("258");
        assertThatThrownBy(() -> BpeTrainer.train(List.of(""), 300)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("no text");
    }
}
