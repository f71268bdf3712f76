package dev.jotune.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

/** That a draft changes the speed and nothing else: exactly, by going through all outcomes, and by a test of counts. */
class SpeculativeDecodingTest {

    private static final int V = 4;
    private static final int END = 3;

    /** Leads a text through chosen outcomes and notes the probability of doing so, to go through all of them in turn. */
    private static final class Path implements Draws {
        private final List<Integer> taken;
        private final List<Integer> outcomes = new ArrayList<>();
        private int at;
        private double probability = 1;

        Path(List<Integer> taken) {
            this.taken = new ArrayList<>(taken);
        }

        private int next(double[] probabilities) {
            if (at == taken.size()) {
                taken.add(0);
            }
            outcomes.add(probabilities.length);
            int choice = taken.get(at++);
            probability *= probabilities[choice];
            return choice;
        }

        @Override
        public int among(double[] weights) {
            double sum = Arrays.stream(weights).sum();
            return next(Arrays.stream(weights).map(w -> w / sum).toArray());
        }

        @Override
        public boolean yes(double p) {
            return next(new double[] {1 - p, p}) == 1;
        }

        /** The choices that come after these, or empty after the last. */
        Optional<List<Integer>> following() {
            for (int i = taken.size() - 1; i >= 0; i--) {
                if (taken.get(i) + 1 < outcomes.get(i)) {
                    List<Integer> next = new ArrayList<>(taken.subList(0, i));
                    next.add(taken.get(i) + 1);
                    return Optional.of(next);
                }
            }
            return Optional.empty();
        }
    }

    private static Writing writing(SamplingOptions options, int... prompt) {
        return new Writing(new TextRules(options, List.of(), Optional.empty(), List.of()), TextRequest.of(prompt),
                Integer.MAX_VALUE - 1);
    }

    /** The exact distribution of texts, by running the algorithm through every outcome of its draws. */
    private static Map<String, Double> exact(LanguageModel model, LanguageModel draft, int tokens, SamplingOptions options) {
        Map<String, Double> texts = new TreeMap<>();
        Optional<List<Integer>> choices = Optional.of(List.of());
        while (choices.isPresent()) {
            Path path = new Path(choices.get());
            String text = Arrays.toString(new SpeculativeDecoder(model, new SpeculativeDecoding(draft, tokens), _ -> path)
                    .write(List.of(writing(options, 1, 2))).getFirst().getFirst().generation().tokens());
            if (path.probability > 0) {
                texts.merge(text, path.probability, Double::sum);
            }
            choices = path.following();
        }
        return texts;
    }

    /** The distribution of texts that the model alone writes, by multiplying its probabilities. */
    private static Map<String, Double> alone(LanguageModel model, SamplingOptions options) {
        Map<String, Double> texts = new TreeMap<>();
        follow(model, options, new int[] {1, 2}, 1, texts);
        return texts;
    }

    private static void follow(LanguageModel model, SamplingOptions options, int[] text, double probability, Map<String, Double> texts) {
        int written = text.length - 2;
        if (written == options.maxNewTokens() || written > 0 && text[text.length - 1] == END) {
            texts.merge(Arrays.toString(Arrays.copyOfRange(text, 2, text.length)), probability, Double::sum);
            return;
        }
        float[] logits = new float[V];
        try (LanguageModel.Session session = model.open()) {
            session.feed(text);
            session.logits(logits);
        }
        LogitsProcessor.chain(options.processors(2)).apply(text, text.length, logits);
        Distribution distribution = new Distribution();
        distribution.of(logits);
        for (int token = 0; token < V; token++) {
            double p = distribution.probability(token);
            if (p > 0) {
                int[] longer = Arrays.copyOf(text, text.length + 1);
                longer[text.length] = token;
                follow(model, options, longer, probability * p, texts);
            }
        }
    }

    private static void assertSame(LanguageModel model, LanguageModel draft, int tokens, SamplingOptions options) {
        Map<String, Double> want = alone(model, options);
        Map<String, Double> got = exact(model, draft, tokens, options);
        got.values().removeIf(p -> p < 1e-12);
        assertThat(got.keySet()).isEqualTo(want.keySet());
        want.forEach((text, p) -> assertThat(got.get(text)).as(text).isCloseTo(p, offset(1e-9)));
    }

    @Test
    void theDistributionOfTextsIsExactlyTheModels() {
        SamplingOptions options = SamplingOptions.builder().doSample(true).maxNewTokens(3).eosTokenIds(END).build();
        for (int salt = 0; salt < 4; salt++) {
            for (int tokens = 1; tokens <= 3; tokens++) {
                assertSame(TableModel.hashing(V, salt), TableModel.hashing(V, salt + 50), tokens, options);
            }
        }
    }

    @Test
    void theDistributionIsTheModelsUnderCutOffsPenaltiesAndBansToo() {
        SamplingOptions options = SamplingOptions.builder().doSample(true).temperature(0.7).topK(3).topP(0.9)
                .repetitionPenalty(1.3).minNewTokens(2).maxNewTokens(3).eosTokenIds(END).build();
        for (int salt = 0; salt < 4; salt++) {
            assertSame(TableModel.hashing(V, salt), TableModel.hashing(V, salt + 50), 2, options);
        }
    }

    @Test
    void theDistributionOfACombinationIsKeptAndACombinationMayDraft() {
        SamplingOptions options = SamplingOptions.builder().doSample(true).maxNewTokens(3).eosTokenIds(END).build();
        TableModel a = TableModel.hashing(V, 1);
        TableModel b = TableModel.hashing(V, 2);
        assertSame(a.plus(0.5, b), a, 2, options);
        assertSame(a, a.minus(b.times(0.3)), 2, options);
        assertThat(a.open + b.open).isZero();
    }

    @Test
    void countsOfManyTextsFitTheModelsDistribution() {
        TableModel model = TableModel.hashing(V, 5);
        SamplingOptions.Builder settings = SamplingOptions.builder().doSample(true).maxNewTokens(3).eosTokenIds(END).seed(11);
        Generator generator = new Generator(model, settings.build()).with(new SpeculativeDecoding(TableModel.hashing(V, 6), 2));
        Map<String, Double> want = alone(model, settings.build());
        Map<String, Integer> counts = new TreeMap<>();
        int n = 20_000;
        for (int row = 0; row < n; row++) {
            int[] text = generator.generate(new int[] {1, 2}, row, TextDecoder.NONE, GenerationListener.NONE).tokens();
            counts.merge(Arrays.toString(text), 1, Integer::sum);
        }
        assertThat(want.keySet()).containsAll(counts.keySet());
        double square = 0;
        int freedom = -1;
        double rareWanted = 0;
        int rare = 0;
        for (Map.Entry<String, Double> entry : want.entrySet()) {
            double expected = entry.getValue() * n;
            int count = counts.getOrDefault(entry.getKey(), 0);
            if (expected < 10) {
                rareWanted += expected;
                rare += count;
                continue;
            }
            square += (count - expected) * (count - expected) / expected;
            freedom++;
        }
        if (rareWanted > 0) {
            square += (rare - rareWanted) * (rare - rareWanted) / rareWanted;
            freedom++;
        }
        assertThat(freedom).isGreaterThan(20);
        // Chi-square has mean f and variance 2 f; four deviations leave about one chance in 10,000.
        assertThat(square).isLessThan(freedom + 4 * Math.sqrt(2.0 * freedom));
    }

    @Property(tries = 200)
    void withoutSamplingTheTextIsTheModelsOwn(@ForAll @IntRange(max = 10_000) int salt, @ForAll @IntRange(min = 1, max = 6) int tokens) {
        TableModel model = TableModel.hashing(V, salt);
        TableModel draft = TableModel.hashing(V, salt / 2);
        SamplingOptions options = SamplingOptions.builder().maxNewTokens(17).noRepeatNgramSize(3).build();
        assertThat(textOrRefusal(new Generator(model, options).with(new SpeculativeDecoding(draft, tokens))))
                .isEqualTo(textOrRefusal(new Generator(model, options)));
        assertThat(model.open + draft.open).isZero();
    }

    /** What is written after one token, or the refusal to go on: about one model in 1,400 has no trigram left that is new. */
    private static String textOrRefusal(Generator generator) {
        try {
            return Arrays.toString(generator.generate(new int[] {1}).tokens());
        } catch (IllegalStateException e) {
            return e.getMessage();
        }
    }

    @Test
    void aDraftMeetsTheEndOfAllNewTrigramsAsTheModelDoes() {
        withoutSamplingTheTextIsTheModelsOwn(2285, 3);
    }

    @Test
    void aDraftThatIsAlwaysRightSavesPasses() {
        TableModel model = TableModel.counting(10, 100);
        Generator generator = new Generator(model, SamplingOptions.greedy(20)).with(new SpeculativeDecoding(TableModel.counting(10, 100), 4));
        assertThat(generator.generate(new int[] {0}).tokens()).hasSize(20).startsWith(1, 2, 3);
        assertThat(model.verified).isEqualTo(4);
    }

    @Test
    void bothContextsAreRespected() {
        TableModel model = TableModel.counting(10, 9);
        for (int room : new int[] {3, 9, 50}) {
            Generation text = new Generator(model, SamplingOptions.greedy(50))
                    .with(new SpeculativeDecoding(TableModel.counting(10, room), 4)).generate(new int[] {1, 2});
            assertThat(text.tokens()).containsExactly(3, 4, 5, 6, 7, 8, 9, 0);
            assertThat(text.finishReason()).isEqualTo(FinishReason.CONTEXT_FULL);
        }
    }

    @Test
    void aDraftOfAnotherVocabularyIsRefused() {
        Generator generator = new Generator(TableModel.hashing(V, 1), SamplingOptions.greedy(3));
        assertThatThrownBy(() -> generator.with(new SpeculativeDecoding(TableModel.hashing(V + 1, 1), 2)))
                .hasMessageContaining("draft model has 5 tokens, the model 4");
        assertThatThrownBy(() -> new SpeculativeDecoding(TableModel.hashing(V, 1), 0)).hasMessageContaining("num_assistant_tokens");
    }
}
