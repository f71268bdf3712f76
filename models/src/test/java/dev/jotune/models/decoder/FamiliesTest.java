package dev.jotune.models.decoder;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jotune.models.Architectures;
import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.models.gpt2.Gpt2Config;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Configurations: what changes the mathematics is read or refused by name, in the forms of transformers 4 and 5. */
class FamiliesTest {
    private static final JsonMapper JSON = JsonMapper.builder().build();

    private static ObjectNode base(String type) {
        ObjectNode c = JSON.createObjectNode().put("model_type", type).put("hidden_size", 32).put("intermediate_size", 40)
                .put("num_hidden_layers", 4).put("num_attention_heads", 4).put("num_key_value_heads", 2).put("vocab_size", 50)
                .put("max_position_embeddings", 64);
        return type.equals("qwen2_moe") ? c.put("moe_intermediate_size", 16).put("shared_expert_intermediate_size", 24) : c;
    }

    private static DecoderConfig read(JsonNode c) {
        return Families.read(Config.parse(c.toString(), "config.json"));
    }

    @TestFactory
    Stream<DynamicTest> whateverIsNotKnownIsRefusedByName() {
        List<DynamicTest> tests = new ArrayList<>();
        Map<String, Object> strange = new TreeMap<>(Map.of("logit_scale", 0.5, "attn_logit_softcapping", 30.0, "clip_qkv", 8.0,
                "residual_multiplier", 0.2, "use_bidirectional_attention", true, "some_new_field", "on", "alibi", true));
        for (String family : Families.names()) {
            strange.forEach((field, value) -> {
                if (!(family.equals("gemma2") && field.equals("attn_logit_softcapping"))) {
                    ObjectNode c = base(family);
                    c.set(field, JSON.valueToTree(value));
                    tests.add(DynamicTest.dynamicTest(family + " " + field, () ->
                            assertThatThrownBy(() -> read(c)).isInstanceOf(ModelException.class).hasMessageContaining(field)));
                }
            });
        }
        return tests.stream();
    }

    @TestFactory
    Stream<DynamicTest> unknownSettingsOfRotaryEmbeddingAreRefusedByName() {
        List<DynamicTest> tests = new ArrayList<>();
        for (String family : Families.names()) {
            boolean byKind = family.equals("gemma3_text");
            ObjectNode c = base(family);
            ObjectNode rope = byKind ? c.putObject("rope_parameters").putObject("full_attention") : c.putObject("rope_parameters");
            rope.put("rope_type", "default").put("rope_theta", 100.0).put("some_new_key", 3);
            tests.add(DynamicTest.dynamicTest(family + " setting", () -> assertThatThrownBy(() -> read(c)).isInstanceOf(ModelException.class)
                    .hasMessageContaining("some_new_key").hasMessageContaining("rope_parameters")));
            ObjectNode d = base(family);
            d.putObject("rope_scaling").put("type", "dynamic").put("factor", 2.0);
            tests.add(DynamicTest.dynamicTest(family + " type", () -> assertThatThrownBy(() -> read(d)).isInstanceOf(ModelException.class)
                    .hasMessageContaining("dynamic")));
        }
        return tests.stream();
    }

    @Test
    void valuesThatAreNotSupportedAreRefusedWithTheirField() {
        assertRefused(base("llama").put("hidden_act", "swoosh"), "hidden_act", "swoosh");
        assertRefused(base("llama").put("num_key_value_heads", 3), "num_key_value_heads", "3");
        assertRefused(base("llama").put("head_dim", 7), "head_dim", "7");
        assertRefused(base("llama").put("head_dim", "wide"), "head_dim", "wide");
        assertRefused(base("mixtral").put("router_jitter_noise", 0.1), "router_jitter_noise", "0.1");
        assertRefused(base("mistral").put("sliding_window", -4), "sliding_window", "-4");
        ObjectNode types = base("gemma2");
        types.putArray("layer_types").add("full_attention").add("chunked_attention");
        assertRefused(types, "layer_types", "chunked_attention");
        ObjectNode factors = base("phi3");
        factors.putObject("rope_scaling").put("type", "longrope").putArray("short_factor").add(1.0);
        assertRefused(factors, "short_factor", "4 pairs");
        assertThatThrownBy(() -> Gpt2Config.read(Config.parse("{\"model_type\": \"gpt2\", \"add_cross_attention\": true}", "config.json")))
                .isInstanceOf(ModelException.class).hasMessageContaining("add_cross_attention");
        assertThatThrownBy(() -> Gpt2Config.read(Config.parse("{\"activation_function\": \"swoosh\"}", "config.json")))
                .isInstanceOf(ModelException.class).hasMessageContainingAll("activation_function", "swoosh");
        assertRefused(base("llama").put("model_type", "llama9"), "llama9", "qwen3");
    }

    private static void assertRefused(ObjectNode c, String... parts) {
        assertThatThrownBy(() -> read(c)).isInstanceOf(ModelException.class).hasMessageContainingAll(parts);
    }

    @Test
    void absenceAndNullMeanWhatTransformersMeans() {
        assertThat(read(base("mistral")).windows()).containsOnly(4096);
        assertThat(read(base("mistral").putNull("sliding_window")).windows()).containsOnly(0);
        assertThat(read(base("gemma2")).attentionSoftcap()).isEqualTo(50);
        assertThat(read(base("gemma2").putNull("attn_logit_softcapping")).attentionSoftcap()).isZero();
        assertThat(read(base("gemma2")).windows()).containsExactly(4096, 0, 4096, 0);
        assertThat(read(base("gemma2")).tieWordEmbeddings()).isTrue();
        assertThat(read(base("llama")).tieWordEmbeddings()).isFalse();
        assertThat(read(base("mixtral").putNull("head_dim")).headDim()).isEqualTo(8);
        assertThat(read(base("qwen2").put("use_sliding_window", true).put("sliding_window", 5).put("max_window_layers", 3)).windows())
                .containsExactly(0, 0, 0, 5);
        assertThat(read(base("qwen2").put("sliding_window", 5).put("max_window_layers", 0)).windows()).containsOnly(0);
        assertThat(read(base("qwen2_moe").put("decoder_sparse_step", 2)).experts().get().sparse()).containsExactly(false, true, false, true);
        assertThat(read(base("gemma3_text").put("sliding_window_pattern", 2).put("sliding_window", 3)).windows()).containsExactly(3, 0, 3, 0);
    }

    @Test
    void everyDecoderFamilyIsAnArchitecture() {
        assertThat(Architectures.modelTypes()).containsAll(Families.names()).contains("gpt2");
    }

    /** "Adding a Llama-like family must be a config mapping of a few lines": the table of docs/ARCHITECTURE.md, counted. */
    @Test
    void aFamilyIsAMappingOfAFewLinesAndTheDocumentationCountsThem() throws Exception {
        Path root = Path.of("").toAbsolutePath();
        while (!Files.exists(root.resolve("docs/ARCHITECTURE.md"))) {
            root = root.getParent();
        }
        List<String> source = Files.readAllLines(root.resolve("models/src/main/java/dev/jotune/models/decoder/Families.java"));
        String page = Files.readString(root.resolve("docs/ARCHITECTURE.md"));
        Map<String, String> methods = new TreeMap<>(Map.of("llama", "llama", "mistral", "mistral", "qwen2", "qwen2", "qwen3", "qwen3",
                "gemma2", "gemma2", "gemma3_text", "gemma3", "phi3", "phi3", "olmo2", "olmo2", "mixtral", "mixtral", "qwen2_moe", "qwen2Moe"));
        assertThat(methods.keySet()).isEqualTo(Families.names());
        methods.forEach((family, method) -> {
            int from = 0;
            while (!source.get(from).contains(" DecoderConfig " + method + "(Config c)")) {
                from++;
            }
            int lines = 1;
            while (!source.get(from + lines).equals("    }")) {
                lines++;
            }
            assertThat(lines + 1).as(family).isLessThanOrEqualTo(12);
            assertThat(page).contains("| `" + family + "` | " + (lines + 1) + " |");
        });
    }
}
