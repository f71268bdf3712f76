package dev.jotune.models.gguf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Recording;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.ModelException;
import dev.jotune.models.Models;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.Checkpoint;
import dev.jotune.tensor.io.RawTensor;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.BlockMatrix;
import dev.jotune.testing.GgufBuilder;
import dev.jotune.testing.Golden;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Checkpoints of the golden suite, converted to GGUF as ggml's converter does it, are the same models. */
@Tag("golden")
class GgufModelTest {
    private static final int F32 = 0;
    private static final int Q8_0 = 8;

    @TempDir
    Path folder;

    private static Golden.Case golden(String id) {
        return Golden.cases("models", id).findFirst().orElseThrow();
    }

    private static byte[] bytes(Tensor t) {
        return RawTensor.of(t.contiguous()).data().toArray(ValueLayout.JAVA_BYTE);
    }

    /** Rows (h, half, pair) become rows (h, pair, half): the converter's own permutation. */
    private static Tensor rotated(Tensor t, long heads) {
        long[] shape = t.shape();
        return t.reshape(heads, 2, shape[0] / heads / 2, t.numel() / shape[0]).permute(0, 2, 1, 3).copy().reshape(shape);
    }

    private static long number(JsonNode config, String field) {
        return config.get(field).asLong();
    }

    /** Writes every weight of a checkpoint under the file's names. */
    private static void convert(Path from, GgufFamily family, GgufBuilder out, long heads, long groups) throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(from); Scope scope = Scope.open()) {
            for (String name : checkpoint.names()) {
                GgufFamily.Place place = family.place(name);
                if (place.name().isEmpty()) {
                    continue;
                }
                Tensor t = checkpoint.tensor(name, Backends.reference()).to(DType.F32);
                if (family.rotated().contains(place.module())) {
                    t = rotated(t, place.name().contains("attn_k") ? groups : heads);
                }
                if (family.conv1d().contains(place.module()) && t.rank() == 2) {
                    t = t.transpose(0, 1);
                }
                out.tensor(place.name(), F32, bytes(t), t.shape());
            }
        }
    }

    private GgufBuilder llama(JsonNode c) {
        return new GgufBuilder().key("general.architecture", "llama").key("llama.block_count", number(c, "num_hidden_layers"))
                .key("llama.context_length", number(c, "max_position_embeddings")).key("llama.embedding_length", number(c, "hidden_size"))
                .key("llama.feed_forward_length", number(c, "intermediate_size"))
                .key("llama.attention.head_count", number(c, "num_attention_heads"))
                .key("llama.attention.head_count_kv", number(c, "num_key_value_heads"))
                .key("llama.attention.key_length", number(c, "head_dim")).key("llama.rope.dimension_count", number(c, "head_dim"))
                .key("llama.rope.freq_base", (float) (c.has("rope_theta") ? c : c.get("rope_parameters")).get("rope_theta").asDouble())
                .key("llama.attention.layer_norm_rms_epsilon", (float) c.get("rms_norm_eps").asDouble());
    }

    private static double[] logits(Path model) {
        CausalLm m = Models.load(model, Backends.reference(), DType.F64).model();
        try (Scope scope = Scope.open()) {
            DecoderInput in = DecoderInput.of(Tensor.of(Backends.reference(), new long[] {3, 1, 7, 12, 9, 4}, 2, 3));
            return Recording.off(() -> m.logits(m.forward(in, m.seams().inference(), Optional.empty()).text(), m.seams().inference()))
                    .tensor().toDoubleArray();
        }
    }

    @Test
    void anUnquantisedLlamaIsTheSafetensorsModel() throws IOException {
        for (String id : List.of("llama_tied", "llama_untied")) {
            Golden.Case c = golden(id);
            JsonNode config = Golden.json(c.file("config.json"));
            Path file = folder.resolve(id + ".gguf");
            GgufBuilder out = llama(config);
            convert(c.folder(), GgufFamily.LLAMA, out, number(config, "num_attention_heads"), number(config, "num_key_value_heads"));
            out.write(file);
            assertThat(logits(file)).as(id).containsExactly(logits(c.folder()), within(1e-6));
        }
    }

    @Test
    void aGpt2IsTheSafetensorsModel() throws IOException {
        Golden.Case c = golden("gpt2");
        JsonNode config = Golden.json(c.file("config.json"));
        Path file = folder.resolve("gpt2.gguf");
        GgufBuilder out = new GgufBuilder().key("general.architecture", "gpt2").key("gpt2.block_count", number(config, "n_layer"))
                .key("gpt2.context_length", number(config, "n_positions")).key("gpt2.embedding_length", number(config, "n_embd"))
                .key("gpt2.attention.head_count", number(config, "n_head"))
                .key("gpt2.attention.layer_norm_epsilon", (float) config.get("layer_norm_epsilon").asDouble());
        if (config.hasNonNull("n_inner")) {
            out.key("gpt2.feed_forward_length", number(config, "n_inner"));
        }
        convert(c.folder(), GgufFamily.GPT2, out, 1, 1);
        out.write(file);
        assertThat(logits(file)).containsExactly(logits(c.folder()), within(1e-6));
    }

    @Test
    void factorsOfTheRotaryWavesAreLlama3sScaling() throws IOException {
        Golden.Case c = golden("llama_rope_llama3");
        JsonNode config = Golden.json(c.file("config.json"));
        JsonNode rope = config.has("rope_parameters") ? config.get("rope_parameters") : config.get("rope_scaling");
        double theta = (rope.has("rope_theta") ? rope : config).get("rope_theta").asDouble();
        int pairs = config.get("head_dim").asInt() / 2;
        float[] factors = new float[pairs];
        for (int i = 0; i < pairs; i++) {
            double wave = 2 * Math.PI * Math.pow(theta, (double) i / pairs);
            double original = rope.get("original_max_position_embeddings").asDouble();
            double low = rope.get("low_freq_factor").asDouble();
            double high = rope.get("high_freq_factor").asDouble();
            double factor = rope.get("factor").asDouble();
            double smooth = (original / wave - low) / (high - low);
            factors[i] = (float) (wave < original / high ? 1 : wave > original / low ? factor : 1 / ((1 - smooth) / factor + smooth));
        }
        Path file = folder.resolve("llama3.gguf");
        GgufBuilder out = llama(config);
        convert(c.folder(), GgufFamily.LLAMA, out, number(config, "num_attention_heads"), number(config, "num_key_value_heads"));
        out.tensor(GgufConfig.ROPE_FACTORS, F32, bytes(Tensor.of(Backends.reference(), factors, pairs)), pairs).write(file);
        assertThat(logits(file)).containsExactly(logits(c.folder()), within(1e-5));
    }

    private GgufBuilder tiny() {
        return new GgufBuilder().key("general.architecture", "llama").key("llama.block_count", 0L).key("llama.context_length", 8L)
                .key("llama.embedding_length", 32L).key("llama.feed_forward_length", 32L).key("llama.attention.head_count", 1L);
    }

    private Path withTable(GgufBuilder out) throws IOException {
        Tensor table = Tensor.full(Backends.reference(), DType.F32, 0.5, 4, 32);
        Path file = folder.resolve("tiny.gguf");
        out.tensor("token_embd.weight", Q8_0, bytes(BlockMatrix.quantize(BlockFormat.Q8_0, table).stored()), 4, 32).write(file);
        return file;
    }

    @Test
    void whatWouldChangeTheMathematicsIsRefusedByName() throws IOException {
        Map<String, GgufBuilder> bad = Map.of(
                "general.architecture 'gemma3'", new GgufBuilder().key("general.architecture", "gemma3"),
                "general.architecture", new GgufBuilder().key("general.name", "x"),
                "llama.attention.sliding_window = 16", tiny().key("llama.attention.sliding_window", 16L),
                "llama.expert_count is 8", tiny().key("llama.expert_count", 8L),
                "llama.rope.scaling.type is 'su'", tiny().key("llama.rope.scaling.type", "su"),
                "llama.rope.dimension_count is 16", tiny().key("llama.rope.dimension_count", 16L),
                "llama.embedding_length", new GgufBuilder().key("general.architecture", "llama").key("llama.embedding_length", "32"),
                "llama.block_count", new GgufBuilder().key("general.architecture", "llama").key("llama.embedding_length", 32L)
                        .key("llama.attention.head_count", 1L));
        for (Map.Entry<String, GgufBuilder> e : bad.entrySet()) {
            Path file = withTable(e.getValue());
            assertThatThrownBy(() -> Models.load(file)).as(e.getKey()).isInstanceOf(ModelException.class)
                    .hasMessageContaining(e.getKey()).hasMessageContaining(file.toString());
        }
    }

    @Test
    void weightsThatNobodyAskedForAreRefusedByName() throws IOException {
        Golden.Case c = golden("llama_tied");
        JsonNode config = Golden.json(c.file("config.json"));
        GgufBuilder out = llama(config);
        convert(c.folder(), GgufFamily.LLAMA, out, number(config, "num_attention_heads"), number(config, "num_key_value_heads"));
        Path file = folder.resolve("more.gguf");
        out.tensor("blk.0.attn_sinks.weight", F32, new byte[16], 4).write(file);
        assertThatThrownBy(() -> Models.load(file)).isInstanceOf(ModelException.class).hasMessageContaining("blk.0.attn_sinks.weight");
    }

    // ---- tokenizers ----

    private Tokenizer tokenizer(GgufBuilder keys) throws IOException {
        Path file = folder.resolve("tokenizer.gguf");
        keys.write(file);
        return GgufTokenizer.read(dev.jotune.tensor.io.GgufFile.open(file)).orElseThrow();
    }

    private static List<String> byId(JsonNode vocab) {
        String[] tokens = new String[vocab.size()];
        vocab.properties().forEach(e -> tokens[e.getValue().asInt()] = e.getKey());
        return List.of(tokens);
    }

    private static List<Integer> types(List<String> tokens, Set<String> special) {
        List<Integer> types = new ArrayList<>();
        tokens.forEach(t -> types.add(special.contains(t) ? 3 : 1));
        return types;
    }

    /** The embedded model's own tokenizer, whose merges are listed in the order of its tokens. */
    @Test
    void sentencePieceVocabulariesMergeByScore() throws IOException {
        Tokenizer original = Models.embedded().requireTokenizer();
        List<String> tokens = new ArrayList<>();
        List<Float> scores = new ArrayList<>();
        for (int id = 0; id < original.vocabularySize(); id++) {
            tokens.add(original.idToToken(id).orElseThrow());
            scores.add(id < 259 ? 0f : 259f - id);
        }
        List<Integer> types = types(tokens, Set.of("<unk>", "<s>", "</s>"));
        Tokenizer read = tokenizer(new GgufBuilder().key("tokenizer.ggml.model", "llama").key("tokenizer.ggml.tokens", tokens)
                .key("tokenizer.ggml.scores", scores).key("tokenizer.ggml.token_type", types).key("tokenizer.ggml.unknown_token_id", 0L)
                .key("tokenizer.ggml.bos_token_id", 1L).key("tokenizer.ggml.eos_token_id", 2L));
        for (String text : List.of("Once upon a time, there was a little girl.", "  spaces \n and \u00e9t\u00e9 \ud83d\ude00", "x")) {
            assertThat(read.encode(text, true).ids()).as(text).isEqualTo(original.encode(text, true).ids());
            assertThat(read.decode(read.encode(text, true).ids(), true)).isEqualTo(text);
        }
    }

    @Test
    void byteLevelVocabulariesSplitByTheirRule() throws IOException {
        for (Map.Entry<String, String> rule : Map.of("gpt2", "gpt-2", "llama3", "llama-bpe", "qwen2", "qwen2").entrySet()) {
            Golden.Case c = Golden.cases("tokenizers", rule.getKey()).findFirst().orElseThrow();
            Tokenizer original = Tokenizer.load(c.file("tokenizer.json"));
            JsonNode json = Golden.json(c.file("tokenizer.json"));
            List<String> tokens = new ArrayList<>(byId(json.at("/model/vocab")));
            Set<String> special = new java.util.HashSet<>();
            json.get("added_tokens").forEach(t -> {
                special.add(t.get("content").asText());
                if (t.get("id").asInt() == tokens.size()) {
                    tokens.add(t.get("content").asText());
                }
            });
            List<String> merges = new ArrayList<>();
            json.at("/model/merges").forEach(m -> merges.add(m.isArray() ? m.get(0).asText() + " " + m.get(1).asText() : m.asText()));
            Tokenizer read = tokenizer(new GgufBuilder().key("tokenizer.ggml.model", "gpt2").key("tokenizer.ggml.pre", rule.getValue())
                    .key("tokenizer.ggml.tokens", tokens).key("tokenizer.ggml.token_type", types(tokens, special))
                    .key("tokenizer.ggml.merges", merges));
            for (String text : List.of("Hello, world! It's 12345 o'clock.", "  tabs\tand\n\nlines \u4f60\u597d \ud83d\ude00  end ")) {
                int[] want = original.encode(text, false).ids();
                assertThat(read.encode(text, false).ids()).as(rule + " " + text).isEqualTo(want);
                assertThat(read.decode(want, false)).isEqualTo(original.decode(want, false));
            }
        }
    }
}
