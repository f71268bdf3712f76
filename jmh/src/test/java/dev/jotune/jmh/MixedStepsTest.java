package dev.jotune.jmh;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Recording;
import dev.jotune.models.Config;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.TokenSteps;
import dev.jotune.models.Weights;
import dev.jotune.models.decoder.Decoder;
import dev.jotune.models.decoder.DecoderConfig;
import dev.jotune.models.decoder.Families;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.StoredWeight;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.BlockMatrix;
import dev.jotune.tensor.quant.Nf4Matrix;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Steps over a model whose weights are stored in many forms, as GGUF files mix them: products that read the same row want it in
 * different forms. Here, since the extensions' products are on this module's class path.
 */
class MixedStepsTest {
    private static final int C = 256;
    private static final int F = 512;
    private static final int V = 300;
    private static final String CONFIG = """
            {"model_type": "llama", "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "vocab_size": 300, "max_position_embeddings": 64, "tie_word_embeddings": true}""";
    private static final Map<String, long[]> SHAPES = Map.of("q_proj", new long[] {C, C}, "k_proj", new long[] {C / 2, C}, "v_proj",
            new long[] {C / 2, C}, "o_proj", new long[] {C, C}, "gate_proj", new long[] {F, C}, "up_proj", new long[] {F, C}, "down_proj",
            new long[] {C, F}, "embed_tokens", new long[] {V, C});

    /** Forms of queries, keys, values, output, gate, up, down and the vocabulary. */
    private record Mixed(Map<String, String> forms) implements Weights.Source {
        static Mixed of(String list) {
            String[] f = list.split(" ");
            return new Mixed(Map.of("q_proj", f[0], "k_proj", f[1], "v_proj", f[2], "o_proj", f[3], "gate_proj", f[4], "up_proj", f[5],
                    "down_proj", f[6], "embed_tokens", f[7]));
        }

        private static String kind(String name) {
            return SHAPES.keySet().stream().filter(name::contains).findFirst().orElse("");
        }

        @Override
        public boolean contains(String name) {
            return !name.equals("lm_head.weight");
        }

        private static Tensor wide(String name) {
            long[] shape = SHAPES.getOrDefault(kind(name), new long[] {C});
            double[] values = new double[Math.toIntExact(shape.length == 1 ? shape[0] : shape[0] * shape[1])];
            double centre = shape.length == 1 ? 1 : 0;
            Arrays.setAll(values, i -> centre + Philox.normal(1, name.hashCode(), i) / Math.sqrt(C));
            return Tensor.of(Backends.cpu(), DType.F32, values, shape);
        }

        @Override
        public Tensor get(String name) {
            String form = forms.getOrDefault(kind(name), "F32");
            return form.equals("BF16") ? wide(name).to(DType.BF16) : wide(name);
        }

        @Override
        public Optional<StoredWeight.Quantized> quantized(String name) {
            String form = forms.getOrDefault(kind(name), "F32");
            return switch (form) {
                case "F32", "BF16" -> Optional.empty();
                case "NF4" -> Optional.of(new StoredWeight.Quantized(Nf4Matrix.quantize(wide(name)), false, Backends.cpu()));
                default -> Optional.of(new StoredWeight.Quantized(BlockMatrix.quantize(BlockFormat.valueOf(form), wide(name)), false,
                        Backends.cpu()));
            };
        }

        @Override
        public String origin() {
            return "random weights";
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"Q8_0 BF16 F32 Q4_0 NF4 Q8_0 Q4_0 Q8_0", "F32 Q4_0 BF16 NF4 Q4_0 BF16 Q8_0 BF16", "BF16 F32 Q8_0 Q8_0 F32 Q4_0 NF4 F32",
        "Q8_0 Q8_0 Q8_0 Q8_0 Q8_0 Q8_0 Q8_0 Q4_0"})
    void stepsAreTheForwardPass(String forms) {
        DecoderConfig config = Families.read(Config.parse(CONFIG, "random weights"));
        Decoder model = new Decoder(config, Mixed.of(forms), Backends.cpu(), DType.F32);
        Pass pass = model.seams().inference();
        long[] tokens = new long[12];
        Arrays.setAll(tokens, i -> (7 + 31 * i) % V);
        DecoderCache cache = model.newCache(1, 4);
        try (Scope scope = Scope.open()) {
            Recording.off(() -> model.forward(DecoderInput.of(Tensor.of(Backends.cpu(), Arrays.copyOf(tokens, 3), 1, 3)), pass,
                    Optional.of(cache)));
        }
        float[] logits = new float[V];
        try (TokenSteps steps = model.steps(pass, cache).orElseThrow(); Scope scope = Scope.open()) {
            for (int i = 3; i < tokens.length; i++) {
                assertThat(steps.read(new int[] {(int) tokens[i]}, new float[][] {logits})).isTrue();
                int length = i + 1;
                Tensor ids = Tensor.of(Backends.cpu(), Arrays.copyOf(tokens, length), 1, length);
                float[] want = Recording.off(() -> model.logits(model.forward(DecoderInput.of(ids), pass, Optional.empty()).text()
                        .slice(1, length - 1, length), pass)).tensor().toFloatArray();
                for (int v = 0; v < V; v++) {
                    assertThat((double) logits[v]).as("logit %d after token %d", v, i).isCloseTo(want[v], within(5e-5));
                }
            }
        }
        cache.free();
    }
}
