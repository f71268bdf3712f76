package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Schedule;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.weights.BitDelta;
import dev.jotune.peft.weights.BitDeltaFile;
import dev.jotune.peft.weights.Distillation;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.SafeTensorsFile;
import dev.jotune.tensor.io.SafeTensorsWriter;
import dev.jotune.tensor.random.Philox;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** BitDelta on a tiny model: what its catalogue entry says it does. */
class BitDeltaTest {
    private static final int ROWS = 16;
    private static final int TIME = 6;
    private static final Targets ALL = Targets.matching(Targets.ALL_LINEAR);

    @TempDir
    private Path dir;

    private static CausalLm base(TinyModels.Kind kind) {
        return kind.make(Backends.cpu(), DType.F32);
    }

    /** Texts in which every token is the one before plus {@code step}: a tenant's domain. */
    private static Tensor texts(CausalLm model, int step, long seed) {
        long[] ids = new long[ROWS * TIME];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = i % TIME == 0 ? Philox.nextInt(seed, 0, i, model.vocabularySize()) : (ids[i - 1] + step) % model.vocabularySize();
        }
        return Tensor.of(model.backend(), ids, ROWS, TIME);
    }

    /** A fine-tuning of all the weights that {@code thawed} names, for the domain of {@code step}. */
    private static CausalLm tuned(TinyModels.Kind kind, int step, String thawed) {
        CausalLm model = base(kind);
        SequencedMap<String, Var> weights = new LinkedHashMap<>();
        model.seams().parameters().forEach((path, p) -> {
            if (path.matches(thawed)) {
                Var own = Var.parameter(Scope.detach(Tensor.empty(p.backend(), DType.F32, p.shape()).copyFrom(p.base().tensor())));
                p.replace(own);
                weights.put(path, own);
            }
        });
        Optimizer optimizer = new AdamW(0).with(Schedule.constant(0.01));
        for (int s = 0; s < 150; s++) {
            Tensor ids = texts(model, step, s);
            Var loss = model.loss(DecoderInput.of(ids), ids, model.seams().training(0, s));
            optimizer.step(weights, Gradients.of(loss, List.copyOf(weights.values())));
        }
        weights.forEach((path, v) -> model.seams().parameters().get(path).replace(Var.constant(v.tensor())));
        return model;
    }

    private static final String PROJECTIONS = ".*_proj\\.weight";

    private static double[] logits(CausalLm model, Tensor ids, Pass pass) {
        return Recording.off(() -> model.logits(model.forward(DecoderInput.of(ids), pass, Optional.empty()).text(), pass)).tensor().toDoubleArray();
    }

    @Test
    void theScaleIsTheNearestAndAnotherRoundComesNearer() {
        CausalLm base = base(TinyModels.BIASED);
        CausalLm tuned = tuned(TinyModels.BIASED, 2, PROJECTIONS);
        BitDelta one = BitDelta.between(base, tuned, ALL, 1);
        BitDelta three = BitDelta.between(base, tuned, ALL, 3);
        assertThat(one.deltas()).hasSize(14);
        assertThat(one.kept()).isEmpty();
        one.deltas().forEach((path, s) -> {
            LinearLayer layer = base.seams().projections().get(path);
            Parameter theirs = tuned.seams().parameters().get(path + ".weight");
            double[] d = theirs.base().sub(layer.weight().base()).tensor().toDoubleArray();
            Var zero = Var.constant(Tensor.zeros(base.backend(), DType.F32, layer.out(), layer.in()));
            double[] delta = s.weight(zero).tensor().toDoubleArray();
            double error = distance(d, delta, 1);
            assertThat(error).as(path).isLessThan(distance(d, delta, 0.9)).isLessThan(distance(d, delta, 1.1));
            double[] finer = three.deltas().get(path).weight(zero).tensor().toDoubleArray();
            assertThat(distance(d, finer, 1)).as(path).isLessThan(0.7 * error);
        });
    }

    private static double distance(double[] d, double[] delta, double factor) {
        double sum = 0;
        for (int i = 0; i < d.length; i++) {
            sum += (d[i] - factor * delta[i]) * (d[i] - factor * delta[i]);
        }
        return Math.sqrt(sum);
    }

    @Test
    void theForwardOverBitsIsTheProductWithTheDenseWeight() {
        for (boolean wide : new boolean[] {true, false}) {
            var backend = wide ? Backends.reference() : Backends.cpu();
            DType type = wide ? DType.F64 : DType.F32;
            CausalLm base = TinyModels.BIASED.make(backend, type);
            CausalLm other = TinyModels.BIASED.make(backend, type);
            other.seams().parameters().values().forEach(p -> p.replace(Var.constant(p.base().mul(-0.7).tensor())));
            BitDelta delta = BitDelta.between(base, other, ALL, 2);
            Pass pass = base.seams().inference();
            delta.deltas().forEach((path, s) -> {
                LinearLayer layer = base.seams().projections().get(path);
                for (int rows : new int[] {1, 3, 5, 40}) {
                    Tensor x = Tensor.empty(backend, type, 1, rows, layer.in());
                    backend.normal(x, rows, 4);
                    double[] got = s.forward(Var.constant(x), v -> layer.base(v, pass.groups().getFirst()), layer, pass).tensor().toDoubleArray();
                    Var w = s.weight(layer.weight().base());
                    Var want = layer.bias().map(b -> Linear.apply(Var.constant(x), w, b.base())).orElseGet(() -> Linear.apply(Var.constant(x), w));
                    assertThat(got).usingComparatorWithPrecision(wide ? 1e-10 : 1e-5).containsExactly(want.tensor().toDoubleArray());
                }
            });
        }
    }

    @Test
    void derivativesByScalesAndInputsAreDifferenceQuotients() {
        CausalLm base = TinyModels.GROUPED.make(Backends.reference(), DType.F64);
        CausalLm other = TinyModels.GROUPED.make(Backends.reference(), DType.F64);
        other.seams().parameters().values().forEach(p -> p.replace(Var.constant(p.base().mul(1.1).tensor())));
        BitDelta delta = BitDelta.between(base, other, Targets.of("q_proj", "down_proj"), 2);
        delta.attach(base, "delta");
        Tensor ids = texts(base, 3, 1);
        Pass pass = base.seams().inference();
        List<Var> scales = List.copyOf(delta.scales().values());
        List<Tensor> gradients = Gradients.of(base.loss(DecoderInput.of(ids), ids, pass), scales);
        for (int i = 0; i < scales.size(); i++) {
            Tensor t = scales.get(i).tensor();
            double[] at = t.toDoubleArray();
            for (int r = 0; r < at.length; r++) {
                double[] loss = new double[2];
                for (int side = 0; side < 2; side++) {
                    double[] there = at.clone();
                    there[r] += side == 0 ? 1e-5 : -1e-5;
                    t.copyFrom(Tensor.of(t.backend(), DType.F64, there, at.length));
                    loss[side] = Recording.off(() -> base.loss(DecoderInput.of(ids), ids, pass)).item();
                }
                t.copyFrom(Tensor.of(t.backend(), DType.F64, at, at.length));
                assertThat(gradients.get(i).toDoubleArray()[r]).isCloseTo((loss[0] - loss[1]) / 2e-5, within(1e-6));
            }
        }
    }

    @Test
    void aFileHasABitANumberAndFourBytesAMatrixAndComesBackBitByBit() throws IOException {
        CausalLm base = base(TinyModels.GROUPED);
        CausalLm tuned = tuned(TinyModels.GROUPED, 1, ".*(q_proj|v_proj|norm)\\.weight");
        BitDelta delta = BitDelta.between(base, tuned, Targets.of("q_proj", "v_proj"), 1);
        Path file = dir.resolve("tenant.safetensors");
        BitDeltaFile.write(delta, file);
        long numbers = LongStream.of(16 * 16, 8 * 16, 16 * 16, 8 * 16).sum();
        long norms = 5 * 16 * Float.BYTES;
        assertThat(delta.byteSize()).isEqualTo(numbers / 8 + 4 * 4 + norms);
        SafeTensorsFile stored = SafeTensorsFile.open(file);
        assertThat(stored.rawTensors().values().stream().mapToLong(t -> t.data().byteSize()).sum()).isEqualTo(delta.byteSize());
        assertThat(stored.entry("model.layers.0.self_attn.q_proj.signs").shape()).containsExactly(1, 16, 2);
        delta.attach(base, "made");
        Tensor ids = texts(base, 1, 5);
        double[] made = logits(base, ids, base.seams().rows(Collections.nCopies(ROWS, "made")));
        CausalLm fresh = base(TinyModels.GROUPED);
        BitDeltaFile.read(file, fresh).attach(fresh, "read");
        assertThat(logits(fresh, ids, fresh.seams().inference())).containsExactly(made);
        BitDeltaFile.write(BitDeltaFile.read(file, fresh), dir.resolve("again"));
        assertThat(dir.resolve("again")).hasSameBinaryContentAs(file);
    }

    @Test
    void threeTenantsALoraAndTheBaseShareOneBatchAndOneBase() {
        CausalLm base = base(TinyModels.GROUPED);
        Map<String, Integer> bytes = Harness.bytes(base);
        Tensor ids = texts(base, 1, 3).slice(0, 0, 6).contiguous();
        double[] bare = logits(base, ids, base.seams().inference());
        long dense = base.seams().parameters().values().stream().mapToLong(Parameter::numel).sum() * Float.BYTES;
        for (int tenant = 1; tenant <= 3; tenant++) {
            BitDelta delta = BitDelta.between(base, tuned(TinyModels.GROUPED, tenant, PROJECTIONS), ALL, 1);
            delta.attach(base, "tenant" + tenant);
            assertThat(delta.byteSize()).as("a tenant's bytes beside a model's %d", dense).isLessThan(dense / 20);
        }
        Adapter lora = Adapters.create(base, "lora", Lora.DEFAULTS.withRank(2, 4), 1);
        Harness.move(lora, 3);
        List<String> names = List.of("tenant1", "", "tenant3", "lora", "tenant2", "tenant1");
        double[] together = logits(base, ids, base.seams().rows(names));
        int each = together.length / names.size();
        for (int i = 0; i < names.size(); i++) {
            double[] alone = logits(base, ids.slice(0, i, i + 1).contiguous(), base.seams().rows(List.of(names.get(i))));
            assertThat(Arrays.copyOfRange(together, i * each, (i + 1) * each)).as(names.get(i)).usingComparatorWithPrecision(1e-5)
                    .containsExactly(alone);
        }
        assertThat(base.seams().attached()).hasSize(4);
        base.seams().attached().forEach(base.seams()::detach);
        assertThat(logits(base, ids, base.seams().inference())).containsExactly(bare);
        assertThat(Harness.bytes(base)).isEqualTo(bytes);
    }

    @Test
    void keepsWhatTheFineTuningGainedAndDistillationComesNearer() {
        CausalLm base = TaskTokens.base();
        CausalLm tuned = TaskTokens.base();
        TaskTokens.tune(tuned, ".*", 300, 0.001, s -> TaskTokens.texts(tuned, 32, 3, s, false));
        double before = TaskTokens.accuracy(base, 3, base.seams().inference());
        double gained = TaskTokens.accuracy(tuned, 3, tuned.seams().inference()) - before;
        assertThat(gained).isGreaterThan(0.8);
        BitDelta delta = BitDelta.between(base, tuned, ALL, 1);
        delta.attach(base, "delta");
        Pass pass = base.seams().inference();
        assertThat(TaskTokens.accuracy(base, 3, pass) - before).as("gain, before distillation").isGreaterThanOrEqualTo(0.95 * gained);
        Tensor held = TaskTokens.texts(base, 100, 3, 999, false);
        double far = Distillation.error(base, pass, tuned, held);
        // Generic texts: steps named and not.
        List<Tensor> generic = LongStream.range(0, 150).mapToObj(s -> TaskTokens.texts(base, 16, 3, 5000 + s, s % 2 == 0)).toList();
        List<Double> losses = Distillation.run(delta, base, "delta", tuned, generic, 1e-3);
        assertThat(losses).hasSize(150).allMatch(Double::isFinite);
        assertThat(Distillation.error(base, pass, tuned, held)).as("squared error of logits, at first %s", far).isLessThan(0.8 * far);
        assertThat(TaskTokens.accuracy(base, 3, pass) - before).isGreaterThanOrEqualTo(0.95 * gained);
    }

    /** What is read or attached within a scope belongs to whoever holds it. */
    @Test
    void deltasOutliveTheScopeTheyAreReadIn() {
        CausalLm base = base(TinyModels.GROUPED);
        CausalLm tuned = base(TinyModels.GROUPED);
        Parameter norm = tuned.seams().parameters().get("model.norm.weight");
        norm.replace(Var.constant(Tensor.full(tuned.backend(), DType.F32, 0.5, norm.shape())));
        Path file = dir.resolve("delta.safetensors");
        BitDeltaFile.write(BitDelta.between(base, tuned, ALL, 2), file);
        Tensor ids = texts(base, 1, 1);
        BitDelta delta;
        try (Scope scope = Scope.open()) {
            delta = BitDeltaFile.read(file, base);
            delta.deltas().values().forEach(s -> s.signs().forEach(m -> assertThat(scope.owns(m.bits())).isFalse()));
            delta.kept().values().forEach(t -> assertThat(scope.owns(t)).isFalse());
            delta.attach(base, "delta");
        }
        assertThat(logits(base, ids, base.seams().inference())).usingComparatorWithPrecision(1e-4)
                .containsExactly(logits(tuned, ids, tuned.seams().inference()));
    }

    @Test
    void whatIsOfAnotherModelOrDamagedIsRefused() throws IOException {
        CausalLm base = base(TinyModels.GROUPED);
        CausalLm other = base(TinyModels.TIED);
        assertThatThrownBy(() -> BitDelta.between(base, other, ALL, 1)).hasMessageContaining("the tuned model has no weight");
        assertThatThrownBy(() -> BitDelta.between(base, base, ALL, 0)).hasMessageContaining("rounds is 0");
        assertThatThrownBy(() -> BitDelta.between(base, base, Targets.of("c_attn"), 1)).hasMessageContaining("match no linear layer");
        BitDelta delta = BitDelta.between(base, base, ALL, 1);
        assertThatThrownBy(() -> delta.attach(other, "x")).hasMessageContaining("another base model");
        assertThat(other.seams().attached()).isEmpty();
        Path file = dir.resolve("delta.safetensors");
        BitDeltaFile.write(delta, file);
        assertThatThrownBy(() -> BitDeltaFile.read(file, other)).isInstanceOf(AdapterException.class).hasMessageContaining("another base model");
        String layer = delta.deltas().firstEntry().getKey();
        Tensor bits = delta.deltas().firstEntry().getValue().signs().getFirst().bits();
        Path none = dir.resolve("none.safetensors");
        SafeTensorsWriter.writeTensors(none, Map.of(layer + ".signs", Tensor.empty(base.backend(), DType.U8, 0, bits.size(0), bits.size(1)),
                layer + ".scale", Tensor.empty(base.backend(), DType.F32, 0)), Map.of("format", "bitdelta"));
        assertThatThrownBy(() -> BitDeltaFile.read(none, base)).isInstanceOf(AdapterException.class)
                .hasMessageContaining("signs of no round for " + layer);
        byte[] whole = Files.readAllBytes(file);
        Path cut = Files.write(dir.resolve("cut.safetensors"), Arrays.copyOf(whole, whole.length / 2));
        assertThatThrownBy(() -> BitDeltaFile.read(cut, base)).isInstanceOf(AdapterException.class).hasMessageContaining("cut.safetensors");
        Adapter lora = Adapters.create(base, "lora", Lora.DEFAULTS.withRank(2, 4), 1);
        lora.save(dir.resolve("lora"));
        assertThatThrownBy(() -> BitDeltaFile.read(dir.resolve("lora/adapter_model.safetensors"), base)).hasMessageContaining("no 1-bit delta");
    }
}
