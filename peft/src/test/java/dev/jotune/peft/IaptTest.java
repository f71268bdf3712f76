package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Embedding;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Models;
import dev.jotune.models.generate.BatchSession;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.generate.SpeculativeDecoding;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.VirtualTokens;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.Golden;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Virtual tokens that depend on the instruction and are made anew before every block (catalogue S129, works_when). */
class IaptTest {
    private static final int GIVEN = 3;

    private static Harness harness(boolean wide) {
        MethodInfo info = Methods.named("iapt");
        return new Harness(info, ContractCases.of(info).getFirst(), TinyModels.GROUPED, wide);
    }

    private static Tensor given(Harness h, DecoderInput in, int tokens) {
        double[] values = new double[Math.toIntExact(in.batch() * in.time())];
        Arrays.setAll(values, i -> i % in.time() < tokens ? 1 : 0);
        return Tensor.of(h.backend(), h.type(), values, in.batch(), in.time());
    }

    private static DecoderInput text(Harness h, int rows) {
        return DecoderInput.of(h.input(rows).ids().get());
    }

    /** The blocks taken apart: what each reads and the bare model's own layers make of it, one model of one layer at a time. */
    @Test
    void everyBlockReadsItsOwnPromptBeforeTheStatesOfTheBlockBefore() {
        Harness h = harness(true);
        CausalLm model = h.model();
        Adapter adapter = h.moved(model, "a");
        DecoderInput in = text(h, 2).withInstruction(given(h, text(h, 2), GIVEN));
        Var instruction = Var.constant(in.instruction().get());
        VirtualTokens own = adapter.hooks().virtualTokens().get("embed");
        Pass bare = Pass.inference(List.of());
        Tensor table = model.seams().parameters().get("model.embed_tokens.weight").base().tensor();
        Var states = Embedding.lookup(Var.constant(table), in.ids().get());
        long n = own.count();
        for (int layer = 0; layer < model.layers(); layer++) {
            VirtualTokens.Text text = new VirtualTokens.Text(states, instruction);
            Var rows = layer == 0 ? own.rows(text, bare) : own.rows(layer, text, bare).orElseThrow();
            Map<String, Var> seen = new LinkedHashMap<>();
            CausalLm one = TinyModels.GROUPED.layer(layer, h.backend(), h.type());
            one.seams().attach(Hooks.ofTaps("look", Map.of("layers.0", (name, x, _) -> {
                seen.put(name, x);
                return x;
            })));
            one.forward(DecoderInput.of(Var.concat(1, rows, states)), one.seams().inference(), Optional.empty());
            states = seen.get("layers.0").slice(1, n, n + in.time());
        }
        Map<String, Var> whole = new LinkedHashMap<>();
        model.seams().attach(Hooks.ofTaps("look", Map.of("layers.1", (name, x, _) -> {
            whole.put(name, x);
            return x;
        })));
        model.forward(in, model.seams().inference(), Optional.empty());
        h.assertClose("states after the last block", whole.get("layers.1").slice(1, n, n + in.time()).tensor().toDoubleArray(),
                states.tensor().toDoubleArray());
    }

    /** Rows of a batch have prompts of their own, and what comes after the instruction does not change them. */
    @Test
    void thePromptDependsOnTheInstructionAlone() {
        Harness h = harness(true);
        CausalLm model = h.model();
        h.moved(model, "a");
        DecoderInput in = text(h, 2);
        int v = model.vocabularySize();
        int time = (int) in.time();
        double[] before = Harness.logits(model, in.withInstruction(given(h, in, GIVEN)));
        long[] ids = in.ids().get().toLongArray();
        ids[time - 1] = (ids[time - 1] + 1) % v;
        DecoderInput other = DecoderInput.of(Tensor.of(h.backend(), ids, 2, time));
        double[] after = Harness.logits(model, other.withInstruction(given(h, in, GIVEN)));
        int same = (time - 1) * v;
        assertThat(Arrays.copyOf(after, same)).as("tokens before the changed one").isEqualTo(Arrays.copyOf(before, same));
        assertThat(Arrays.copyOf(Harness.logits(model, other), same)).as("the whole text as the instruction")
                .isNotEqualTo(Arrays.copyOf(Harness.logits(model, in), same));
    }

    /** In training, the tokens before the first label are the instruction. */
    @Test
    void noPromptKnowsALabel() {
        Harness h = harness(true);
        DecoderInput in = text(h, 2);
        long[] labels = in.ids().get().toLongArray();
        int time = (int) in.time();
        Arrays.setAll(labels, i -> i % time < GIVEN ? -100 : labels[i]);
        Tensor wanted = Tensor.of(h.backend(), labels, 2, time);
        assertThat(in.withInstructionBefore(wanted).instruction().get().toDoubleArray()).isEqualTo(given(h, in, GIVEN).toDoubleArray());
        CausalLm model = h.model();
        h.moved(model, "a");
        Pass pass = model.seams().inference();
        assertThat(model.loss(in, wanted, pass).item()).isEqualTo(model.loss(in.withInstruction(given(h, in, GIVEN)), wanted, pass).item());
    }

    /** Cached decoding is the full pass, and the cache holds n + l keys for each layer. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void theCacheHoldsThePromptOfTheInstruction(boolean wide) {
        Harness h = harness(wide);
        CausalLm model = h.model();
        h.moved(model, "a");
        Pass pass = model.seams().inference();
        DecoderInput in = text(h, 2);
        int v = model.vocabularySize();
        int time = (int) in.time();
        double[] whole = Harness.logits(model, in.withInstruction(given(h, in, GIVEN)));
        DecoderCache cache = model.newCache(2, 1);
        for (int from = 0, to = GIVEN; from < time; from = to, to++) {
            Tensor next = in.ids().get().slice(1, from, to).contiguous();
            double[] got = Recording.off(() -> model.logits(model.forward(DecoderInput.of(next), pass, Optional.of(cache)).text(), pass))
                    .tensor().toDoubleArray();
            assertThat(cache.length()).isEqualTo(to + 2);
            for (int b = 0; b < 2; b++) {
                h.assertClose("tokens to " + to + " of row " + b, Arrays.copyOfRange(got, b * (to - from) * v, (b + 1) * (to - from) * v),
                        Arrays.copyOfRange(whole, (b * time + from) * v, (b * time + to) * v));
            }
        }
    }

    /** A session that goes back into the instruction reads it again; one that goes back behind it keeps the prompt. */
    @Test
    void aSessionKeepsThePromptOfTheTextItBeganWith() {
        Harness h = harness(false);
        CausalLm model = h.model();
        h.moved(model, "a");
        CausalLanguageModel lm = new CausalLanguageModel(model, model.seams().inference());
        try (LanguageModel.Session s = lm.open(); LanguageModel.Session fresh = lm.open(); LanguageModel.Session other = lm.open()) {
            s.feed(1, 2, 3);
            float[] atThree = logits(s);
            s.feed(4);
            float[] atFour = logits(s);
            s.rewind(3);
            assertThat(logits(s)).containsExactly(atThree, within(1e-5f));
            s.feed(4);
            assertThat(logits(s)).containsExactly(atFour, within(1e-5f));
            s.rewind(1);
            s.feed(5, 6);
            fresh.feed(1, 5, 6);
            assertThat(logits(s)).containsExactly(logits(fresh), within(1e-5f));
            other.feed(1, 2, 3, 4);
            assertThat(logits(other)).as("all four as the instruction").isNotEqualTo(atFour);
        }
    }

    private static float[] logits(LanguageModel.Session s) {
        float[] out = new float[TinyModels.GROUPED.config().vocabSize()];
        s.logits(out);
        return out;
    }

    /** Logits after prompt and draft in one pass, and a copied row that is read again: the prompt alone is the instruction. */
    @Test
    void whatIsReadWithThePromptIsNoInstruction() {
        Harness h = harness(false);
        CausalLm model = h.model();
        h.moved(model, "a");
        CausalLanguageModel lm = new CausalLanguageModel(model, model.seams().inference());
        float[][] want = new float[3][model.vocabularySize()];
        float[][] got = new float[3][model.vocabularySize()];
        try (LanguageModel.Session s = lm.open(); LanguageModel.Session drafted = lm.open()) {
            s.feed(1, 2, 3);
            s.logits(want[0]);
            for (int i = 1; i < 3; i++) {
                s.feed(3 + i);
                s.logits(want[i]);
            }
            drafted.feed(1, 2, 3);
            drafted.feed(4, 5);
            drafted.logits(got);
            for (int i = 0; i < 3; i++) {
                assertThat(got[i]).as("after token %d", 2 + i).containsExactly(want[i], within(1e-5f));
            }
        }
        SamplingOptions greedy = SamplingOptions.greedy(8);
        Generator generator = new Generator(lm, greedy);
        int[] plain = generator.generate(new int[] {1, 2, 3}).tokens();
        LanguageModel draft = new CausalLanguageModel(model, Pass.inference(List.of()));
        assertThat(generator.with(new SpeculativeDecoding(draft, 3)).generate(new int[] {1, 2, 3}).tokens()).isEqualTo(plain);
        try (BatchSession rows = lm.times(1).openBatch(1)) {
            rows.read(new int[][] {{1, 2, 3}}, new float[][] {got[0]});
            rows.read(new int[][] {{4}}, new float[][] {got[0]});
            rows.reorder(0, 0);
            rows.read(new int[][] {{5}, {5}}, new float[][] {got[0], got[1]});
            assertThat(got[0]).containsExactly(want[2], within(1e-5f));
            assertThat(got[1]).as("the row that was copied").containsExactly(want[2], within(1e-5f));
        }
    }

    /** The first token is read by the prompt before it, so its label is not learnt; with padding on the left it is another column. */
    @Test
    void theFirstTokenIsGivenAndNotLearnt() {
        Harness h = harness(true);
        CausalLm model = h.model();
        h.moved(model, "a");
        Pass pass = model.seams().inference();
        Tensor ids = Tensor.of(h.backend(), new long[] {3, 1, 4, 1, 5, 9}, 1, 6);
        Tensor later = Tensor.of(h.backend(), new long[] {-100, 1, 4, 1, 5, 9}, 1, 6);
        double want = model.loss(DecoderInput.of(ids), later, pass).item();
        assertThat(model.loss(DecoderInput.of(ids), ids, pass).item()).isEqualTo(want);
        DecoderInput padded = DecoderInput.of(Tensor.of(h.backend(), new long[] {7, 7, 3, 1, 4, 1, 5, 9}, 1, 8),
                Tensor.of(h.backend(), new long[] {0, 0, 1, 1, 1, 1, 1, 1}, 1, 8))
                .withPositions(Tensor.of(h.backend(), new long[] {0, 0, 0, 1, 2, 3, 4, 5}, 1, 8));
        Tensor labels = Tensor.of(h.backend(), new long[] {-100, -100, 3, 1, 4, 1, 5, 9}, 1, 8);
        assertThat(model.loss(padded, labels, pass).item()).isCloseTo(want, within(1e-9));
    }

    /** Models whose blocks have no place for it are left alone. */
    @Test
    @Tag("golden")
    void anEncoderIsRefused() {
        for (String base : List.of("bert", "t5")) {
            var model = Models.load(Golden.folder("peft").resolve("base/" + base), Backends.cpu(), DType.F32).backbone();
            assertThatThrownBy(() -> Adapters.create(model, "a", Methods.named("iapt").defaults(), 1)).isInstanceOf(AdapterException.class)
                    .hasMessageContaining("IAPT").hasMessageContaining("a " + model.modelType() + " model has no place");
            assertThat(model.seams().attached()).isEmpty();
        }
    }

    /**
     * Where the answer depends on the instruction's kind, prompts made of the instruction beat as many that are always the same,
     * trained before the same frozen model for as many steps.
     */
    @Test
    void promptsOfTheInstructionBeatFixedOnes() {
        double aware = 0;
        double fixed = 0;
        for (int seed = 0; seed < 3; seed++) {
            aware += accuracy(Methods.configure(Methods.named("iapt"), Map.of("encoder_hidden_size", 8)), seed) / 3;
            fixed += accuracy(PrefixTuning.DEFAULTS.withTokens(4), seed) / 3;
        }
        assertThat(aware).as("accuracy, with fixed prompts before every layer %s", fixed).isGreaterThanOrEqualTo(fixed + 0.05);
    }

    private static double accuracy(TuningMethod method, int seed) {
        Harness h = harness(false);
        CausalLm model = h.model();
        Adapter a = Adapters.create(model, "a", method, seed);
        Harness.train(a, 80, 0.03, step -> {
            long[] ids = kinds(h, seed, step);
            long[] labels = ids.clone();
            Arrays.setAll(labels, i -> i % 5 == 4 ? ids[i] : -100);
            return model.loss(DecoderInput.of(Tensor.of(h.backend(), ids, 32, 5)), Tensor.of(h.backend(), labels, 32, 5),
                    model.seams().training(seed, step));
        });
        long[] ids = kinds(h, seed, 10_000);
        DecoderInput asked = DecoderInput.of(Tensor.of(h.backend(), ids, 32, 5).slice(1, 0, 4).contiguous());
        double[] logits = Harness.logits(model, asked);
        int v = model.vocabularySize();
        int right = 0;
        for (int b = 0; b < 32; b++) {
            int at = (b * 4 + 3) * v;
            int best = 0;
            for (int k = 1; k < v; k++) {
                best = logits[at + k] > logits[at + best] ? k : best;
            }
            right += best == ids[b * 5 + 4] ? 1 : 0;
        }
        return right / 32.0;
    }

    /** Rows of an instruction of one of four kinds, three other tokens, and the kind's answer. */
    private static long[] kinds(Harness h, int seed, long step) {
        long[] ids = new long[32 * 5];
        for (int b = 0; b < 32; b++) {
            int kind = Philox.nextInt(seed, step, b * 8, 4);
            ids[b * 5] = kind;
            for (int t = 1; t < 4; t++) {
                ids[b * 5 + t] = 8 + Philox.nextInt(seed, step, b * 8 + t, h.kind().config().vocabSize() - 8);
            }
            ids[b * 5 + 4] = 4 + kind;
        }
        return ids;
    }
}
