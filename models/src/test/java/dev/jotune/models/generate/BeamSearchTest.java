package dev.jotune.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;

import dev.jotune.models.generate.BeamSearch.EarlyStopping;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Beam search on toy models, where the best text can be found by trying all. */
class BeamSearchTest {

    private static final int V = 5;
    private static final int END = 4;
    private static final int LENGTH = 4;

    private static SamplingOptions options() {
        return SamplingOptions.builder().maxNewTokens(LENGTH).eosTokenIds(END).build();
    }

    private static List<Hypothesis> search(LanguageModel model, SamplingOptions options, BeamSearch search, int... prompt) {
        return new Generator(model, options).with(search).hypotheses(List.of(TextRequest.of(prompt))).getFirst();
    }

    /** Every text that ends or is as long as allowed, with its score. */
    private static void enumerate(TableModel model, int[] text, int from, double sum, double penalty, List<Double> scores) {
        int written = text.length - from;
        boolean over = written == LENGTH || written > 0 && text[text.length - 1] == END;
        if (over) {
            scores.add(sum / Math.pow(written, penalty));
            return;
        }
        Distribution distribution = new Distribution();
        float[] logits = model.at(text);
        distribution.of(logits);
        for (int token = 0; token < V; token++) {
            int[] longer = Arrays.copyOf(text, text.length + 1);
            longer[text.length] = token;
            enumerate(model, longer, from, sum + distribution.logProbability(logits[token]), penalty, scores);
        }
    }

    @Test
    void asManyBeamsAsTextsFindTheBestText() {
        for (double penalty : new double[] {0, 1, -0.5, 2}) {
            for (int salt = 0; salt < 3; salt++) {
                TableModel model = TableModel.hashing(V, salt);
                List<Double> scores = new ArrayList<>();
                enumerate(model, new int[] {1, 2}, 2, 0, penalty, scores);
                scores.sort(Comparator.reverseOrder());
                BeamSearch search = new BeamSearch(300, penalty, EarlyStopping.TRUE, Double.POSITIVE_INFINITY, 5);
                List<Hypothesis> found = search(model, options(), search, 1, 2);
                assertThat(found).hasSize(5);
                for (int i = 0; i < 5; i++) {
                    assertThat(found.get(i).score()).isCloseTo(scores.get(i), offset(1e-5));
                }
            }
        }
    }

    @Test
    void oneBeamIsGreedyDecodingUntilTheFirstEnd() {
        for (int salt = 0; salt < 50; salt++) {
            TableModel model = TableModel.hashing(V, salt);
            int[] greedy = new Generator(model, options()).generate(new int[] {3}).tokens();
            BeamSearch one = BeamSearch.of(1).withEarlyStopping(EarlyStopping.TRUE);
            assertThat(search(model, options(), one, 3).getFirst().generation().tokens()).isEqualTo(greedy);
            assertThat(model.open).isZero();
        }
    }

    /** Catalogue: patience 1 is the standard search, on 500 inputs. */
    @Test
    void patienceOneIsTheStandardSearch() {
        TableModel model = TableModel.hashing(V, 7);
        for (int input = 0; input < 500; input++) {
            int[] prompt = {input % 4, input / 4 % 4, input / 16 % 4, input / 64 % 4, input / 256};
            BeamSearch standard = BeamSearch.of(3).withEarlyStopping(EarlyStopping.TRUE).withReturnSequences(3);
            List<Hypothesis> plain = search(model, options(), standard, prompt);
            List<Hypothesis> patient = search(model, options(), standard.withPatience(1), prompt);
            for (int i = 0; i < 3; i++) {
                assertThat(patient.get(i).generation().tokens()).isEqualTo(plain.get(i).generation().tokens());
            }
        }
    }

    /** Catalogue: more patience finds all that less found (up to what it can keep), nothing worse, in no fewer steps. */
    @Test
    void morePatienceFindsNoWorseTextInNoFewerSteps() {
        double[] patiences = {0.5, 1, 1.5, 2, 3, 10};
        boolean further = false;
        boolean better = false;
        for (int salt = 0; salt < 60; salt++) {
            TableModel model = TableModel.hashing(V, salt);
            SamplingOptions options = SamplingOptions.builder().maxNewTokens(12).eosTokenIds(END).build();
            double best = Double.NEGATIVE_INFINITY;
            int steps = 0;
            List<Hypothesis> before = List.of();
            for (double patience : patiences) {
                model.passes.clear();
                int kept = (int) Math.ceil(4 * patience);
                List<Hypothesis> found = searchAll(model, options, patience, kept);
                assertThat(found.size()).isLessThanOrEqualTo(kept);
                assertThat(found.getFirst().score()).isGreaterThanOrEqualTo(best);
                better |= best > Double.NEGATIVE_INFINITY && found.getFirst().score() > best;
                int now = longest(model);
                assertThat(now).isGreaterThanOrEqualTo(steps);
                further |= steps > 0 && now > steps;
                for (Hypothesis earlier : before) {
                    boolean still = found.stream().anyMatch(f -> Arrays.equals(f.generation().tokens(), earlier.generation().tokens()));
                    assertThat(still || found.size() == kept && earlier.score() <= found.getLast().score()).isTrue();
                }
                before = found;
                best = found.getFirst().score();
                steps = now;
            }
            BeamSearch endless = BeamSearch.of(4).withPatience(Double.POSITIVE_INFINITY);
            model.passes.clear();
            assertThat(search(model, options, endless, 1).getFirst().score()).isGreaterThanOrEqualTo(best);
            // The prompt, then eleven tokens: the twelfth is not read.
            assertThat(longest(model)).isEqualTo(12);
        }
        assertThat(further).isTrue();
        assertThat(better).isTrue();
    }

    private static List<Hypothesis> searchAll(TableModel model, SamplingOptions options, double patience, int kept) {
        return search(model, options, BeamSearch.of(4).withPatience(patience).withReturnSequences(kept), 1);
    }

    /** The greatest number of tokens that a text had when it was read. */
    private static int longest(TableModel model) {
        return model.longest();
    }

    @Test
    void severalPromptsOfUnequalLengthGiveWhatEachGivesAlone() {
        TableModel model = TableModel.hashing(V, 3);
        BeamSearch search = BeamSearch.of(3).withReturnSequences(3);
        List<TextRequest> prompts = List.of(TextRequest.of(1, 2, 3), TextRequest.of(0), TextRequest.of(2, 2, 2, 2, 1));
        List<List<Hypothesis>> together = new Generator(model, options()).with(search).hypotheses(prompts);
        for (int i = 0; i < prompts.size(); i++) {
            List<Hypothesis> alone = search(model, options(), search, prompts.get(i).prompt());
            for (int j = 0; j < 3; j++) {
                assertThat(together.get(i).get(j).generation().tokens()).isEqualTo(alone.get(j).generation().tokens());
                assertThat(together.get(i).get(j).score()).isEqualTo(alone.get(j).score());
            }
        }
        assertThat(model.open).isZero();
    }

    @Test
    void aCombinationOfModelsIsSearchedLikeTheModelItEquals() {
        TableModel a = TableModel.hashing(V, 1);
        TableModel b = TableModel.hashing(V, 2);
        TableModel sum = new TableModel(V, Integer.MAX_VALUE, history -> {
            float[] out = a.at(history);
            for (int i = 0; i < V; i++) {
                out[i] = (float) (out[i] + 0.5 * b.at(history)[i]);
            }
            return out;
        });
        BeamSearch search = BeamSearch.of(3).withReturnSequences(3);
        List<Hypothesis> composed = search(a.plus(0.5, b), options(), search, 1, 2);
        List<Hypothesis> direct = search(sum, options(), search, 1, 2);
        for (int i = 0; i < 3; i++) {
            assertThat(composed.get(i).generation().tokens()).isEqualTo(direct.get(i).generation().tokens());
            assertThat(composed.get(i).score()).isCloseTo(direct.get(i).score(), offset(1e-6));
        }
        assertThat(a.open + b.open).isZero();
    }

    @Test
    void whatIsStreamedIsNeverTakenBack() {
        for (int salt = 0; salt < 60; salt++) {
            TableModel model = TableModel.hashing(V, salt);
            List<Integer> heard = new ArrayList<>();
            StringBuilder text = new StringBuilder();
            SamplingOptions options = SamplingOptions.builder().maxNewTokens(10).eosTokenIds(END)
                    .stopStrings(List.of("2><1>")).build();
            GenerationListener listener = new GenerationListener() {
                @Override
                public void token(int id) {
                    heard.add(id);
                }

                @Override
                public void text(String piece) {
                    text.append(piece);
                }
            };
            Generator generator = new Generator(model, options).with(BeamSearch.of(4).withReturnSequences(2));
            TextRequest request = new TextRequest(new int[] {1}, 0, new Words(), listener);
            List<Hypothesis> found = generator.hypotheses(List.of(request)).getFirst();
            Generation best = found.getFirst().generation();
            assertThat(heard).containsExactlyElementsOf(Arrays.stream(best.tokens()).boxed().toList());
            assertThat(text).hasToString(best.text());
            for (Hypothesis one : found) {
                assertThat(one.generation().text()).doesNotContain("2><1>");
                boolean stopped = one.generation().finishReason() == FinishReason.STOP_STRING;
                assertThat(Words.of(one.generation().tokens()).contains("2><1>")).isEqualTo(stopped);
            }
        }
    }

    @Test
    void settingsThatContradictEachOtherAreRefused() {
        assertThatThrownBy(() -> BeamSearch.of(0)).hasMessageContaining("num_beams is 0");
        assertThatThrownBy(() -> BeamSearch.of(2).withReturnSequences(3)).hasMessageContaining("num_return_sequences is 3");
        assertThatThrownBy(() -> BeamSearch.of(2).withPatience(0)).hasMessageContaining("patience is 0.0");
        assertThatThrownBy(() -> new BeamSearch(2, 1, EarlyStopping.FALSE, 2, 1)).hasMessageContaining("early_stopping");
        assertThatThrownBy(() -> BeamSearch.of(2).withLengthPenalty(Double.NaN)).hasMessageContaining("length_penalty");
        SamplingOptions drawn = SamplingOptions.builder().doSample(true).build();
        assertThatThrownBy(() -> new Generator(TableModel.hashing(V, 1), drawn).with(BeamSearch.of(2)))
                .hasMessageContaining("do_sample");
        Generator banned = new Generator(Logits.constrain(TableModel.hashing(V, 1), 0, 1),
                SamplingOptions.builder().suppressTokens(0, 1).build()).with(BeamSearch.of(2));
        assertThatThrownBy(() -> banned.generate(new int[] {1})).hasMessageContaining("ruled out");
    }
}
