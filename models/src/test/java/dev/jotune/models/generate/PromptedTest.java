package dev.jotune.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

/** Members with prompts of their own, cut vocabularies, gates, and formulas over logits from elsewhere. */
class PromptedTest {
    private static final int V = 6;
    private final TableModel table = TableModel.hashing(V, 5);
    /** Its template is 5, prompt, 0. */
    private final LanguageModel templated = Logits.prompted(table, 2,
            prompt -> IntStream.concat(IntStream.concat(IntStream.of(5), Arrays.stream(prompt)), IntStream.of(0)).toArray());

    /** Below 0: take so many tokens back; else feed a token. */
    @Provide
    Arbitrary<int[]> moves() {
        return Arbitraries.integers().between(-4, V - 1).array(int[].class).ofMinSize(1).ofMaxSize(30);
    }

    @Property
    void whatIsFedFirstIsThePromptHoweverTextIsFedAndTakenBack(@ForAll("moves") int[] moves) {
        int[] text = {};
        int prompt = 0;
        try (LanguageModel.Session session = templated.open()) {
            for (int move : moves) {
                if (move < 0) {
                    text = Arrays.copyOf(text, Math.max(0, text.length + move));
                    prompt = Math.min(prompt, text.length);
                    session.rewind(text.length);
                } else {
                    int[] fed = {move, (move + 2) % V};
                    prompt = text.length == 0 ? 2 : prompt;
                    text = IntStream.concat(Arrays.stream(text), Arrays.stream(fed)).toArray();
                    session.feed(fed);
                }
                assertThat(session.length()).isEqualTo(text.length);
                if (text.length > 0) {
                    float[][] out = new float[Math.min(2, text.length - prompt + 1)][V];
                    session.logits(out);
                    assertThat(out[out.length - 1]).isEqualTo(table.at(own(text, prompt, text.length)));
                    assertThat(out[0]).isEqualTo(table.at(own(text, prompt, text.length - out.length + 1)));
                }
            }
        }
        assertThat(table.open).isZero();
    }

    private static int[] own(int[] text, int prompt, int length) {
        int[] out = new int[length + 2];
        out[0] = 5;
        System.arraycopy(text, 0, out, 1, prompt);
        System.arraycopy(text, prompt, out, prompt + 2, length - prompt);
        return out;
    }

    @Test
    void aTemplateTakesItsShareOfTheContextAndMayNotTakeMore() {
        TableModel short9 = TableModel.counting(V, 9);
        assertThat(Logits.prompted(short9, 2, prompt -> prompt).contextLength()).isEqualTo(7);
        assertThat(templated.contextLength()).isEqualTo(Integer.MAX_VALUE);
        LanguageModel greedy = Logits.prompted(short9, 0, prompt -> new int[] {1, 2, 3});
        try (LanguageModel.Session session = greedy.open()) {
            assertThatThrownBy(() -> session.feed(4, 5)).hasMessageContaining("has 3 tokens in place of 2").hasMessageContaining("at most 0 more");
            assertThat(session.length()).isZero();
            session.feed(4, 5, 5);
            session.feed(1);
            assertThatThrownBy(() -> session.logits(new float[3][V])).hasMessageContaining("reach into a prompt").hasMessageContaining("at most 2");
        }
        LanguageModel silent = Logits.prompted(short9, 0, prompt -> new int[0]);
        try (LanguageModel.Session session = silent.open()) {
            assertThatThrownBy(() -> session.feed(4)).hasMessageContaining("has 0 tokens");
        }
    }

    @Test
    void aDraftLeavesAMembersPromptAlone() {
        LanguageModel whole = templated.plus(TableModel.hashing(V, 9));
        Generator generator = new Generator(whole, SamplingOptions.greedy(15));
        int[] plain = generator.generate(new int[] {1, 2}).tokens();
        assertThat(generator.with(new SpeculativeDecoding(TableModel.hashing(V, 9), 3)).generate(new int[] {1, 2}).tokens()).isEqualTo(plain);
        assertThat(generator.with(new SpeculativeDecoding(templated, 2)).generate(new int[] {1, 2}).tokens()).isEqualTo(plain);
    }

    @Test
    void aCutVocabularyIsTheFirstTokens() {
        LanguageModel cut = Logits.cut(table, 4);
        try (LanguageModel.Session session = cut.open()) {
            session.feed(1, 3);
            float[] out = new float[4];
            session.logits(out);
            assertThat(out).isEqualTo(Arrays.copyOf(table.at(1, 3), 4));
            assertThatThrownBy(() -> session.feed(4)).hasMessageContaining("token id 4");
            assertThat(session.length()).isEqualTo(2);
        }
        assertThat(Logits.cut(table, V)).isSameAs(table);
        assertThatThrownBy(() -> Logits.cut(table, V + 1)).hasMessageContaining("cannot be cut to 7");
        assertThat(cut.plus(TableModel.hashing(4, 1)).vocabularySize()).isEqualTo(4);
    }

    @Test
    void aGateTakesTheOneOrTheOtherAndAModelInTwoPlacesRunsOnce() {
        TableModel by = TableModel.constant(3, 2, 1, 0, -1, -2);
        TableModel in = TableModel.constant(10, 11, 12, 13, 14, 15);
        LanguageModel gate = Logits.gate(in, by.plus(in), by, () -> new TopK(2));
        float[] out = new float[V];
        try (LanguageModel.Session session = gate.open()) {
            session.feed(0);
            session.logits(out);
            assertThat(by.open + in.open).isEqualTo(2);
        }
        assertThat(out).containsExactly(10, 11, 13, 13, 13, 13);
        assertThat(Logits.members(gate)).containsExactlyInAnyOrder(by, in);
    }

    @Test
    void logitsFromElsewhereAreCombinedInDoublePrecision() {
        TableModel other = TableModel.hashing(V, 6);
        double third = 1.0 / 3;
        double[] got = Logits.evaluate(table.plus(0.1, other), model -> new double[] {third, 0, 0, 0, 0, model == table ? 1 : 2});
        assertThat(got).containsExactly(third + 0.1 * third, 0, 0, 0, 0, 1.2);
        assertThat(Logits.evaluate(table, model -> new double[] {third, 0, 0, 0, 0, 0})[0]).isEqualTo(third);
        double[] constrained = Logits.evaluate(Logits.constrain(table, (history, length, token) -> token == history[length - 1]),
                model -> new double[V], 2);
        assertThat(constrained[2]).isZero();
        assertThat(constrained[1]).isEqualTo(Double.NEGATIVE_INFINITY);
        assertThatThrownBy(() -> Logits.evaluate(table.plus(other), model -> new double[3])).hasMessageContaining("3 logits were given");
    }
}
