package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Architectures;
import dev.jotune.models.CausalLm;
import dev.jotune.models.Config;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Quantization;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.StoredWeight;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.BlockMatrix;
import dev.jotune.tensor.quant.Dequantize;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Every method over a base in every stored form: losses and gradients are those over the widened base. */
class QuantizedBaseTest {
    private static final int C = 256;
    private static final int V = 23;
    private static final int TIME = 3;
    /** The scalar loops of the reference are slow; these forms differ in kind. */
    private static final Set<String> IN_DOUBLE_TOO = Set.of("nf4", "Q6_K");
    private static final String CONFIG = """
            {"model_type": "llama", "hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 1, "num_attention_heads": 2,
             "num_key_value_heads": 1, "head_dim": 128, "vocab_size": 23, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
             "tie_word_embeddings": %b}""";
    /** Where the half-precision scales of a random block lie that make its numbers as large as weights are. */
    private static final Map<BlockFormat, Map<Integer, Double>> SCALES = Map.of(
            BlockFormat.Q4_K, Map.of(0, 1e-4, 2, 7e-4), BlockFormat.Q6_K, Map.of(208, 5e-5), BlockFormat.Q5_K, Map.of(0, 5e-5, 2, 7e-4));

    private static final Map<String, double[]> NOISE = new ConcurrentHashMap<>();

    /** How the matrices of a base are stored. */
    private interface Form {
        /** As stored. */
        StoredWeight of(Backend backend, String name, long rows);
    }

    private static Map<String, Form> forms() {
        Map<String, Form> forms = new LinkedHashMap<>();
        for (String format : List.of("nf4", "q8_0", "q4_0", "q4_1", "q5_1")) {
            forms.put(format, (b, name, rows) ->
                    new StoredWeight.Quantized(Quantization.quantize(noise(b, DType.F32, name, rows, C), format), false, b));
        }
        SCALES.forEach((format, scales) -> forms.put(format.name(), (b, name, rows) ->
                new StoredWeight.Quantized(random(b, format, scales, name, rows), false, b)));
        for (DType type : List.of(DType.BF16, DType.F16)) {
            forms.put(type.name(), (b, name, rows) ->
                    new StoredWeight.Dense(Var.constant(noise(b, DType.F32, name, rows, C).to(type))));
        }
        return forms;
    }

    private static Tensor noise(Backend backend, DType type, String name, long... shape) {
        double[] values = NOISE.computeIfAbsent(name, n -> {
            double[] made = new double[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
            boolean norm = shape.length == 1;
            Arrays.setAll(made, i -> (float) ((norm ? 1 : 0) + (norm ? 0.2 : 0.07) * Philox.normal(5, name.hashCode(), i)));
            return made;
        });
        return Scope.detach(Tensor.of(backend, type, values, shape));
    }

    /** Random codes under scales of a sensible size. */
    private static BlockMatrix random(Backend backend, BlockFormat format, Map<Integer, Double> scales, String name, long rows) {
        long[] bytes = new long[(int) (rows * format.rowBytes(C))];
        Arrays.setAll(bytes, i -> (long) (256 * Philox.uniformDouble(6, name.hashCode(), i)));
        for (int block = 0; block < bytes.length; block += format.bytes()) {
            int start = block;
            scales.forEach((at, scale) -> {
                int half = Float.floatToFloat16(scale.floatValue());
                bytes[start + at] = half & 0xff;
                bytes[start + at + 1] = half >> 8 & 0xff;
            });
        }
        Tensor stored = Scope.detach(Tensor.empty(backend, DType.U8, bytes.length));
        return BlockMatrix.of(format, rows, C, stored.copyFrom(Tensor.of(backend, bytes, bytes.length)));
    }

    /**
     * A base in a form.
     *
     * @param widened whether its numbers are given dense
     */
    private record Base(Form form, Backend backend, DType type, boolean widened) implements Weights.Source {
        @Override
        public boolean contains(String name) {
            return true;
        }

        private StoredWeight stored(String name) {
            if (name.contains("norm")) {
                return new StoredWeight.Dense(Var.constant(noise(backend, type, name, C)));
            }
            boolean vocabulary = name.startsWith("lm_head") || name.contains("embed");
            return form.of(backend, name, vocabulary ? V : name.contains("k_proj") || name.contains("v_proj") ? C / 2 : C);
        }

        @Override
        public Tensor get(String name) {
            StoredWeight w = stored(name);
            if (w instanceof StoredWeight.Dense(Var value)) {
                return widened ? value.tensor().to(type) : value.tensor();
            }
            return Dequantize.all(((StoredWeight.Quantized) w).matrix(), backend, type);
        }

        @Override
        public Optional<StoredWeight.Quantized> quantized(String name) {
            return !widened && stored(name) instanceof StoredWeight.Quantized q ? Optional.of(q) : Optional.empty();
        }

        @Override
        public String origin() {
            return "noise";
        }

        CausalLm model(boolean tied) {
            return Architectures.build(Config.parse(CONFIG.formatted(tied), "a tiny model"), this, backend, type).as(CausalLm.class);
        }
    }

    private static Adapter adapter(CausalLm model, TuningMethod method) {
        return Harness.move(Adapters.create(model, "a", method, 7, Harness.LETTERS), 8);
    }

    private static DecoderInput input(Backend b) {
        long[] ids = new long[2 * TIME];
        Arrays.setAll(ids, i -> Philox.nextInt(11, 0, i, V));
        return DecoderInput.of(Tensor.of(b, ids, 2, TIME));
    }

    private static Var loss(CausalLm model) {
        DecoderInput in = input(model.backend());
        // Virtual tokens that depend on the text need an instruction of more than a token.
        long[] given = new long[Math.toIntExact(in.batch() * in.time())];
        Arrays.setAll(given, i -> i % in.time() < 2 ? 1 : 0);
        return model.loss(in.withInstruction(Tensor.of(model.backend(), given, in.batch(), in.time())), in.ids().get(),
                model.seams().training(3, 0));
    }

    @TestFactory
    Stream<DynamicTest> gradientsAreThoseOverTheWidenedBase() {
        return forms().entrySet().stream().flatMap(form -> ContractCases.ofDecoders().stream().map(info ->
                DynamicTest.dynamicTest(info.name() + " over " + form.getKey(), () -> {
                    TuningMethod method = ContractCases.of(info).getFirst().of(info);
                    if (IN_DOUBLE_TOO.contains(form.getKey())) {
                        compare(form.getValue(), method, Backends.reference(), DType.F64, false, 1e-11, 1e-11);
                    }
                    compare(form.getValue(), method, Backends.cpu(), DType.F32, true, 2e-5, 1e-4);
                })));
    }

    /**
     * The loss and the gradients, each relative to its largest number.
     *
     * @param slack of gradients, more than the loss's in F32: one of few numbers sums over all tokens and features, and its terms cancel;
     *     VeRA's gradient of d is 4e-5 from that in F64 over a base of either kind
     */
    private static void compare(Form form, TuningMethod method, Backend backend, DType type, boolean tied, double epsilon, double slack) {
        try (Scope scope = Scope.open()) {
            CausalLm stored = new Base(form, backend, type, false).model(tied);
            CausalLm wide = new Base(form, backend, type, true).model(tied);
            Adapter a = adapter(stored, method);
            Adapter b = adapter(wide, method);
            Var lossA = loss(stored);
            Var lossB = loss(wide);
            assertThat(lossA.item()).isCloseTo(lossB.item(), within(epsilon * lossB.item()));
            List<Tensor> ga = Harness.gradients(lossA, a);
            List<Tensor> gb = Harness.gradients(lossB, b);
            assertThat(ga).isNotEmpty();
            for (int i = 0; i < ga.size(); i++) {
                double[] want = gb.get(i).toDoubleArray();
                double largest = Arrays.stream(want).map(Math::abs).max().orElseThrow();
                assertThat(largest).isPositive();
                assertThat(ga.get(i).toDoubleArray()).as("gradient %d", i).containsExactly(want, within(slack * largest));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"lora, q8_0", "lora, nf4", "dora, q8_0", "dora, nf4"})
    void mergingWritesDenseWeightsAndUnmergingPutsTheQuantisedBack(String method, String form) {
        try (Scope scope = Scope.open()) {
            CausalLm model = new Base(forms().get(form), Backends.cpu(), DType.F32, false).model(false);
            Adapter a = adapter(model, Methods.configure(Methods.named(method), Map.of("r", 2)));
            Parameter q = model.seams().parameters().get("model.layers.0.self_attn.q_proj.weight");
            StoredWeight before = q.stored();
            double[] attached = logits(model);
            a.merge();
            assertThat(q.stored()).isInstanceOf(StoredWeight.Dense.class);
            assertThat(logits(model)).containsExactly(attached, within(1e-5));
            a.unmerge();
            assertThat(q.stored()).isSameAs(before);
            assertThat(logits(model)).isEqualTo(attached);
        }
    }

    private static double[] logits(CausalLm model) {
        return Recording.off(() -> Harness.logits(model, input(model.backend())));
    }

    @Test
    void quantisingALoadedModelChangesItsBlocksAlone() {
        try (Scope scope = Scope.open()) {
            Form f32 = (b, name, rows) -> new StoredWeight.Dense(Var.constant(noise(b, DType.F32, name, rows, C)));
            CausalLm model = new Base(f32, Backends.cpu(), DType.F32, false).model(false);
            double[] before = logits(model);
            for (String format : Quantization.formats()) {
                CausalLm quantised = new Base(f32, Backends.cpu(), DType.F32, false).model(false);
                Quantization.apply(quantised, format);
                quantised.seams().parameters().forEach((path, p) -> assertThat(p.stored() instanceof StoredWeight.Quantized).as(path)
                        .isEqualTo(path.contains(".layers.") && path.endsWith("proj.weight")));
                double distance = 0;
                double size = 0;
                double[] after = logits(quantised);
                for (int i = 0; i < after.length; i++) {
                    distance += Math.pow(after[i] - before[i], 2);
                    size += before[i] * before[i];
                }
                assertThat(Math.sqrt(distance / size)).as(format).isPositive().isLessThan(switch (format) {
                    case "q8_0" -> 0.02;
                    case "tq1_0", "tq2_0" -> 2;
                    default -> 0.3;
                });
            }
        }
    }
}
