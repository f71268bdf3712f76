package dev.jotune.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.autograd.Recording;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Models;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.Optional;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Contrastive search against its equation, written out without a cache. */
class ContrastiveSearchTest {

    private static Models.Loaded stories;

    @BeforeAll
    static void load() {
        stories = Models.embedded(Backends.reference(), DType.F64);
    }

    /** SimCTG's equation 5, reading the whole text for every candidate. */
    private static int[] byDefinition(CausalLm model, int[] prompt, double alpha, int k, int count) {
        int[] text = prompt;
        for (int step = 0; step < count; step++) {
            double[][] states = states(model, text);
            double[] p = softmax(model, text);
            Integer[] order = new Integer[p.length];
            Arrays.setAll(order, i -> i);
            Arrays.sort(order, (a, b) -> Double.compare(p[b], p[a]));
            int best = -1;
            double highest = Double.NEGATIVE_INFINITY;
            for (int i = 0; i < k; i++) {
                int[] longer = Arrays.copyOf(text, text.length + 1);
                longer[text.length] = order[i];
                double[] own = states(model, longer)[text.length];
                double most = Arrays.stream(states).mapToDouble(other -> cosine(own, other)).max().orElseThrow();
                double score = (1 - alpha) * p[order[i]] - alpha * most;
                if (score > highest) {
                    highest = score;
                    best = order[i];
                }
            }
            text = Arrays.copyOf(text, text.length + 1);
            text[text.length - 1] = best;
        }
        return Arrays.copyOfRange(text, prompt.length, text.length);
    }

    private static Tensor hidden(CausalLm model, int[] text) {
        long[] ids = Arrays.stream(text).asLongStream().toArray();
        Pass pass = model.seams().inference();
        return Recording.off(() -> model.forward(DecoderInput.of(Tensor.of(model.backend(), ids, 1, ids.length)), pass,
                Optional.empty()).text().tensor());
    }

    private static double[][] states(CausalLm model, int[] text) {
        double[] all = hidden(model, text).toDoubleArray();
        double[][] rows = new double[text.length][];
        int width = all.length / text.length;
        for (int t = 0; t < text.length; t++) {
            rows[t] = Arrays.copyOfRange(all, t * width, (t + 1) * width);
        }
        return rows;
    }

    private static double[] softmax(CausalLm model, int[] text) {
        float[] logits = new float[model.vocabularySize()];
        try (LanguageModel.Session session = new CausalLanguageModel(model, model.seams().inference()).open()) {
            session.feed(text);
            session.logits(logits);
        }
        double[] p = new double[logits.length];
        double sum = 0;
        for (int i = 0; i < p.length; i++) {
            p[i] = Math.exp(logits[i]);
            sum += p[i];
        }
        for (int i = 0; i < p.length; i++) {
            p[i] /= sum;
        }
        return p;
    }

    private static double cosine(double[] a, double[] b) {
        double dot = 0;
        double aa = 0;
        double bb = 0;
        for (int i = 0; i < a.length; i++) {
            dot += a[i] * b[i];
            aa += a[i] * a[i];
            bb += b[i] * b[i];
        }
        return dot / Math.sqrt(aa * bb);
    }

    private static int[] search(SamplingOptions options, double alpha, int k, int... prompt) {
        CausalLm model = stories.model();
        return new Generator(new CausalLanguageModel(model, model.seams().inference()), options)
                .with(new ContrastiveSearch(alpha, k)).generate(prompt).tokens();
    }

    @Test
    void theTokensAreThoseOfTheEquation() {
        for (double alpha : new double[] {0.3, 0.6, 1}) {
            for (int[] prompt : new int[][] {{1, 403, 407}, {1, 9, 300, 301, 17, 44}}) {
                assertThat(search(SamplingOptions.greedy(9), alpha, 4, prompt))
                        .isEqualTo(byDefinition(stories.model(), prompt, alpha, 4, 9));
            }
        }
    }

    @Test
    void withoutPenaltyOrChoiceItIsGreedyDecoding() {
        CausalLm model = stories.model();
        int[] greedy = new Generator(new CausalLanguageModel(model, model.seams().inference()), SamplingOptions.greedy(12))
                .generate(new int[] {1, 403}).tokens();
        assertThat(search(SamplingOptions.greedy(12), 0, 5, 1, 403)).isEqualTo(greedy);
        assertThat(search(SamplingOptions.greedy(12), 0.6, 1, 1, 403)).isEqualTo(greedy);
        assertThat(search(SamplingOptions.greedy(12), 0.6, 5, 1, 403)).isNotEqualTo(greedy);
    }

    @Test
    void whatDoesNotGoWithItIsRefused() {
        assertThatThrownBy(() -> new ContrastiveSearch(1.5, 4)).hasMessageContaining("penalty_alpha is 1.5");
        assertThatThrownBy(() -> new ContrastiveSearch(0.5, 0)).hasMessageContaining("top_k is 0");
        Generator composed = new Generator(TableModel.hashing(5, 1), SamplingOptions.greedy(2));
        assertThatThrownBy(() -> composed.with(new ContrastiveSearch(0.5, 4))).hasMessageContaining("hidden states");
        SamplingOptions drawn = SamplingOptions.builder().doSample(true).build();
        assertThatThrownBy(() -> search(drawn, 0.5, 4, 1)).hasMessageContaining("do_sample");
    }
}
