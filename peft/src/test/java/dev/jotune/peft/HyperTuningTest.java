package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Models;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.methods.Hypermodel;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A model that writes the weights of another (catalogue S106, works_when). */
class HyperTuningTest {
    /** Examples of three rows, the last one shorter. */
    private static final long[] EXAMPLES = {1, 7, 2, 3, 9, 4, 5, 6, 0};
    private static final double[] REAL = {1, 1, 1, 1, 1, 1, 1, 1, 0};

    private static Harness harness(String setting, boolean wide) {
        MethodInfo info = Methods.named("hyper");
        return new Harness(info, ContractCases.of(info).stream().filter(c -> c.name().equals(setting)).findFirst().orElseThrow(),
                TinyModels.GROUPED, wide);
    }

    private static Hooks written(Adapter a, Harness h, int from, int to) {
        Tensor ids = Tensor.of(h.backend(), Arrays.copyOfRange(EXAMPLES, 3 * from, 3 * to), to - from, 3);
        Tensor mask = Tensor.of(h.backend(), h.type(), Arrays.copyOfRange(REAL, 3 * from, 3 * to), to - from, 3);
        return hypermodel(a).reading(a.name(), ids, Optional.of(mask));
    }

    private static Hypermodel hypermodel(Adapter a) {
        return (Hypermodel) a.source().orElseThrow();
    }

    /** Three rows under three adapters written at once are three runs; and so they are as some rows of a batch, others bare. */
    @ParameterizedTest
    @ValueSource(strings = {"prefix", "LoRA", "LoRA by a model that trains"})
    void rowsOfOneBatchCarryWeightsOfTheirOwn(String setting) {
        for (boolean wide : new boolean[] {true, false}) {
            Harness h = harness(setting, wide);
            CausalLm model = h.model();
            Adapter a = h.moved(model, "a");
            DecoderInput in = h.input(3);
            Hooks all = Recording.off(() -> written(a, h, 0, 3));
            double[] together = Harness.logits(model, in, Pass.inference(List.of(all)));
            Pass mixed = new Pass(List.of(new Group(List.of(0, 2), List.of(Recording.off(() -> pick(a, h, 0, 2)))),
                    new Group(List.of(1), List.of())), false, 0, 0);
            double[] some = Harness.logits(model, in, mixed);
            int each = together.length / 3;
            for (int row = 0; row < 3; row++) {
                int r = row;
                double[] alone = Harness.logits(model, h.row(in, row), Pass.inference(List.of(Recording.off(() -> written(a, h, r, r + 1)))));
                h.assertClose("row " + row, Arrays.copyOfRange(together, row * each, (row + 1) * each), alone);
                double[] want = row == 1 ? Harness.logits(model, h.row(in, 1), Pass.inference(List.of())) : alone;
                h.assertClose("row " + row + " beside a bare one", Arrays.copyOfRange(some, row * each, (row + 1) * each), want);
            }
            assertThat(Arrays.copyOf(together, each)).isNotEqualTo(Harness.logits(model, h.row(in, 0), model.seams().inference()));
        }
    }

    /** An adapter for two of the three rows of examples. */
    private static Hooks pick(Adapter a, Harness h, int first, int second) {
        long[] ids = new long[6];
        double[] real = new double[6];
        for (int k = 0; k < 3; k++) {
            ids[k] = EXAMPLES[3 * first + k];
            real[k] = REAL[3 * first + k];
            ids[3 + k] = EXAMPLES[3 * second + k];
            real[3 + k] = REAL[3 * second + k];
        }
        return hypermodel(a).reading(a.name(), Tensor.of(h.backend(), ids, 2, 3), Optional.of(Tensor.of(h.backend(), h.type(), real, 2, 3)));
    }

    /** The loss of a batch whose rows carry different weights is differentiated through what was written. */
    @ParameterizedTest
    @ValueSource(strings = {"prefix", "LoRA by a model that trains"})
    void gradientsFlowThroughTheWrittenWeights(String setting) {
        Harness h = harness(setting, true);
        CausalLm model = h.model();
        Adapter a = h.moved(model, "a");
        DecoderInput in = h.input(3);
        Supplier<Var> loss = () -> model.loss(in, h.labels(in), Pass.inference(List.of(written(a, h, 0, 3))));
        List<Var> all = List.copyOf(a.trainables().values());
        List<Tensor> gradients = Gradients.of(loss.get(), all);
        double slope = 0;
        double scale = 0;
        for (int i = 0; i < all.size(); i++) {
            double[] g = gradients.get(i).toDoubleArray();
            for (int k = 0; k < g.length; k++) {
                slope += g[k] * Philox.normal(5, i, k);
                scale += Math.abs(g[k] * Philox.normal(5, i, k));
            }
        }
        double step = 1e-6;
        move(all, step);
        double up = Recording.off(loss).item();
        move(all, -2 * step);
        double down = Recording.off(loss).item();
        assertThat(slope).isCloseTo((up - down) / (2 * step), within(1e-6 * scale));
        assertThat(scale).isPositive();
    }

    private static void move(List<Var> all, double step) {
        for (int i = 0; i < all.size(); i++) {
            Tensor t = all.get(i).tensor();
            double[] v = t.toDoubleArray();
            for (int k = 0; k < v.length; k++) {
                v[k] += step * Philox.normal(5, i, k);
            }
            t.copyFrom(Tensor.of(t.backend(), t.dtype(), v, t.shape()));
        }
    }

    /** With heads at 0 what is written changes nothing, and a batch of written weights has no W' to merge. */
    @Test
    void aHeadOfZerosWritesNothing() {
        Harness h = harness("LoRA", true);
        CausalLm model = h.model();
        double[] base = Harness.logits(model, h.input(3));
        Adapter a = h.create(model, "a");
        Pass pass = Pass.inference(List.of(written(a, h, 0, 3)));
        assertThat(Harness.logits(model, h.input(3), pass)).isEqualTo(base);
        var layer = model.seams().projections().get("model.layers.0.mlp.down_proj");
        assertThatThrownBy(() -> written(a, h, 0, 3).projections().get(layer.path()).weight(layer.weight().base()))
                .isInstanceOf(AdapterException.class).hasMessageContaining("3 weights of their own");
    }

    /** An encoder-decoder's hypermodel is one itself; it writes for both stacks. */
    @ParameterizedTest
    @ValueSource(strings = {"prefix", "lora"})
    @Tag("golden")
    void anEncoderDecoderIsWrittenForToo(String writes) {
        Seq2SeqLm model = Models.load(Golden.folder("peft").resolve("base/t5"), Backends.reference(), DType.F64).backbone().as(Seq2SeqLm.class);
        Tensor ids = Tensor.of(Backends.reference(), new long[] {5, 6, 7, 8, 9, 10}, 2, 3);
        Tensor labels = Tensor.of(Backends.reference(), new long[] {11, 12, 13, 14}, 2, 2);
        double bare = model.loss(EncoderInput.of(ids), labels, model.seams().inference()).item();
        TuningMethod method = Methods.configure(Methods.named("hyper"), Map.of("writes", writes, "num_virtual_tokens", 2,
                "encoder_hidden_size", 4, "examples", List.of(3, 4)));
        Adapter a = Adapters.create(model, "a", method, 1);
        Harness.move(a, 3);
        Tensor examples = Tensor.of(Backends.reference(), new long[] {20, 21, 22, 23}, 2, 2);
        Pass own = Pass.inference(List.of(hypermodel(a).reading("a", examples, Optional.empty())));
        Var loss = model.loss(EncoderInput.of(ids), labels, own);
        double sum = 0;
        for (int row = 0; row < 2; row++) {
            Tensor one = examples.slice(0, row, row + 1).contiguous();
            Pass alone = Pass.inference(List.of(hypermodel(a).reading("a", one, Optional.empty())));
            sum += model.loss(EncoderInput.of(ids.slice(0, row, row + 1).contiguous()), labels.slice(0, row, row + 1).contiguous(), alone).item();
        }
        assertThat(loss.item()).isCloseTo(sum / 2, within(1e-9)).isNotCloseTo(bare, within(1e-3));
        Gradients.of(loss, List.copyOf(a.trainables().values())).forEach(g ->
                assertThat(Arrays.stream(g.toDoubleArray()).allMatch(Double::isFinite)).isTrue());
    }

    private static final int ROWS = 16;
    private static final int SYMBOLS = 5;
    private static final int FIRST = 8;
    private static final int STEPS = 40;

    /** Tasks {@code 5 a + b}: key 1 stands for symbol a, key 2 for b. Those with {@code b = a + 1} are never trained on. */
    private static boolean isHeldOut(int task) {
        return task % SYMBOLS == (task / SYMBOLS + 1) % SYMBOLS;
    }

    private static int[] tasks(boolean heldOut) {
        return IntStream.range(0, SYMBOLS * SYMBOLS).filter(t -> isHeldOut(t) == heldOut).toArray();
    }

    /** The tasks of a step, one a row. */
    private static int[] draw(int[] from, long step) {
        return IntStream.range(0, ROWS).map(b -> from[Philox.nextInt(3, step, b, from.length)]).toArray();
    }

    /** The model under weights that were written of each row's examples: "1 a 2 b". */
    private static Pass reading(Harness h, Adapter a, int[] tasks) {
        long[] ids = new long[ROWS * 4];
        for (int b = 0; b < ROWS; b++) {
            ids[b * 4] = 1;
            ids[b * 4 + 1] = FIRST + tasks[b] / SYMBOLS;
            ids[b * 4 + 2] = 2;
            ids[b * 4 + 3] = FIRST + tasks[b] % SYMBOLS;
        }
        return Pass.inference(List.of(hypermodel(a).reading("a", Tensor.of(h.backend(), ids, ROWS, 4), Optional.empty())));
    }

    /** Texts "0 key symbol". */
    private static long[] asked(int[] tasks, long step) {
        long[] ids = new long[ROWS * 3];
        for (int b = 0; b < ROWS; b++) {
            int key = Philox.nextInt(4, step, b, 2);
            ids[b * 3 + 1] = 1 + key;
            ids[b * 3 + 2] = FIRST + (key == 0 ? tasks[b] / SYMBOLS : tasks[b] % SYMBOLS);
        }
        return ids;
    }

    private static Var loss(Harness h, CausalLm model, long[] ids, Pass pass) {
        long[] labels = new long[ids.length];
        Arrays.setAll(labels, i -> i % 3 == 2 ? ids[i] : -100);
        return model.loss(DecoderInput.of(Tensor.of(h.backend(), ids, ROWS, 3)), Tensor.of(h.backend(), labels, ROWS, 3), pass);
    }

    private static double accuracy(Harness h, CausalLm model, long[] ids, Pass pass) {
        DecoderInput in = DecoderInput.of(Tensor.of(h.backend(), ids, ROWS, 3).slice(1, 0, 2).contiguous());
        double[] logits = Harness.logits(model, in, pass);
        int v = model.vocabularySize();
        int right = 0;
        for (int b = 0; b < ROWS; b++) {
            int at = (b * 2 + 1) * v;
            int best = IntStream.range(0, v).reduce(0, (x, y) -> logits[at + y] > logits[at + x] ? y : x);
            right += best == ids[b * 3 + 2] ? 1 : 0;
        }
        return right / (double) ROWS;
    }

    /**
     * Lookup tasks of the tiny frozen model: for tasks that were never trained on, the prefix written of the examples answers where
     * the model alone cannot; and prefix tuning on one of these tasks that begins with what was written has in a quarter of the
     * steps a lower loss than one that begins at random.
     */
    @Test
    void unseenTasksAreSolvedByReadingTheirExamples() {
        Harness h = harness("prefix", false);
        CausalLm model = h.model();
        TuningMethod method = Methods.configure(Methods.named("hyper"), Map.of("num_virtual_tokens", 4, "encoder_hidden_size", 32));
        Adapter a = Adapters.create(model, "a", method, 1);
        Harness.train(a, 400, 0.003, step -> {
            int[] tasks = draw(tasks(false), step);
            return loss(h, model, asked(tasks, step), reading(h, a, tasks));
        });
        double alone = 0;
        double read = 0;
        for (int n = 0; n < 8; n++) {
            int[] unseen = draw(tasks(true), 10_000 + n);
            long[] ids = asked(unseen, 10_000 + n);
            alone += accuracy(h, model, ids, Pass.inference(List.of())) / 8;
            read += accuracy(h, model, ids, Recording.off(() -> reading(h, a, unseen))) / 8;
        }
        assertThat(read).as("accuracy on unseen tasks; of the model alone %s", alone).isGreaterThanOrEqualTo(alone + 0.15);
        int task = tasks(true)[0];
        Tensor table = Recording.off(() -> table(model, reading(h, a, IntStream.generate(() -> task).limit(ROWS).toArray())));
        model.seams().activate();
        PrefixTuning prefix = PrefixTuning.DEFAULTS.withTokens(4);
        List<Double> written = tuned(h, Adapters.restore(model, "written", prefix, Map.of("prompt_embeddings", table)), task);
        List<Double> random = tuned(h, Adapters.create(model, "random", prefix, 1), task);
        assertThat(written.get(STEPS / 4)).as("loss, from noise %s", random).isLessThan(random.getLast());
    }

    /** The written keys and values of the first row as PEFT's table of a prefix, {@code [n, 2 L G D]}. */
    private static Tensor table(CausalLm model, Pass pass) {
        List<Var> parts = new ArrayList<>();
        for (var segments : pass.segments(model.seams().attentions(), ROWS)) {
            for (Var v : List.of(segments.getFirst().key(), segments.getFirst().value())) {
                Var first = v.slice(0, 0, 1).transpose(1, 2);
                parts.add(first.reshape(first.size(1), -1));
            }
        }
        return Var.concat(1, parts.toArray(Var[]::new)).tensor();
    }

    /** The losses of prefix tuning on one task. */
    private static List<Double> tuned(Harness h, Adapter prefix, int task) {
        CausalLm model = prefix.model().as(CausalLm.class);
        model.seams().activate(prefix.name());
        int[] same = IntStream.generate(() -> task).limit(ROWS).toArray();
        return Harness.train(prefix, STEPS, 0.03, step -> loss(h, model, asked(same, step), model.seams().training(1, step)));
    }
}
