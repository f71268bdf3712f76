package dev.jotune.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.DoubleRange;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;

/** The closed forms of combinations of toy models, and that their members stay in lock step. */
class LogitsAlgebraTest {

    private static final int V = 7;
    private static final Offset<Float> CLOSE = within(2e-5f);
    private static final float BANNED = Float.NEGATIVE_INFINITY;

    private final TableModel base = TableModel.hashing(V, 1);
    private final TableModel expert = TableModel.hashing(V, 2);
    private final TableModel anti = TableModel.hashing(V, 3);

    @Provide
    Arbitrary<int[]> histories() {
        return Arbitraries.integers().between(0, V - 1).array(int[].class).ofMinSize(1).ofMaxSize(12);
    }

    /** A token to feed, or how many to take back. */
    @Provide
    Arbitrary<int[]> moves() {
        return Arbitraries.integers().between(-5, V - 1).array(int[].class).ofMinSize(1).ofMaxSize(30);
    }

    @Property
    void proxyTuningIsBasePlusAlphaTimesExpertMinusAnti(@ForAll @DoubleRange(min = -3, max = 3) double alpha,
            @ForAll("histories") int[] history) {
        float[] tuned = logits(base.plus(alpha, expert.minus(anti)), history);
        for (int i = 0; i < V; i++) {
            double wanted = base.at(history)[i] + alpha * (expert.at(history)[i] - anti.at(history)[i]);
            assertThat(tuned[i]).isCloseTo((float) wanted, CLOSE);
        }
    }

    @Property
    void aMixtureIsOfProbabilities(@ForAll @DoubleRange(min = 0, max = 1) double share,
                                   @ForAll("histories") int[] history) {
        float[] mixed = logits(Logits.mix(new LanguageModel[] {base, expert}, share, 1 - share), history);
        double[] a = SamplingPropertiesTest.softmax(base.at(history));
        double[] b = SamplingPropertiesTest.softmax(expert.at(history));
        for (int i = 0; i < V; i++) {
            assertThat(Math.exp(mixed[i])).isCloseTo(share * a[i] + (1 - share) * b[i], within(1e-6));
        }
    }

    @Test
    void scalingIsATemperatureAndAddingMultipliesProbabilities() {
        float[] logits = base.at(3);
        float[] cooled = logits.clone();
        new Temperature(0.25).apply(new int[0], 0, cooled);
        assertThat(logits(Logits.scale(4, base), 3)).containsExactly(cooled, CLOSE);

        double[] product = SamplingPropertiesTest.softmax(logits(Logits.add(base, expert), 3));
        double[] a = SamplingPropertiesTest.softmax(base.at(3));
        double[] b = SamplingPropertiesTest.softmax(expert.at(3));
        assertThat(product[1] / product[5]).isCloseTo(a[1] * b[1] / (a[5] * b[5]), within(1e-4));
        assertThat(logits(Logits.subtract(Logits.add(base, expert), expert), 3)).containsExactly(base.at(3), CLOSE);
    }

    @Test
    void theSameModelRunsOnceAndOneOfWeightZeroNotAtAll() {
        LanguageModel guided = base.plus(1.5, expert.minus(base)).plus(0, anti);
        try (LanguageModel.Session session = guided.open()) {
            assertThat(base.open).isEqualTo(1);
            assertThat(expert.open).isEqualTo(1);
            assertThat(anti.open).isZero();
            session.feed(2, 4);
            session.logits(new float[V]);
        }
        assertThat(base.passes).containsExactly(2);
        assertThat(base.open + expert.open).isZero();
        // A difference may be 0 within a formula, but not be all of it.
        assertThat(base.plus(3, anti.minus(anti))).isSameAs(base);
        assertThatThrownBy(() -> base.minus(base).open()).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("leaves no model");
        assertThatThrownBy(() -> base.minus(base).openBatch(2)).hasMessageContaining("leaves no model");
    }

    @Test
    void whatAMemberRulesOutStaysRuledOutWhateverItsSign() {
        LanguageModel a = TableModel.constant(1, BANNED, 0, BANNED);
        LanguageModel b = TableModel.constant(1, 0, BANNED, BANNED);
        assertThat(logits(a.minus(b), 0)).containsExactly(0, BANNED, BANNED, BANNED);
        assertThat(logits(a.plus(b), 0)).containsExactly(2, BANNED, BANNED, BANNED);
        float[] mixed = logits(Logits.mix(new LanguageModel[] {a, b}, 0.5, 0.5), 0);
        assertThat(mixed[3]).isEqualTo(BANNED);
        assertThat(Math.exp(mixed[1])).isCloseTo(0.5 / (Math.E + 1), within(1e-6));
    }

    @Test
    void aMaskKeepsWhatARuleKeepsOfAnotherModel() {
        LanguageModel strong = TableModel.constant((float) Math.log(0.6), (float) Math.log(0.3), (float) Math.log(0.1));
        LanguageModel weak = TableModel.constant((float) Math.log(0.8), (float) Math.log(0.1), (float) Math.log(0.1));
        float[] logits = logits(Logits.mask(strong.minus(weak), strong, () -> new MinP(0.2)), 0);
        assertThat(logits[0]).isCloseTo((float) Math.log(0.6 / 0.8), CLOSE);
        assertThat(logits[1]).isCloseTo((float) Math.log(0.3 / 0.1), CLOSE);
        assertThat(logits[2]).isEqualTo(BANNED);
    }

    @Test
    void aConstraintSeesTheHistoryAndASetAllowsItsOwn() {
        LanguageModel rising = Logits.constrain(base,
                (history, length, token) -> token > history[length - 1]);
        assertThat(logits(rising, 0, 5)).containsExactly(BANNED, BANNED, BANNED, BANNED, BANNED, BANNED,
                base.at(0, 5)[6]);
        float[] few = logits(Logits.constrain(base, 1, 3), 4);
        assertThat(few).containsExactly(BANNED, base.at(4)[1], BANNED, base.at(4)[3], BANNED, BANNED, BANNED);
        assertThatThrownBy(() -> Logits.constrain(base, V)).hasMessageContaining("token id 7");
        // As a member: the other one is not constrained, the sum is.
        float[] sum = logits(expert.plus(2, Logits.constrain(base, 1, 3)), 4);
        assertThat(sum[3]).isCloseTo(expert.at(4)[3] + 2 * base.at(4)[3], CLOSE);
        assertThat(sum[2]).isEqualTo(BANNED);
    }

    @Test
    void differentVocabulariesAreRefusedAndTheShortestContextCounts() {
        LanguageModel other = TableModel.hashing(V + 1, 4);
        assertThatThrownBy(() -> base.plus(other)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("model 0 has 7 tokens, model 1 has 8").hasMessageContaining("share a tokenizer");
        assertThatThrownBy(() -> base.plus(0, other)).hasMessageContaining("model 1 has 8");
        assertThatThrownBy(() -> Logits.mix(new LanguageModel[] {base, other}, 0.5, 0.5))
                .hasMessageContaining("model 1 has 8");
        assertThatThrownBy(() -> Logits.mix(new LanguageModel[] {base, anti}, 0.5, 0.6))
                .hasMessageContaining("sum to 1.1");
        assertThatThrownBy(() -> Logits.mix(new LanguageModel[] {base, anti}, 2, -1)).hasMessageContaining("-1.0");
        assertThatThrownBy(() -> base.times(Double.NaN)).hasMessageContaining("NaN");
        assertThat(base.plus(TableModel.counting(V, 9)).contextLength()).isEqualTo(9);
    }

    @Property(tries = 200)
    void membersStayInLockStepHoweverTextIsFedAndTakenBack(@ForAll("moves") int[] moves) {
        LanguageModel whole = Logits.constrain(
                Logits.mix(new LanguageModel[] {base.plus(0.5, expert.minus(anti)), expert}, 0.3, 0.7),
                (history, length, token) -> token != history[0]);
        int[] text = {};
        try (LanguageModel.Session session = whole.open()) {
            for (int move : moves) {
                if (move >= 0) {
                    session.feed(move, (move + 1) % V);
                    text = append(text, move, (move + 1) % V);
                } else {
                    session.rewind(Math.max(0, text.length + move));
                    text = Arrays.copyOf(text, Math.max(0, text.length + move));
                }
                assertThat(session.length()).isEqualTo(text.length);
                // Logits are not always asked for, so that some tokens wait and some are cached.
                if (text.length > 0 && move % 2 == 0) {
                    float[] out = new float[V];
                    session.logits(out);
                    assertThat(out).containsExactly(logits(whole, text), within(1e-6f));
                }
            }
        }
        assertThat(base.open + expert.open + anti.open).isZero();
    }

    @Test
    void aMemberThatRefusesATokenLeavesTheOthersInStep() {
        LanguageModel whole = base.plus(TableModel.counting(V, 3));
        try (LanguageModel.Session session = whole.open()) {
            session.feed(1, 2);
            assertThatThrownBy(() -> session.feed(3, 4)).isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("longer than the context of 3");
            assertThat(session.length()).isEqualTo(2);
            session.feed(5);
            float[] out = new float[V];
            session.logits(out);
            assertThat(out[0]).isCloseTo(base.at(1, 2, 5)[0], CLOSE);
            assertThat(out[6]).isCloseTo(base.at(1, 2, 5)[6] + 20, CLOSE);
        }
    }

    private static float[] logits(LanguageModel model, int... history) {
        float[] out = new float[model.vocabularySize()];
        try (LanguageModel.Session session = model.open()) {
            session.feed(history);
            session.logits(out);
        }
        return out;
    }

    private static int[] append(int[] text, int... more) {
        int[] out = Arrays.copyOf(text, text.length + more.length);
        System.arraycopy(more, 0, out, text.length, more.length);
        return out;
    }
}
