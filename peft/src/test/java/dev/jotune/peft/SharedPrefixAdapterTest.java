package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.KvCache;
import dev.jotune.models.TokenTree;
import dev.jotune.models.generate.BatchSession;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A tree of prefixes under every method of decoders: rows decode as without it. */
class SharedPrefixAdapterTest {
    private static final int[][] PROMPTS = {{3, 1, 4, 1, 5, 9}, {3, 1, 4, 2, 6, 5}, {3, 1, 4, 1, 7, 8}, {3, 1, 4, 2, 6, 3}};

    static List<MethodInfo> methods() {
        return ContractCases.ofDecoders();
    }

    @ParameterizedTest
    @MethodSource("methods")
    void rowsUnderAnAdapterShareTheirPrefixes(MethodInfo info) {
        Harness h = new Harness(info, ContractCases.of(info).getFirst(), TinyModels.GROUPED, true);
        CausalLm model = h.model();
        h.moved(model, "a");
        Pass pass = model.seams().inference();
        if (pass.groups().getFirst().readsText(model.input().name())) {
            assertThatNothingIsShared(model, pass);
            return;
        }
        double[] whole = last(model, PROMPTS, pass, 6, Optional.empty());
        try (TokenTree tree = TokenTree.of(model, pass, PROMPTS, 1)) {
            assertThat(tree.nodes()).isEqualTo(3);
            int[][] rest = Arrays.stream(PROMPTS).map(p -> Arrays.copyOfRange(p, 4, 6)).toArray(int[][]::new);
            // Rows 1 and 3 share five tokens and begin a token later than the others: here all read from the fifth on.
            assertThat(tree.shared(0)).isEqualTo(4);
            assertThat(tree.shared(1)).isEqualTo(5);
            assertThatRowsRead(h, model, pass, tree, rest, whole);
        }
    }

    /** Virtual tokens made of each row's own text: a batch that may share its prefixes reads every row as one that may not. */
    private static void assertThatNothingIsShared(CausalLm model, Pass pass) {
        CausalLanguageModel plain = new CausalLanguageModel(model, pass);
        int[][] unequal = PROMPTS.clone();
        unequal[2] = Arrays.copyOf(unequal[2], 5);
        float[][] got = new float[4][model.vocabularySize()];
        float[][] want = new float[4][model.vocabularySize()];
        try (BatchSession sharing = plain.sharingPrefixes(1).openBatch(4); BatchSession own = plain.openBatch(4)) {
            for (int[][] next : List.of(unequal, new int[][] {{2}, {3}, {4}, {5}})) {
                sharing.read(next, got);
                own.read(next, want);
                for (int b = 0; b < 4; b++) {
                    assertThat(got[b]).as("row %d", b).containsExactly(want[b], within(1e-5f));
                }
            }
        }
    }

    private static void assertThatRowsRead(Harness h, CausalLm model, Pass pass, TokenTree tree, int[][] rest, double[] whole) {
        KvCache cache = tree.newCache(2);
        long[] ids = new long[8];
        long[] positions = new long[8];
        boolean[] real = new boolean[8];
        for (int b = 0; b < 4; b++) {
            int read = 6 - tree.shared(b);
            for (int t = 2 - read; t < 2; t++) {
                ids[b * 2 + t] = rest[b][t];
                positions[b * 2 + t] = 4 + t;
                real[b * 2 + t] = true;
            }
        }
        DecoderInput in = DecoderInput.of(Tensor.of(h.backend(), ids, 4, 2), Tensor.of(h.backend(), real, 4, 2))
                .withPositions(Tensor.of(h.backend(), positions, 4, 2));
        h.assertClose("after the prompts", last(model, in, pass, Optional.of(cache)), whole);
        int[][] longer = Arrays.stream(PROMPTS).map(p -> Arrays.copyOf(p, 7)).toArray(int[][]::new);
        for (int b = 0; b < 4; b++) {
            longer[b][6] = 2 + b;
        }
        DecoderInput next = DecoderInput.of(Tensor.of(h.backend(), new long[] {2, 3, 4, 5}, 4, 1))
                .withPositions(Tensor.of(h.backend(), new long[] {6, 6, 6, 6}, 4, 1));
        h.assertClose("a token later", last(model, next, pass, Optional.of(cache)), last(model, longer, pass, 7, Optional.empty()));
        cache.free();
    }

    private static double[] last(CausalLm model, int[][] rows, Pass pass, int time, Optional<KvCache> cache) {
        long[] ids = Arrays.stream(rows).flatMapToInt(Arrays::stream).asLongStream().toArray();
        return last(model, DecoderInput.of(Tensor.of(model.backend(), ids, rows.length, time)), pass, cache);
    }

    private static double[] last(CausalLm model, DecoderInput in, Pass pass, Optional<KvCache> cache) {
        return Recording.off(() -> {
            Var text = model.forward(in, pass, cache.map(DecoderCache.class::cast)).text();
            return model.logits(text.slice(1, in.time() - 1, in.time()), pass);
        }).tensor().toDoubleArray();
    }

    @Test
    void rowsThatShareNothingStillReadTheirVirtualTokens() {
        MethodInfo prompt = Methods.named("prompt");
        Harness h = new Harness(prompt, ContractCases.of(prompt).getFirst(), TinyModels.GROUPED, true);
        CausalLm model = h.model();
        h.moved(model, "a");
        try (TokenTree tree = TokenTree.of(model, model.seams().inference(), new int[][] {{3, 1, 4, 1}, {3, 1, 4, 2}, {5, 6}}, 1)) {
            // No beginning is common to all, so nothing is shared: virtual tokens stand before the first part.
            assertThat(tree.nodes()).isZero();
        }
    }

    @Test
    void rowsUnderDifferentAdaptersShareNoKeys() {
        CausalLm model = TinyModels.GROUPED.make(Backends.cpu(), DType.F32);
        Adapters.create(model, "a", Methods.named("lora").defaults(), 1);
        Pass mixed = model.seams().rows(List.of("a", ""));
        assertThatThrownBy(() -> TokenTree.of(model, mixed, new int[][] {{1, 2, 3}, {1, 2, 4}}, 1))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("2 groups of rows");
    }
}
