package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.generate.BatchSession;
import dev.jotune.models.generate.BeamSearch;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.Generation;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.generate.Strategy;
import dev.jotune.models.generate.TextRequest;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.SegmentSource;
import dev.jotune.models.seam.VirtualTokens;
import dev.jotune.peft.methods.Ia3;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.methods.PromptTuning;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Several adapters on one model: side by side in a batch, swapped while a text is written, composed, and taken off. */
class SeveralAtOnceTest {
    private final CausalLm model = TinyModels.GROUPED.make(Backends.reference(), DType.F64);

    private Adapter adapter(String name, TuningMethod method) {
        return Harness.move(Adapters.create(model, name, method, name.hashCode(), Harness.LETTERS), name.hashCode());
    }

    private static Lora lora(String... targets) {
        return Lora.DEFAULTS.withRank(2, 4).withTargets(Targets.of(targets));
    }

    private Tensor ids(int rows, long... ids) {
        return Tensor.of(model.backend(), ids, rows, ids.length / rows);
    }

    private double[] logits(Tensor ids, Pass pass) {
        return Harness.logits(model, DecoderInput.of(ids), pass);
    }

    private double[] logits(Tensor ids) {
        return logits(ids, model.seams().inference());
    }

    private void fourMethods() {
        adapter("lora", lora("q_proj", "down_proj"));
        adapter("prefix", PrefixTuning.DEFAULTS.withTokens(3));
        adapter("prompt", PromptTuning.DEFAULTS.withTokens(2));
        adapter("ia3", Ia3.DEFAULTS);
        model.seams().activate();
    }

    private static List<List<Integer>> tokens(List<Generation> texts) {
        return texts.stream().map(t -> Arrays.stream(t.tokens()).boxed().toList()).toList();
    }

    @Test
    void aLoraRowBesideAPrefixRowBesideAPlainOneWritesWhatEachWritesAlone() {
        fourMethods();
        List<String> names = List.of("lora", "prefix", "", "prompt", "ia3", "lora");
        List<TextRequest> requests = List.of(TextRequest.of(1, 2, 3, 4), TextRequest.of(5), TextRequest.of(2, 2), TextRequest.of(7, 3, 1),
                TextRequest.of(8, 8), TextRequest.of(9, 1));
        for (Strategy strategy : List.of(Strategy.STEPWISE, BeamSearch.of(3))) {
            Generator mixed = new Generator(new CausalLanguageModel(model, model.seams().rows(names)), SamplingOptions.greedy(6)).with(strategy);
            List<List<Integer>> together = tokens(mixed.generate(requests));
            for (int i = 0; i < names.size(); i++) {
                Generator alone = new Generator(new CausalLanguageModel(model, model.seams().rows(names.subList(i, i + 1))),
                        SamplingOptions.greedy(6)).with(strategy);
                List<List<Integer>> one = tokens(alone.generate(requests.subList(i, i + 1)));
                assertThat(together.get(i)).as("%s under '%s'", strategy, names.get(i)).isEqualTo(one.getFirst());
            }
        }
        LanguageModel mixed = new CausalLanguageModel(model, model.seams().rows(names));
        assertThatThrownBy(() -> mixed.openBatch(2)).hasMessageContaining("6 rows, but 2 texts");
        assertThatThrownBy(mixed::open).hasMessageContaining("6 rows, but 1 texts");
    }

    @Test
    void rowsThatLeaveOrMoveTakeTheirAdaptersAlong() {
        fourMethods();
        Pass pass = model.seams().rows(List.of("prompt", "prefix", "", "ia3"));
        LanguageModel mixed = new CausalLanguageModel(model, pass);
        int v = model.vocabularySize();
        try (var batch = mixed.openBatch(4)) {
            batch.read(new int[][] {{1, 2}, {1, 2}, {1, 2}, {1, 2}}, new float[4][v]);
            batch.reorder(3, 1, 1);
            float[][] got = new float[3][v];
            batch.read(new int[][] {{5}, {5}, {6}}, got);
            for (int i = 0; i < 3; i++) {
                String name = i == 0 ? "ia3" : "prefix";
                double[] want = logits(ids(1, 1, 2, i == 2 ? 6 : 5), model.seams().rows(List.of(name)));
                for (int k = 0; k < v; k++) {
                    assertThat((double) got[i][k]).as("row %d", i).isCloseTo(want[2 * v + k], within(1e-5));
                }
            }
        }
        assertThatThrownBy(() -> pass.reordered(4)).hasMessageContaining("no row 4");
    }

    @Test
    void eachRowOfAMixedBatchTrainsItsOwnAdapterAlone() {
        Adapter a = adapter("a", lora("q_proj", "v_proj"));
        Adapter p = adapter("p", PrefixTuning.DEFAULTS.withTokens(2));
        Tensor both = ids(3, 1, 2, 3, 4, 5, 6, 7, 8, 9);
        List<Var> all = new ArrayList<>(a.trainables().values());
        all.addAll(p.trainables().values());
        Pass mixed = model.seams().rows(List.of("a", "", "p"));
        List<Tensor> together = Gradients.of(squares(both, mixed), all);
        List<Tensor> first = Gradients.of(squares(ids(1, 1, 2, 3), model.seams().rows(List.of("a"))), List.copyOf(a.trainables().values()));
        List<Tensor> last = Gradients.of(squares(ids(1, 7, 8, 9), model.seams().rows(List.of("p"))), List.copyOf(p.trainables().values()));
        List<Tensor> want = new ArrayList<>(first);
        want.addAll(last);
        for (int i = 0; i < all.size(); i++) {
            assertThat(together.get(i).toDoubleArray()).usingComparatorWithPrecision(1e-9).containsExactly(want.get(i).toDoubleArray());
        }
    }

    private Var squares(Tensor ids, Pass pass) {
        return model.logits(model.forward(DecoderInput.of(ids), pass, Optional.empty()).text(), pass).square().sum();
    }

    @Test
    void anAdapterIsSwappedWhileATextIsBeingWritten() {
        Adapter old = adapter("hot", lora("q_proj", "v_proj"));
        int v = model.vocabularySize();
        Pass before = model.seams().inference();
        LanguageModel live = new CausalLanguageModel(model, model.seams()::inference).swapping();
        LanguageModel settled = new CausalLanguageModel(model, model.seams()::inference);
        try (var session = live.open(); var other = settled.open()) {
            float[] got = new float[v];
            float[] kept = new float[v];
            session.feed(1, 2, 3);
            session.logits(got);
            other.feed(1, 2, 3);
            other.logits(kept);
            // One more token through the path for single tokens, so that what it prepared must be given up.
            session.feed(6);
            session.logits(got);
            other.feed(6);
            other.logits(kept);
            assertThat(got).containsExactly(kept);
            old.detach();
            adapter("hot", lora("q_proj", "up_proj"));
            Pass after = model.seams().inference();
            session.feed(4);
            session.logits(got);
            other.feed(4);
            other.logits(kept);

            // The swapped session reads on with what the old adapter left in the cache; the settled one has not noticed.
            DecoderCache cache = model.newCache(1, 8);
            Recording.off(() -> model.forward(DecoderInput.of(ids(1, 1, 2, 3, 6)), before, Optional.of(cache)).text());
            double[] want = Recording.off(() -> model.logits(model.forward(DecoderInput.of(ids(1, 4)), after, Optional.of(cache)).text(), after))
                    .tensor().toDoubleArray();
            close(got, want, 0);
            close(kept, logits(ids(1, 1, 2, 3, 6, 4), before), 4);
            assertThat(got).isNotEqualTo(kept);
        }
    }

    /** Segments that only some rows see, and virtual tokens, made of what the rows read. */
    private record OfFirstTokens(CausalLm model) implements SegmentSource, VirtualTokens {
        private Tensor firsts(Pass pass, long... shape) {
            long each = Arrays.stream(shape).skip(1).reduce(1, (a, b) -> a * b);
            double[] values = Arrays.stream(pass.text().orElseThrow().tokens())
                    .flatMapToDouble(row -> Arrays.stream(new double[(int) each]).map(_ -> row[0] % 2)).toArray();
            return Tensor.of(model.backend(), DType.F64, values, shape);
        }

        @Override
        public List<List<Attention.Segment>> segments(List<AttentionSite> sites, Pass pass) {
            Tensor seen = firsts(pass, pass.text().orElseThrow().tokens().length, 1);
            return sites.stream().map(s -> {
                Var key = Var.constant(Tensor.full(model.backend(), DType.F64, 1, 1, s.groups(), 1, s.headDim()));
                return List.of(new Attention.Segment(key, key, Attention.Visible.ALL.withKeyMask(seen)));
            }).toList();
        }

        @Override
        public long positions() {
            return 0;
        }

        @Override
        public long count() {
            return 1;
        }

        @Override
        public Var rows(Text text, Pass pass) {
            return Var.constant(firsts(pass, text.states().size(0), 1, text.states().size(2)));
        }
    }

    @Test
    void anAdapterSeesTheRowsOfItsGroupAlone() {
        OfFirstTokens own = new OfFirstTokens(model);
        model.seams().attach(new Hooks("own", Map.of(), Map.of(), Optional.of(own), Map.of("embed", own), Map.of()));
        List<String> names = List.of("", "own", "", "own", "own");
        Tensor ids = ids(5, 4, 9, 8, 2, 7, 3, 5, 6, 1, 3, 2, 1, 6, 2, 5);
        double[] together = logits(ids, model.seams().rows(names));
        int each = together.length / 5;
        for (int i = 0; i < 5; i++) {
            double[] alone = logits(ids.slice(0, i, i + 1).contiguous(), model.seams().rows(List.of(names.get(i))));
            assertThat(Arrays.copyOfRange(together, i * each, (i + 1) * each)).as("row %d", i).containsExactly(alone, within(1e-10));
        }
    }

    /** The supplier names rows as they were when the batch was opened. */
    @Test
    void aSwappingBatchOfSeveralAdaptersMayChangeItsRows() {
        adapter("a", lora("q_proj"));
        adapter("b", lora("v_proj"));
        int v = model.vocabularySize();
        CausalLanguageModel plain = new CausalLanguageModel(model, () -> model.seams().rows(List.of("a", "b", "")));
        try (BatchSession live = plain.swapping().openBatch(3); BatchSession settled = plain.openBatch(3)) {
            float[][] got = new float[3][v];
            float[][] want = new float[3][v];
            live.read(new int[][] {{1, 2}, {3, 4}, {5, 6}}, got);
            settled.read(new int[][] {{1, 2}, {3, 4}, {5, 6}}, want);
            live.reorder(1, 1, 0);
            settled.reorder(1, 1, 0);
            live.read(new int[][] {{7}, {8}, {9}}, got);
            settled.read(new int[][] {{7}, {8}, {9}}, want);
            for (int b = 0; b < 3; b++) {
                assertThat(got[b]).as("row %d", b).containsExactly(want[b]);
            }
        }
    }

    private static void close(float[] got, double[] want, int row) {
        for (int k = 0; k < got.length; k++) {
            assertThat((double) got[k]).isCloseTo(want[row * got.length + k], within(1e-5));
        }
    }

    @Test
    void whatLiesInTheCacheOtherwiseIsNotSwapped() {
        adapter("lora", lora("q_proj"));
        adapter("prefix", PrefixTuning.DEFAULTS.withTokens(3));
        adapter("longer", PrefixTuning.DEFAULTS.withTokens(4));
        adapter("prompt", PromptTuning.DEFAULTS.withTokens(2));
        model.seams().activate("prefix");
        LanguageModel live = new CausalLanguageModel(model, model.seams()::inference).swapping();
        try (var session = live.open()) {
            session.feed(1, 2);
            session.logits(new float[model.vocabularySize()]);
            for (String other : List.of("lora", "longer", "prompt")) {
                model.seams().activate(other);
                session.feed(3);
                assertThatThrownBy(() -> session.logits(new float[model.vocabularySize()])).as(other).isInstanceOf(IllegalStateException.class)
                        .hasMessageContainingAll("prefix", other, "Begin the text anew");
                session.rewind(2);
            }
            model.seams().activate("prefix", "lora");
            session.feed(3);
            session.logits(new float[model.vocabularySize()]);
        }
    }

    @Test
    void stackedAdaptersSeeOneAnotherAndParallelOnesTheBaseAlone() {
        Adapter scale = adapter("scale", Ia3.DEFAULTS);
        Adapter low = adapter("low", lora("v_proj", "down_proj"));
        Tensor ids = ids(2, 3, 1, 4, 1, 5, 9);
        double[] stack = logits(ids);
        model.seams().activate("low", "scale");
        assertThat(logits(ids)).as("the order of a stack counts").isNotEqualTo(stack);
        Hooks parallel = Composition.parallel(model, "parallel", List.of(scale.hooks(), low.hooks()));
        Hooks swapped = Composition.parallel(model, "swapped", List.of(low.hooks(), scale.hooks()));
        model.seams().activate();
        model.seams().attach(parallel);
        double[] side = logits(ids);
        assertThat(side).isNotEqualTo(stack);
        model.seams().detach("parallel");
        model.seams().attach(swapped);
        assertThat(logits(ids)).as("but not that of a parallel").usingComparatorWithPrecision(1e-10).containsExactly(side);
        model.seams().detach("swapped");
        // The definition: W + (W_1' - W) + (W_2' - W), put into the model itself.
        Map<String, Parameter> parameters = model.seams().parameters();
        for (String path : parallel.projections().keySet()) {
            var w = parameters.get(path + ".weight");
            w.replace(Var.constant(parallel.projections().get(path).weight(w.base()).tensor()));
        }
        assertThat(logits(ids)).usingComparatorWithPrecision(1e-10).containsExactly(side);
    }

    @Test
    void theAverageOfAdaptersIsTheMeanOfTheirLayersAndOfOneIsItself() {
        Adapter a = adapter("a", lora("q_proj", "v_proj"));
        Adapter b = adapter("b", lora("v_proj", "down_proj"));
        Tensor ids = ids(1, 3, 1, 4, 1);
        model.seams().activate("a");
        double[] alone = logits(ids);
        model.seams().activate();
        double[] bare = logits(ids);
        model.seams().attach(Composition.average(model, "one", List.of(a.hooks(), a.hooks())));
        assertThat(logits(ids)).usingComparatorWithPrecision(1e-10).containsExactly(alone);
        model.seams().detach("one");
        Hooks mean = Composition.average(model, "mean", List.of(a.hooks(), b.hooks()));
        var layer = model.seams().projections().get("model.layers.0.self_attn.v_proj");
        Var w = layer.weight().base();
        double[] want = a.hooks().projections().get(layer.path()).weight(w).add(b.hooks().projections().get(layer.path()).weight(w)).mul(0.5)
                .tensor().toDoubleArray();
        assertThat(mean.projections().get(layer.path()).weight(w).tensor().toDoubleArray()).usingComparatorWithPrecision(1e-12).containsExactly(want);
        model.seams().attach(mean);
        assertThat(logits(ids)).isNotEqualTo(bare);
        // It stands in a batch beside its own parts.
        double[] rows = logits(ids(3, 3, 1, 4, 1, 3, 1, 4, 1, 3, 1, 4, 1), model.seams().rows(List.of("mean", "", "a")));
        assertThat(Arrays.copyOf(rows, rows.length / 3)).usingComparatorWithPrecision(1e-10).containsExactly(logits(ids));
        assertThat(Arrays.copyOfRange(rows, 2 * rows.length / 3, rows.length)).usingComparatorWithPrecision(1e-10).containsExactly(alone);
        Adapter prefix = adapter("p", PrefixTuning.DEFAULTS.withTokens(2));
        assertThatThrownBy(() -> Composition.parallel(model, "x", List.of(a.hooks(), prefix.hooks()))).isInstanceOf(AdapterException.class)
                .hasMessageContaining("'p'");
        assertThatThrownBy(() -> Composition.weighted(model, "x", List.of(a.hooks()), List.of(1.0, 2.0))).hasMessageContaining("2 weights");
    }

    @Test
    void removingOneOfManyLeavesTheOthersAndRemovingAllTheModel() {
        Map<String, Integer> bytes = Harness.bytes(model);
        Tensor ids = ids(2, 3, 1, 4, 1, 5, 9);
        double[] bare = logits(ids);
        adapter("ia3", Ia3.DEFAULTS);
        adapter("lora", lora("q_proj", "down_proj"));
        double[] two = logits(ids);
        adapter("prefix", PrefixTuning.DEFAULTS.withTokens(3));
        adapter("prompt", PromptTuning.DEFAULTS.withTokens(2));
        assertThat(model.seams().active()).hasSize(4);
        model.seams().detach("prefix");
        model.seams().detach("prompt");
        assertThat(logits(ids)).containsExactly(two);
        model.seams().detach("ia3");
        model.seams().detach("lora");
        assertThat(logits(ids)).containsExactly(bare);
        assertThat(Harness.bytes(model)).isEqualTo(bytes);
    }
}
