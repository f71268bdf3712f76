package dev.jotune.peft.decoding;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.models.generate.GenerationListener;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.generate.SpeculativeDecoding;
import dev.jotune.models.generate.TextDecoder;
import java.util.Arrays;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Proxy-tuning, contrastive decoding, guidance and emulated fine-tuning do on tables what their papers derive. */
class DecodingMethodsTest {
    private static final int V = 16;
    private static final int[] TEXT = {3, 1, 4};

    private final LanguageModel base = Table.random(V, 1, 2);
    private final LanguageModel tuned = Table.random(V, 2, 2);
    private final LanguageModel untuned = Table.random(V, 3, 2);
    private final LanguageModel twinOfUntuned = Table.random(V, 3, 2);

    @Test
    void proxyTuningWithAnUntunedExpertIsTheBaseAndOverTheAntiExpertTheExpertBitForBit() {
        ProxyTuning proxy = ProxyTuning.DEFAULTS;
        assertThat(Table.after(proxy.of(base, untuned, twinOfUntuned), TEXT)).isEqualTo(Table.after(base, TEXT));
        assertThat(Table.after(proxy.of(untuned, tuned, twinOfUntuned), TEXT)).isEqualTo(Table.after(tuned, TEXT));
        assertThat(Table.after(proxy.of(untuned, tuned, untuned), TEXT)).isEqualTo(Table.after(tuned, TEXT));
        assertThat(new ProxyTuning(0).of(base, tuned, untuned)).isSameAs(base);
    }

    @Test
    void proxyTuningWithASmallerExpertIsRefused() {
        assertThatThrownBy(() -> ProxyTuning.DEFAULTS.of(base, Table.random(V - 1, 2, 1), untuned))
                .hasMessageContaining("15 tokens cannot be cut to 16");
    }

    @Test
    void contrastiveDecodingOfAModelWithItselfLeavesThePlausibleTokensEqual() {
        float[] scores = Table.after(new ContrastiveDecoding(0.2, 1).of(base, Table.random(V, 1, 2)), TEXT);
        double[] p = Table.softmax(Table.after(base, TEXT));
        double best = Arrays.stream(p).max().orElseThrow();
        for (int token = 0; token < V; token++) {
            assertThat(scores[token]).isEqualTo(p[token] >= 0.2 * best ? 0f : Float.NEGATIVE_INFINITY);
        }
        assertThat(new ContrastiveDecoding(0.2, 1).of(base, base.times(2)).vocabularySize()).isEqualTo(V);
        assertThatThrownBy(() -> new ContrastiveDecoding(0, 1)).hasMessageContaining("min_p is 0");
        assertThatThrownBy(() -> new ContrastiveDecoding(0.1, 0)).hasMessageContaining("temperature is 0");
        assertThatThrownBy(() -> new ContrastiveLogits(2, 0.5)).hasMessageContaining("min_p is 2");
    }

    @Test
    void guidanceOfStrengthOneIsTheModelAndOfStrengthZeroTheModelWithoutThePrompt() {
        assertSameDistribution(new Guidance(1).of(base), base, TEXT);
        assertSame(Table.softmax(Table.after(new Guidance(0).of(base), TEXT)), Table.softmax(Table.after(base, 4)), 1e-6);
    }

    @Test
    void emulationWithTheSameBasesIsTheTunedModelAndWithoutTuningTheBase() {
        EmulatedFineTuning eft = EmulatedFineTuning.DEFAULTS;
        assertSameDistribution(eft.of(untuned, tuned, twinOfUntuned), tuned, TEXT);
        assertSameDistribution(eft.of(base, untuned, twinOfUntuned), base, TEXT);
        LanguageModel other = Table.random(V, 4, 2);
        assertSameDistribution(eft.between(base, tuned, other, untuned, 1), eft.of(base, tuned, untuned), TEXT);
        assertSameDistribution(eft.between(base, tuned, other, untuned, 0), eft.of(base, other, untuned), TEXT);
        SamplingOptions greedy = SamplingOptions.greedy(20);
        assertThat(new Generator(eft.of(untuned, tuned, twinOfUntuned), greedy).generate(TEXT).tokens())
                .isEqualTo(new Generator(tuned, greedy).generate(TEXT).tokens());
        assertThatThrownBy(() -> new EmulatedFineTuning(0, 1)).hasMessageContaining("beta is 0");
        assertThatThrownBy(() -> new EmulatedFineTuning(1, 0)).hasMessageContaining("top_p is 0");
    }

    @Test
    void aGateLeavesWhatTheBaseFindsUnlikelyAlone() {
        double[] p = Table.softmax(Table.after(base, TEXT));
        float[] all = Table.after(EmulatedFineTuning.DEFAULTS.of(base, tuned, untuned), TEXT);
        float[] gated = Table.after(new EmulatedFineTuning(1, 0.9).of(base, tuned, untuned), TEXT);
        Integer[] order = IntStream.range(0, V).boxed().sorted((a, b) -> Double.compare(p[b], p[a])).toArray(Integer[]::new);
        double mass = 0;
        int outside = 0;
        for (int token : order) {
            assertThat(gated[token]).isCloseTo(mass < 0.9 ? all[token] : (float) Math.log(p[token]), within(1e-5f));
            outside += mass < 0.9 ? 0 : 1;
            mass += p[token];
        }
        assertThat(outside).isBetween(1, V - 1);
    }

    /** KL-regularised reward: the optimum is base exp(r / beta), and r = beta' ln(tuned / untuned) up to a constant. */
    @Test
    void forOneTokenEmulationIsTheOptimumInClosedFormAndForTwoAGapAway() {
        double beta = 2;
        LanguageModel emulated = new EmulatedFineTuning(beta, 1).of(base, tuned, untuned);
        double[] optimum = normalized(i -> p(base, i) * Math.pow(p(tuned, i) / p(untuned, i), 1 / beta), V);
        assertSame(Table.softmax(Table.after(emulated, TEXT)), optimum, 1e-6);

        double[] sequences = normalized(i -> p(base, i / V, i % V) * Math.pow(p(tuned, i / V, i % V) / p(untuned, i / V, i % V), 1 / beta),
                V * V);
        double gap = 0;
        double baseGap = 0;
        for (int i = 0; i < sequences.length; i++) {
            gap += sequences[i] * Math.log(sequences[i] / p(emulated, i / V, i % V));
            baseGap += sequences[i] * Math.log(sequences[i] / p(base, i / V, i % V));
        }
        // Every step is normalised by itself, so the first token does not see what rewards the second could earn.
        assertThat(gap).as("KL(optimum | emulated), in nats").isBetween(0.01, baseGap / 2);
    }

    @Test
    void withADraftTextsAreDistributedAsWithout() {
        LanguageModel emulated = new EmulatedFineTuning(1, 0.95).of(base, tuned, untuned);
        SamplingOptions draws = SamplingOptions.builder().doSample(true).maxNewTokens(2).seed(5).build();
        Generator generator = new Generator(emulated, draws).with(new SpeculativeDecoding(tuned, 3));
        int n = 20_000;
        int[] counts = new int[V * V];
        for (int row = 0; row < n; row++) {
            int[] text = generator.generate(TEXT, row, TextDecoder.NONE, GenerationListener.NONE).tokens();
            counts[text[0] * V + text[1]]++;
        }
        double square = 0;
        int freedom = -1;
        double rareWanted = 0;
        int rare = 0;
        for (int i = 0; i < counts.length; i++) {
            double expected = n * p(emulated, i / V, i % V);
            if (expected < 10) {
                rareWanted += expected;
                rare += counts[i];
            } else {
                square += (counts[i] - expected) * (counts[i] - expected) / expected;
                freedom++;
            }
        }
        square += (rare - rareWanted) * (rare - rareWanted) / rareWanted;
        freedom++;
        assertThat(freedom).isGreaterThan(20);
        // Chi-square has mean f and variance 2 f; four deviations leave about one chance in 10,000.
        assertThat(square).isLessThan(freedom + 4 * Math.sqrt(2.0 * freedom));
    }

    /** The probability of some tokens after the text. */
    private static double p(LanguageModel model, int... tokens) {
        double p = 1;
        int[] history = TEXT.clone();
        for (int token : tokens) {
            p *= Table.softmax(Table.after(model, history))[token];
            history = Arrays.copyOf(history, history.length + 1);
            history[history.length - 1] = token;
        }
        return p;
    }

    private static double[] normalized(IntToDoubleFunction weight, int n) {
        double[] all = IntStream.range(0, n).mapToDouble(weight).toArray();
        double sum = Arrays.stream(all).sum();
        return Arrays.stream(all).map(w -> w / sum).toArray();
    }

    private static void assertSameDistribution(LanguageModel got, LanguageModel want, int... history) {
        assertSame(Table.softmax(Table.after(got, history)), Table.softmax(Table.after(want, history)), 1e-6);
    }

    private static void assertSame(double[] got, double[] want, double tolerance) {
        assertThat(got).usingComparatorWithPrecision(tolerance).containsExactly(want);
    }
}
