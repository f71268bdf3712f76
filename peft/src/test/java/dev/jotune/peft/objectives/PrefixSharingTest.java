package dev.jotune.peft.objectives;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.models.Branches;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.Targets;
import dev.jotune.peft.TuningMethod;
import dev.jotune.peft.methods.Iapt;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.methods.PromptTuning;
import dev.jotune.peft.train.Batch;
import dev.jotune.peft.train.Example;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Answers that share their prompt's columns, against rows of their own (arXiv 2410.20305). */
class PrefixSharingTest {
    private static final int VOCABULARY = TinyDecoders.VOCABULARY;

    private static TuningMethod method(String name) {
        return switch (name) {
            case "lora" -> Lora.DEFAULTS.withTargets(Targets.matching(Targets.ALL_LINEAR));
            case "iapt" -> Iapt.DEFAULTS;
            case "prefix" -> PrefixTuning.DEFAULTS.withTokens(3);
            default -> PromptTuning.DEFAULTS.withTokens(3);
        };
    }

    private static Adapter attach(CausalLm model, String method) {
        Adapter a = Adapters.create(model, "default", method(method), 3);
        long stream = 0;
        for (Var v : a.trainables().values()) {
            double[] noisy = v.tensor().toDoubleArray();
            for (int i = 0; i < noisy.length; i++) {
                noisy[i] += (float) (0.2 * Philox.normal(8, stream, i));
            }
            stream++;
            v.tensor().copyFrom(Tensor.of(v.backend(), v.dtype(), noisy, v.shape()));
        }
        return a;
    }

    private static int[] tokens(long stream, int n) {
        int[] out = new int[n];
        Arrays.setAll(out, i -> Philox.nextInt(4, stream, i, VOCABULARY));
        return out;
    }

    private static Example text(int[] prompt, int[] answer) {
        int[] ids = Arrays.copyOf(prompt, prompt.length + answer.length);
        System.arraycopy(answer, 0, ids, prompt.length, answer.length);
        int[] labels = ids.clone();
        Arrays.fill(labels, 0, prompt.length, Example.IGNORED);
        return new Example(ids, labels);
    }

    /** Pairs with prompts and answers of different lengths: some rows are padded in the middle. */
    private static List<Example> pairs() {
        List<Example> out = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            int[] prompt = tokens(10 * i, 3 + 4 * i);
            out.add(text(prompt, tokens(10 * i + 1, 2 + i)).preferredTo(text(prompt, tokens(10 * i + 2, 5 - i))));
        }
        return out;
    }

    private static List<Tensor> gradients(Preference objective, CausalLm model, Adapter a, List<Example> pairs) {
        Var loss = objective.loss(model, Batch.of(pairs, model.backend(), false), model.seams().inference());
        return Gradients.of(loss, List.copyOf(a.trainables().values()));
    }

    @ParameterizedTest
    @CsvSource({"llama, lora, false", "llama, lora, true", "gpt2, lora, false", "gpt2, lora, true", "mistral, lora, false",
            "llama, prefix, false", "gpt2, prefix, false", "llama, prompt, false", "mistral, prompt, true", "gpt2, prompt, false",
            "llama, iapt, false", "mistral, iapt, true"})
    void logProbabilitiesAndGradientsAreThoseOfSeparateRows(String family, String method, boolean wide) {
        CausalLm model = TinyDecoders.make(family, wide);
        Adapter adapter = attach(model, method);
        List<Example> pairs = pairs();
        List<List<Example>> groups = pairs.stream().map(e -> List.of(e, e.rejected().orElseThrow())).toList();
        Pass pass = model.seams().inference();
        Labelled shared = Labelled.of(model, groups, true, pass);
        Labelled apart = Labelled.of(model, groups, false, pass);
        assertThat(shared.columns()).as("columns that the model reads").isLessThan(apart.columns());
        double[] want = apart.perText(apart.logProbabilities(model, pass)).tensor().toDoubleArray();
        double[] got = shared.perText(shared.logProbabilities(model, pass)).tensor().toDoubleArray();
        for (int i = 0; i < want.length; i++) {
            assertThat(got[i]).isCloseTo(want[i], within(1e-5));
        }
        // One pair alone never fits the columns of others: nothing depends on padding.
        Labelled alone = Labelled.of(model, List.of(groups.get(1)), true, pass);
        double[] one = alone.perText(alone.logProbabilities(model, pass)).tensor().toDoubleArray();
        assertThat(one[0]).isCloseTo(want[2], within(1e-5));
        assertThat(one[1]).isCloseTo(want[3], within(1e-5));
        List<Tensor> exact = gradients(new Preference(new PreferenceLoss.Dpo(0.1, 0), false, List.of()), model, adapter, pairs);
        List<Tensor> tree = gradients(Preference.dpo(), model, adapter, pairs);
        double tolerance = wide ? 1e-12 : 1e-4;
        double largest = exact.stream().flatMapToDouble(t -> Arrays.stream(t.toDoubleArray())).map(Math::abs).max().orElseThrow();
        assertThat(largest).isPositive();
        for (int k = 0; k < exact.size(); k++) {
            double[] a = exact.get(k).toDoubleArray();
            double[] b = tree.get(k).toDoubleArray();
            for (int i = 0; i < a.length; i++) {
                assertThat(b[i]).as("gradient %d, element %d", k, i).isCloseTo(a[i], within(tolerance * largest));
            }
        }
    }

    /** Virtual tokens that read the answers would let every label be known beforehand. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void virtualTokensReadTheQuestionAlone(boolean shared) {
        CausalLm model = TinyDecoders.make("llama", true);
        attach(model, "iapt");
        Pass pass = model.seams().inference();
        int[] prompt = tokens(1, 6);
        int[] answer = tokens(2, 4);
        int[] other = answer.clone();
        other[3] = (other[3] + 7) % VOCABULARY;
        double[] one = first(model, shared, text(prompt, answer), pass);
        double[] two = first(model, shared, text(prompt, other), pass);
        assertThat(Arrays.copyOf(two, 3)).as("labels before the one that changed").containsExactly(Arrays.copyOf(one, 3), within(1e-12));
        assertThat(two[3]).isNotEqualTo(one[3]);
    }

    private static double[] first(CausalLm model, boolean shared, Example text, Pass pass) {
        List<Example> group = List.of(text, text(Arrays.copyOf(text.ids(), 6), tokens(3, 3)));
        return Labelled.of(model, List.of(group), shared, pass).logProbabilities(model, pass).tensor().toDoubleArray();
    }

    /** Prompts of different lengths are read in passes of their own, which must not draw the same noise. */
    @Test
    void partsOfABatchHaveNoiseOfTheirOwn() {
        CausalLm model = TinyDecoders.make("llama", false);
        attach(model, "prompt");
        List<Long> streams = new ArrayList<>();
        model.seams().attach(Hooks.ofTaps("look", Map.of("final", (_, x, at) -> {
            streams.add(at.pass().stream("noise"));
            return x;
        })));
        List<List<Example>> groups = pairs().stream().map(e -> List.of(e, e.rejected().orElseThrow())).toList();
        for (long step = 0; step < 3; step++) {
            Labelled.of(model, groups, true, model.seams().training(1, step));
        }
        assertThat(streams).hasSize(9).doesNotHaveDuplicates();
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "gpt2", "mistral"})
    void noTokenOfOneBranchReachesAnother(String family) {
        CausalLm model = TinyDecoders.make(family, false);
        int[] prompt = tokens(1, 6);
        int[] rejected = tokens(2, 4);
        for (int changed = 0; changed < 5; changed++) {
            int[] chosen = tokens(3, 5);
            double[] before = logits(model, prompt, chosen, rejected);
            chosen[changed] = (chosen[changed] + 7) % VOCABULARY;
            double[] after = logits(model, prompt, chosen, rejected);
            int from = (prompt.length + chosen.length) * VOCABULARY;
            assertThat(Arrays.copyOfRange(after, from, after.length)).isEqualTo(Arrays.copyOfRange(before, from, before.length));
            assertThat(Arrays.copyOfRange(after, 0, from)).isNotEqualTo(Arrays.copyOfRange(before, 0, from));
        }
    }

    private static double[] logits(CausalLm model, int[]... parts) {
        long[] ids = Arrays.stream(parts).flatMapToInt(Arrays::stream).asLongStream().toArray();
        long[] positions = new long[ids.length];
        Arrays.setAll(positions, t -> t < parts[0].length + parts[1].length ? t : t - parts[1].length);
        Pass pass = model.seams().inference();
        DecoderInput in = DecoderInput.of(Tensor.of(model.backend(), ids, 1, ids.length))
                .withPositions(Tensor.of(model.backend(), positions, 1, ids.length))
                .withBranches(new Branches(parts[0].length, List.of(parts[1].length, parts[2].length)));
        return model.logits(model.forward(in, pass, Optional.empty()).text(), pass).tensor().toDoubleArray();
    }

    /** With a prompt eight times as long as each answer, 10 of 18 columns are left, and of the scores as many as the formula says. */
    @Test
    void longPromptsAreReadOnce() {
        CausalLm model = TinyDecoders.make("llama", false);
        int[] prompt = tokens(1, 64);
        List<List<Example>> group = List.of(List.of(text(prompt, tokens(2, 8)), text(prompt, tokens(3, 8))));
        Pass pass = model.seams().inference();
        assertThat(Labelled.of(model, group, true, pass).columns()).isEqualTo(64 + 8 + 8);
        assertThat(Labelled.of(model, group, false, pass).columns()).isEqualTo(2 * (64 + 8));
        // What a query sees; that nothing else is scored follows from the segments, and is not counted here.
        assertThat(visited(model, group, pass)).isEqualTo(64 * 65 / 2 + 2 * (8 * 64 + 8 * 9 / 2));
    }

    /** Scores that are not zero in the first attention's first head: what its probabilities were formed from. */
    private static long visited(CausalLm model, List<List<Example>> group, Pass pass) {
        long[] formed = {0};
        String tap = model.seams().attentions().getFirst().weightsTap();
        Pass watching = Pass.inference(List.of(Hooks.ofTaps("watch", Map.of(tap, (name, weights, p) -> {
            formed[0] += Arrays.stream(weights.select(1, 0).tensor().toDoubleArray()).filter(w -> w != 0).count();
            return weights;
        }))));
        Labelled.of(model, group, true, watching);
        assertThat(pass.groups()).hasSize(1);
        return formed[0];
    }

    @Test
    void answersThatBeginDifferentlyHaveRowsOfTheirOwn() {
        CausalLm model = TinyDecoders.make("llama", false);
        Example a = text(tokens(1, 3), tokens(2, 3));
        int[] other = tokens(1, 3);
        other[0] = (other[0] + 1) % VOCABULARY;
        Example b = text(other, tokens(2, 3));
        Labelled read = Labelled.of(model, List.of(List.of(a, b)), true, model.seams().inference());
        assertThat(read.columns()).isEqualTo(12);
    }

    @Test
    void pairsWhosePromptLeavesNoRoomForAnAnswerDoNotCount() {
        CausalLm model = TinyDecoders.make("llama", false);
        List<Example> pairs = new ArrayList<>(pairs());
        Preference dpo = Preference.dpo();
        double want = dpo.loss(model, Batch.of(pairs.subList(0, 2), model.backend(), false), model.seams().inference()).item();
        // The third prompt has 11 tokens.
        Batch cut = Batch.of(pairs.stream().map(e -> e.cutTo(11)).toList(), model.backend(), false);
        assertThat(dpo.weight(cut)).isEqualTo(2);
        assertThat(dpo.loss(model, cut, model.seams().inference()).item()).isEqualTo(want);
    }

    @Test
    void impossibleBranchesAreRefused() {
        CausalLm model = TinyDecoders.make("llama", false);
        assertThatThrownBy(() -> new Branches(0, List.of(1))).hasMessageContaining("trunk of 0");
        assertThatThrownBy(() -> new Branches(2, List.of(1, 0))).hasMessageContaining("[1, 0]");
        Tensor ids = Tensor.of(model.backend(), new long[] {1, 2, 3}, 1, 3);
        assertThatThrownBy(() -> DecoderInput.of(ids).withBranches(new Branches(1, List.of(1, 1)))).hasMessageContaining("without positions");
        DecoderInput in = DecoderInput.of(ids).withPositions(ids);
        assertThatThrownBy(() -> in.withBranches(new Branches(1, List.of(1)))).hasMessageContaining("2 columns");
        DecoderInput branched = in.withBranches(new Branches(1, List.of(1, 1)));
        assertThatThrownBy(() -> model.forward(branched, model.seams().inference(), Optional.of(model.newCache(1, 4))))
                .hasMessageContaining("without a cache");
        Example alone = text(tokens(1, 2), tokens(2, 2));
        assertThatThrownBy(() -> Preference.dpo().loss(model, Batch.of(List.of(alone), model.backend(), false), model.seams().inference()))
                .hasMessageContaining("no rejected answer");
    }
}
