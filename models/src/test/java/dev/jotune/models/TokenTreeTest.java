package dev.jotune.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.autograd.Recording;
import dev.jotune.models.decoder.RandomDecoder;
import dev.jotune.models.generate.BatchSession;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.Generation;
import dev.jotune.models.generate.GenerationListener;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.generate.TextDecoder;
import dev.jotune.models.generate.TextRequest;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Texts that share what they begin with, against the same texts with a cache for each (catalogue S084, works_when). */
class TokenTreeTest {
    private static final Pass BARE = Pass.inference(List.of());

    private static CausalLm model(String name) {
        return name.equals("stories") ? Models.embedded(Backends.cpu(), DType.F32).model() : RandomDecoder.of(RandomDecoder.LARGE, "F32");
    }

    private static int[] text(Random random, CausalLm model, int length) {
        return random.ints(length, 0, model.vocabularySize()).toArray();
    }

    private static int[] joined(int[]... parts) {
        return Arrays.stream(parts).flatMapToInt(Arrays::stream).toArray();
    }

    /** A system prompt, two sets of examples under it, problems of unequal length under them; in no order. */
    private static int[][] prompts(CausalLm model, long seed) {
        Random random = new Random(seed);
        int[] system = text(random, model, 23);
        int[] one = joined(system, text(random, model, 17));
        int[] two = joined(system, text(random, model, 9));
        int[] problem = joined(one, text(random, model, 6));
        return new int[][] {joined(problem, text(random, model, 3)), joined(two, text(random, model, 5)), joined(one, text(random, model, 1)),
                joined(problem, text(random, model, 4)), joined(two, text(random, model, 2)), joined(system, text(random, model, 3)), problem,
                text(random, model, 7)};
    }

    @ParameterizedTest
    @ValueSource(strings = {"stories", "random"})
    void rowsReadAndWriteWhatTheyWouldWithCachesOfTheirOwn(String name) {
        CausalLm model = model(name);
        int[][] prompts = prompts(model, 1);
        int rows = prompts.length;
        int size = model.vocabularySize();
        CausalLanguageModel plain = new CausalLanguageModel(model, BARE);
        try (BatchSession shared = plain.sharingPrefixes(4).openBatch(rows); BatchSession own = plain.openBatch(rows)) {
            float[][] got = new float[rows][size];
            float[][] want = new float[rows][size];
            shared.read(prompts, got);
            own.read(prompts, want);
            close(got, want);
            Random random = new Random(2);
            int[] kept = IntStream.range(0, rows).toArray();
            for (int step = 0; step < 6; step++) {
                int[][] next = new int[kept.length][];
                for (int b = 0; b < kept.length; b++) {
                    next[b] = text(random, model, 1 + step % 2);
                }
                got = new float[kept.length][size];
                want = new float[kept.length][size];
                shared.read(next, got);
                own.read(next, want);
                close(got, want);
                // Rows end, are copied, and change places, as under beam search.
                int count = kept.length;
                kept = random.ints(Math.max(2, count - 1), 0, count).toArray();
                shared.reorder(kept);
                own.reorder(kept);
            }
        }
    }

    private static void close(float[][] got, float[][] want) {
        for (int b = 0; b < want.length; b++) {
            float largest = 1;
            for (float w : want[b]) {
                largest = Math.max(largest, Math.abs(w));
            }
            int best = 0;
            int bestGot = 0;
            for (int i = 0; i < want[b].length; i++) {
                assertThat(Math.abs(got[b][i] - want[b][i])).as("row %d, token %d: %s, want %s", b, i, got[b][i], want[b][i])
                        .isLessThanOrEqualTo(1e-5f * largest);
                best = want[b][i] > want[b][best] ? i : best;
                bestGot = got[b][i] > got[b][bestGot] ? i : bestGot;
            }
            assertThat(bestGot).isEqualTo(best);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"stories", "random"})
    void generatedTextsAreTheSame(String name) {
        CausalLm model = model(name);
        List<TextRequest> requests = new ArrayList<>();
        int[][] prompts = prompts(model, 3);
        for (int row = 0; row < prompts.length; row++) {
            requests.add(new TextRequest(prompts[row], row, TextDecoder.NONE, GenerationListener.NONE));
        }
        CausalLanguageModel plain = new CausalLanguageModel(model, BARE);
        for (boolean sample : new boolean[] {false, true}) {
            SamplingOptions options = SamplingOptions.builder().doSample(sample).seed(5).maxNewTokens(20).eosTokenIds(2, 7, 11).build();
            List<Generation> want = new Generator(plain, options).generate(requests);
            List<Generation> got = new Generator(plain.sharingPrefixes(4), options).generate(requests);
            for (int row = 0; row < prompts.length; row++) {
                assertThat(got.get(row).tokens()).as("row %d", row).isEqualTo(want.get(row).tokens());
            }
        }
    }

    @Test
    void keysOfThePrefixAreStoredOnce() {
        CausalLm model = model("stories");
        AttentionSite site = model.seams().attentions().getFirst();
        long perToken = 2L * model.layers() * site.groups() * site.headDim() * Float.BYTES;
        Random random = new Random(4);
        int[] prefix = text(random, model, 64);
        int rows = 32;
        int suffix = 8;
        int[][] prompts = new int[rows][];
        Arrays.setAll(prompts, b -> joined(prefix, new int[] {b}, text(random, model, suffix - 1)));
        try (TokenTree tree = TokenTree.of(model, BARE, prompts, 16)) {
            assertThat(tree.nodes()).isEqualTo(1);
            assertThat(tree.tokens()).isEqualTo(prefix.length);
            assertThat(tree.bytes()).isEqualTo(perToken * prefix.length);
            assertThat(IntStream.range(0, rows).map(tree::shared).distinct().toArray()).containsExactly(prefix.length);
            KvCache cache = tree.newCache(suffix);
            cache.grow(null, suffix);
            assertThat(cache.bytes()).isEqualTo(perToken * (prefix.length + (long) rows * suffix));
            KvCache each = (KvCache) model.newCache(rows, prefix.length + suffix);
            each.grow(null, prefix.length + suffix);
            assertThat(each.bytes()).isEqualTo(perToken * rows * (prefix.length + suffix));
            cache.free();
            each.free();
        }
    }

    @Test
    void theTreeHasAPartForWhatEnoughTokensOfRowsShare() {
        CausalLm model = model("stories");
        int[][] prompts = prompts(model, 6);
        try (TokenTree tree = TokenTree.of(model, BARE, prompts, 4)) {
            // The system prompt, both sets of examples, the problem that two rows go on from. Row 6 ends with that problem, and reads its
            // last token itself.
            assertThat(tree.nodes()).isEqualTo(4);
            assertThat(tree.tokens()).isEqualTo(23 + 17 + 9 + 5);
            assertThat(IntStream.range(0, prompts.length).map(tree::shared).toArray()).containsExactly(45, 32, 40, 45, 32, 23, 45, 0);
        }
        try (TokenTree tree = TokenTree.of(model, BARE, prompts, 10)) {
            // Nine tokens are too few for a part of their own.
            assertThat(tree.nodes()).isEqualTo(2);
            assertThat(tree.tokens()).isEqualTo(23 + 17);
        }
        try (TokenTree tree = TokenTree.of(model, BARE, new int[][] {{1, 2, 3, 4, 5}, {1, 2, 3, 4, 6}, {1, 7, 8, 9}}, 4)) {
            // What is too short for all is the beginning of the part of those that share more.
            assertThat(tree.nodes()).isEqualTo(1);
            assertThat(IntStream.range(0, 3).map(tree::shared).toArray()).containsExactly(4, 4, 0);
        }
    }

    @Test
    void positionsOfTokensWithoutAnyGivenGoOnBehindTheTree() {
        CausalLm model = model("stories");
        int[][] prompts = {{5, 6, 7, 8, 9, 10}, {5, 6, 7, 8, 11, 12}};
        try (TokenTree tree = TokenTree.of(model, BARE, prompts, 2)) {
            KvCache cache = tree.newCache(2);
            DecoderInput in = DecoderInput.of(Tensor.of(model.backend(), new long[] {9, 10, 11, 12}, 2, 2));
            float[] got = Recording.off(() -> model.logits(model.forward(in, BARE, Optional.of(cache)).text(), BARE))
                    .tensor().toFloatArray();
            DecoderInput whole = DecoderInput.of(Tensor.of(model.backend(), Arrays.stream(prompts).flatMapToInt(Arrays::stream)
                    .asLongStream().toArray(), 2, 6));
            float[] want = Recording.off(() -> model.logits(model.forward(whole, BARE, Optional.empty()).text()
                    .slice(1, 4, 6), BARE)).tensor().toFloatArray();
            close(new float[][] {got}, new float[][] {want});
            cache.free();
        }
    }

    private static final String WINDOWED = """
            {"model_type": "mistral", "hidden_size": 16, "intermediate_size": 20, "num_hidden_layers": 1, "num_attention_heads": 2,
             "num_key_value_heads": 1, "head_dim": 8, "vocab_size": 19, "max_position_embeddings": 64, "sliding_window": 8}""";

    @Test
    void aModelWithAWindowReadsTextsThatShareNothing() {
        CausalLm model = RandomDecoder.of(WINDOWED, "F32");
        CausalLanguageModel plain = new CausalLanguageModel(model, BARE);
        Random random = new Random(7);
        try (BatchSession shared = plain.sharingPrefixes(2).openBatch(2); BatchSession own = plain.openBatch(2)) {
            for (int[][] next : new int[][][] {{text(random, model, 11), text(random, model, 9)}, {{1}, {2}}}) {
                float[][] got = new float[2][19];
                float[][] want = new float[2][19];
                shared.read(next, got);
                own.read(next, want);
                close(got, want);
            }
        }
    }

    @Test
    void aBatchThatFailedOrWasReorderedBeforeItReadBeginsAnew() {
        CausalLm model = RandomDecoder.of(RandomDecoder.LARGE, "F32");
        boolean[] fails = {true};
        Pass pass = Pass.inference(List.of(Hooks.ofTaps("fails", Map.of("final", (_, x, _) -> {
            if (fails[0] && x.size(0) > 1) {
                throw new IllegalStateException("as asked");
            }
            return x;
        }))));
        CausalLanguageModel plain = new CausalLanguageModel(model, pass);
        int[][] prompts = {{1, 2, 3, 4}, {5, 6}, {1, 2, 3, 5}};
        float[][] got = new float[3][model.vocabularySize()];
        float[][] want = new float[3][model.vocabularySize()];
        try (BatchSession shared = plain.sharingPrefixes(2).openBatch(3); BatchSession own = plain.openBatch(3)) {
            shared.reorder(2, 1, 0);
            assertThatThrownBy(() -> shared.read(prompts, got)).hasMessage("as asked");
            fails[0] = false;
            shared.read(prompts, got);
            own.read(prompts, want);
            close(got, want);
        }
    }

    @Test
    void refusesWhatCannotBeShared() {
        CausalLm model = model("stories");
        int[][] prompts = {{1, 2, 3}, {1, 2, 4}};
        assertThatThrownBy(() -> TokenTree.of(model, BARE, new int[][] {{1, 2}, {}}, 1)).hasMessageContaining("at least one token");
        assertThatThrownBy(() -> TokenTree.of(model, BARE, prompts, 0)).hasMessageContaining("not 0");
        assertThatThrownBy(() -> new CausalLanguageModel(model, BARE).sharingPrefixes(0)).hasMessageContaining("least shared length");
        CausalLm windowed = RandomDecoder.of(WINDOWED, "F32");
        assertThatThrownBy(() -> TokenTree.of(windowed, BARE, prompts, 1)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("sees only the last 8 tokens");
        try (TokenTree tree = TokenTree.of(model, BARE, prompts, 1)) {
            KvCache cache = tree.newCache(4);
            assertThatThrownBy(() -> cache.inBlocks(4)).hasMessageContaining("cannot be put into blocks");
            cache.free();
        }
    }
}
