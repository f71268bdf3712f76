package dev.jotune.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.models.Models;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

/** Texts written together, and when each of them ends. */
class BatchTest {

    private static final int V = 7;

    @Property(tries = 60)
    void textsTogetherAreWhatEachIsAlone(@ForAll long seed) {
        Random random = new Random(seed);
        TableModel a = TableModel.hashing(V, random.nextInt());
        TableModel b = TableModel.hashing(V, random.nextInt());
        LanguageModel model = switch (random.nextInt(4)) {
            case 0 -> a;
            case 1 -> a.plus(0.5, b.minus(a));
            case 2 -> Logits.mix(new LanguageModel[] {a, b}, 0.25, 0.75);
            default -> Logits.mask(a.minus(b), a, () -> new MinP(0.1));
        };
        SamplingOptions options = SamplingOptions.builder().doSample(random.nextBoolean()).temperature(0.9).seed(seed)
                .repetitionPenalty(1.1).maxNewTokens(12).eosTokenIds(0).build();
        List<TextRequest> requests = new ArrayList<>();
        for (int row = 0; row < 5; row++) {
            requests.add(new TextRequest(random.ints(1 + random.nextInt(6), 0, V).toArray(), row, TextDecoder.NONE, GenerationListener.NONE));
        }
        Generator generator = new Generator(model, options);
        List<Generation> together = generator.generate(requests);
        for (int row = 0; row < 5; row++) {
            Generation alone = generator.generate(List.of(requests.get(row))).getFirst();
            assertThat(together.get(row).tokens()).isEqualTo(alone.tokens());
            assertThat(together.get(row).finishReason()).isEqualTo(alone.finishReason());
            assertThat(together.get(row).promptTokens()).isEqualTo(requests.get(row).prompt().length);
        }
        assertThat(a.open + b.open).isZero();
    }

    @Test
    void aModelThatReadsPaddingIsGivenNone() {
        TableModel table = TableModel.hashing(V, 4);
        LanguageModel picky = new LanguageModel() {
            @Override
            public int vocabularySize() {
                return V;
            }

            @Override
            public int contextLength() {
                return 100;
            }

            @Override
            public boolean readsUnequal() {
                return false;
            }

            @Override
            public Session open() {
                return table.open();
            }

            @Override
            public BatchSession openBatch(int rows) {
                BatchSession batch = table.openBatch(rows);
                return new BatchRows(rows, V, 100) {
                    @Override
                    void advance(int[][] tokens, float[][] logits) {
                        assertThat(Arrays.stream(tokens).mapToInt(row -> row.length).distinct().count()).isEqualTo(1);
                        batch.read(tokens, logits);
                    }

                    @Override
                    void arrange(int[] order) {
                        batch.reorder(order);
                    }

                    @Override
                    void release() {
                        batch.close();
                    }
                };
            }
        };
        List<TextRequest> requests = List.of(TextRequest.of(1, 2), TextRequest.of(3), TextRequest.of(4, 5), TextRequest.of(6));
        List<List<Integer>> want = new ArrayList<>();
        requests.forEach(r -> want.add(tokens(new Generator(table, SamplingOptions.greedy(4)).generate(r.prompt()))));
        assertThat(new Generator(picky, SamplingOptions.greedy(4)).generate(requests).stream().map(BatchTest::tokens)).isEqualTo(want);
        assertThat(tokens(new Generator(picky.plus(table), SamplingOptions.greedy(4)).generate(requests).get(1))).hasSize(4);
    }

    private static List<Integer> tokens(Generation text) {
        return Arrays.stream(text.tokens()).boxed().toList();
    }

    @Test
    void aTextEndsByWhicheverConditionComesFirst() {
        TableModel model = TableModel.counting(50, 40);
        Generator generator = new Generator(model, SamplingOptions.builder().maxNewTokens(30).eosTokenIds(20).maxLength(12)
                .stopStrings(List.of("<9><1")).build()).until((history, promptLength, length) -> {
                    assertThat(promptLength).isEqualTo(history[0] == 1 ? 2 : 1);
                    return history[length - 1] == 35;
                });
        record End(int[] prompt, FinishReason reason, int last) {}
        for (End end : List.of(new End(new int[] {1, 2}, FinishReason.STOP_STRING, 10), new End(new int[] {18}, FinishReason.END_TOKEN, 20),
                new End(new int[] {33}, FinishReason.STOP_CONDITION, 35), new End(new int[] {21}, FinishReason.MAX_LENGTH, 32))) {
            Generation text = generator.generate(end.prompt(), new Words(), GenerationListener.NONE);
            assertThat(text.finishReason()).isEqualTo(end.reason());
            assertThat(text.tokens()[text.newTokens() - 1]).isEqualTo(end.last());
        }
        assertThatThrownBy(() -> generator.generate(new int[12], new Words(), GenerationListener.NONE))
                .hasMessageContaining("max_length is 12");
    }

    @Test
    void rowsThatDoNotFitAreRefused() {
        TableModel model = TableModel.hashing(V, 4);
        try (BatchSession batch = model.openBatch(2)) {
            float[][] logits = new float[2][V];
            assertThatThrownBy(() -> batch.read(new int[][] {{1}}, logits)).hasMessageContaining("has 2 rows");
            assertThatThrownBy(() -> batch.read(new int[][] {{1}, {}}, logits)).hasMessageContaining("Row 1 got 0 tokens");
            assertThatThrownBy(() -> batch.read(new int[][] {{1}, {V}}, logits)).hasMessageContaining("token id 7");
            assertThatThrownBy(() -> batch.reorder(2)).hasMessageContaining("Row 2 does not exist");
            assertThatThrownBy(batch::reorder).hasMessageContaining("rows left is 0");
            batch.read(new int[][] {{1}, {2, 3}}, logits);
            assertThatThrownBy(() -> batch.read(new int[][] {{1}, {2, 3}}, logits)).hasMessageContaining("Row 1 got 2 tokens");
            assertThat(batch.length(1)).isEqualTo(2);
        }
        assertThat(model.open).isZero();
        assertThatThrownBy(() -> model.openBatch(0)).hasMessageContaining("number of rows is 0");
    }

    @Test
    void promptsAsTextsAreContinuedTogether() {
        Models.Loaded stories = Models.embedded();
        TextGenerator writer = new TextGenerator(stories, SamplingOptions.builder().doSample(true).seed(5).maxNewTokens(15).build());
        List<String> prompts = List.of("Once upon a time", "The cat", "Lily and her mom went to the big park to play and");
        List<Generation> together = writer.generate(prompts);
        for (int i = 0; i < prompts.size(); i++) {
            assertThat(together.get(i).text()).isEqualTo(writer.generate(prompts.get(i), i).text()).isNotBlank();
        }
        assertThat(writer.generate(List.of())).isEmpty();
    }
}
