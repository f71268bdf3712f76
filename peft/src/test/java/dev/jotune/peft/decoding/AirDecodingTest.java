package dev.jotune.peft.decoding;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.models.generate.BeamSearch;
import dev.jotune.models.generate.Evidence;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.Hypothesis;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.Logits;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.generate.SpeculativeDecoding;
import dev.jotune.models.generate.TextRequest;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Air-Decoding on tables: its identities, its equation written out, and its weights whatever way a text is found. */
class AirDecodingTest {
    private static final int V = 8;
    private static final int[] PROMPT = {1, 2};
    private final LanguageModel base = Table.random(V, 1, 1);
    private final List<LanguageModel> attributes = List.of(Table.random(V, 2, 2), Table.random(V, 3, 2), Table.random(V, 4, 2));

    @Test
    void withoutControlItIsTheBaseAndWithEqualAttributesToo() {
        assertThat(new AirDecoding(0, Evidence.RECONSTRUCTED).of(base, attributes, 0)).isSameAs(base);
        List<LanguageModel> twins = List.of(Table.random(V, 2, 2), Table.random(V, 2, 2));
        LanguageModel posterior = Logits.posterior(twins, 1, Evidence.RECONSTRUCTED);
        try (LanguageModel.Session session = posterior.open()) {
            session.feed(PROMPT);
            for (int token : new int[] {3, 0, 7}) {
                float[] out = new float[V];
                session.logits(out);
                for (float logit : out) {
                    assertThat(Math.exp(logit)).isCloseTo(0.5, within(1e-7));
                }
                session.feed(token);
            }
        }
        double[] steered = Table.softmax(Table.after(AirDecoding.DEFAULTS.of(base, twins, 0), PROMPT));
        assertThat(steered).usingComparatorWithPrecision(1e-5).containsExactly(Table.softmax(Table.after(base, PROMPT)));
    }

    @ParameterizedTest
    @EnumSource
    void theAttributesProbabilitiesSumToOneAndAreThoseOfTheEquation(Evidence evidence) {
        int[] text = {1, 2, 5, 5, 0};
        double[] sums = new double[V];
        for (int a = 0; a < attributes.size(); a++) {
            float[] got = new float[V];
            try (LanguageModel.Session session = Logits.posterior(attributes, a, evidence).open()) {
                session.feed(PROMPT);
                session.feed(5);
                session.logits(got);
                session.feed(5, 0);
                session.logits(got);
            }
            for (int token = 0; token < V; token++) {
                double p = Math.exp(got[token]);
                sums[token] += p;
                assertThat(p).isCloseTo(byHand(evidence, a, token, text), within(1e-6));
            }
        }
        for (double sum : sums) {
            assertThat(sum).isCloseTo(1, within(1e-6));
        }
    }

    private double byHand(Evidence evidence, int wanted, int token, int... text) {
        double[] weights = new double[attributes.size()];
        for (int a = 0; a < weights.length; a++) {
            weights[a] = r(evidence, a, token, text);
            for (int s = PROMPT.length; s < text.length; s++) {
                weights[a] *= r(evidence, a, text[s], Arrays.copyOf(text, s));
            }
        }
        return weights[wanted] / Arrays.stream(weights).sum();
    }

    private double r(Evidence evidence, int a, int token, int... history) {
        double p = Table.softmax(Table.after(attributes.get(a), history))[token];
        return evidence == Evidence.PROBABILITY ? p : -1 / Math.log(p);
    }

    @Test
    void theWeightsAreThoseOfTheTextHoweverItIsFoundAndTakenBack() {
        LanguageModel steered = new AirDecoding(3, Evidence.RECONSTRUCTED).of(base, attributes, 1);
        try (LanguageModel.Session session = steered.open()) {
            session.feed(PROMPT);
            session.feed(4, 4, 6);
            float[][] last = new float[3][V];
            session.logits(last);
            session.rewind(3);
            session.feed(2);
            float[] out = new float[V];
            session.logits(out);
            assertThat(out).usingComparatorWithPrecision(1e-5f).containsExactly(written(steered, 4, 2));
            assertThat(last[0]).usingComparatorWithPrecision(1e-5f).containsExactly(written(steered, 4));
            assertThat(last[2]).usingComparatorWithPrecision(1e-5f).containsExactly(written(steered, 4, 4, 6));
            session.rewind(1);
            session.feed(2, 3);
            session.logits(out);
            // Taken back into the prompt: what is left of it is the prompt, the rest was written.
            assertThat(out).usingComparatorWithPrecision(1e-5f).containsExactly(after(steered, new int[] {1}, 2, 3));
        }
        Generator generator = new Generator(steered, SamplingOptions.greedy(12));
        int[] plain = generator.generate(PROMPT).tokens();
        assertThat(generator.with(new SpeculativeDecoding(attributes.get(1), 3)).generate(PROMPT).tokens()).isEqualTo(plain);
        assertThat(generator.with(BeamSearch.of(1)).generate(PROMPT).tokens()).isEqualTo(plain);
        // Beams copy rows and drop them.
        Hypothesis best = generator.with(BeamSearch.of(3)).hypotheses(List.of(TextRequest.of(PROMPT))).getFirst().getFirst();
        assertThat(best.score()).isCloseTo(logProbability(steered, best.generation().tokens()) / 12, within(1e-4));
        assertThat(generator.generate(List.of(TextRequest.of(5), TextRequest.of(PROMPT))).get(1).tokens()).isEqualTo(plain);
    }

    private static double logProbability(LanguageModel model, int... text) {
        double sum = 0;
        for (int i = 0; i < text.length; i++) {
            sum += Math.log(Table.softmax(written(model, Arrays.copyOf(text, i)))[text[i]]);
        }
        return sum;
    }

    /** Logits after some tokens written after the prompt. */
    private static float[] written(LanguageModel model, int... tokens) {
        return after(model, PROMPT, tokens);
    }

    private static float[] after(LanguageModel model, int[] prompt, int... tokens) {
        float[] out = new float[V];
        try (LanguageModel.Session session = model.open()) {
            session.feed(prompt);
            session.feed(tokens);
            session.logits(out);
        }
        return out;
    }

    @Test
    void oneAttributeOrNoneOfThatNumberIsRefused() {
        assertThatThrownBy(() -> AirDecoding.DEFAULTS.of(base, attributes, 3)).hasMessageContaining("number 3, but there are 3");
        assertThatThrownBy(() -> AirDecoding.DEFAULTS.of(base, attributes.subList(0, 1), 0)).hasMessageContaining("number of attributes is 1");
    }
}
