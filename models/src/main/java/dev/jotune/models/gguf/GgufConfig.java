package dev.jotune.models.gguf;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jotune.models.ModelException;
import dev.jotune.tensor.io.GgufFile;
import dev.jotune.tensor.io.GgufTensor;
import java.util.Set;

/** A file's settings as a {@code config.json} of the hub has them. */
final class GgufConfig {
    /** Factors of the rotary wave lengths, one for each pair: how files hold the scaling of Llama 3.1. */
    static final String ROPE_FACTORS = "rope_freqs.weight";

    private final GgufFile file;
    private final GgufMetadata in;
    private final ObjectNode out = JsonNodeFactory.instance.objectNode();

    private GgufConfig(GgufFile file) {
        this.file = file;
        this.in = new GgufMetadata(file);
    }

    /** @throws ModelException naming the key that is missing or not supported */
    static ObjectNode read(GgufFile file, GgufFamily family) {
        GgufConfig c = new GgufConfig(file);
        if (family == GgufFamily.LLAMA) {
            c.llama();
        } else {
            c.gpt2();
        }
        c.in.finish(family.architecture() + ".", Set.of("llama.rope.scaling.finetuned"));
        c.specials();
        return c.out;
    }

    private void llama() {
        long hidden = in.required("llama.embedding_length");
        long heads = in.required("llama.attention.head_count");
        out.put("model_type", "llama").put("hidden_size", hidden).put("num_attention_heads", heads);
        out.put("num_key_value_heads", in.whole("llama.attention.head_count_kv").orElse(heads));
        out.put("num_hidden_layers", in.required("llama.block_count"));
        out.put("intermediate_size", in.required("llama.feed_forward_length"));
        out.put("max_position_embeddings", in.required("llama.context_length"));
        long headDim = in.whole("llama.attention.key_length").orElse(hidden / Math.max(1, heads));
        same("llama.attention.value_length", headDim);
        same("llama.rope.dimension_count", headDim);
        same("llama.expert_count", 0);
        same("llama.expert_used_count", 0);
        out.put("head_dim", headDim).put("vocab_size", vocabulary("llama.vocab_size"));
        out.put("rms_norm_eps", in.number("llama.attention.layer_norm_rms_epsilon").orElse(1e-6));
        out.put("rope_theta", in.number("llama.rope.freq_base").orElse(10000.0));
        out.put("attention_bias", has("blk.0.attn_q.bias")).put("mlp_bias", has("blk.0.ffn_up.bias"));
        out.put("tie_word_embeddings", !has("output.weight")).put("hidden_act", "silu");
        rope();
    }

    private void rope() {
        ObjectNode rope = JsonNodeFactory.instance.objectNode();
        String type = in.text("llama.rope.scaling.type").orElse("none");
        double factor = in.number("llama.rope.scaling.factor").orElse(1.0);
        switch (type) {
            case "none" -> { }
            case "linear" -> rope.put("rope_type", "linear").put("factor", factor);
            case "yarn" -> {
                rope.put("rope_type", "yarn").put("factor", factor);
                in.whole("llama.rope.scaling.original_context_length")
                        .ifPresent(n -> rope.put("original_max_position_embeddings", n));
            }
            default -> throw new ModelException(file.path() + ": llama.rope.scaling.type is '" + type
                    + "'. Supported: none, linear, yarn.");
        }
        if (has(ROPE_FACTORS)) {
            // The same factors for short and long texts: what LongRoPE makes of one list.
            ArrayNode factors = JsonNodeFactory.instance.arrayNode();
            for (double f : file.tensor(ROPE_FACTORS).raw().toDoubles()) {
                factors.add(f);
            }
            rope.put("rope_type", "longrope").put("attention_factor", 1.0)
                    .put("original_max_position_embeddings", out.get("max_position_embeddings").longValue());
            rope.set("short_factor", factors);
            rope.set("long_factor", factors);
        }
        if (!rope.isEmpty()) {
            out.set("rope_scaling", rope);
        }
    }

    private void gpt2() {
        out.put("model_type", "gpt2").put("n_embd", in.required("gpt2.embedding_length"));
        out.put("n_head", in.required("gpt2.attention.head_count")).put("n_layer", in.required("gpt2.block_count"));
        out.put("n_positions", in.required("gpt2.context_length"));
        out.put("n_inner", in.whole("gpt2.feed_forward_length").orElse(4 * out.get("n_embd").longValue()));
        out.put("layer_norm_epsilon", in.number("gpt2.attention.layer_norm_epsilon").orElse(1e-5));
        out.put("vocab_size", vocabulary("gpt2.vocab_size")).put("activation_function", "gelu_new");
        out.put("tie_word_embeddings", !has("output.weight"));
    }

    private boolean has(String tensor) {
        return file.tensors().containsKey(tensor);
    }

    private void same(String key, long expected) {
        long found = in.whole(key).orElse(expected);
        if (found != expected) {
            throw new ModelException(file.path() + ": " + key + " is " + found + "; only " + expected + " is supported. Use the "
                    + "safetensors checkpoint of this model, or another model.");
        }
    }

    private long vocabulary(String key) {
        GgufTensor table = file.tensors().get("token_embd.weight");
        if (table == null) {
            throw new ModelException(file.path() + " lacks the tensor token_embd.weight. It holds no language model.");
        }
        return in.whole(key).orElse(table.shape()[0]);
    }

    private void specials() {
        in.whole("tokenizer.ggml.bos_token_id").ifPresent(id -> out.put("bos_token_id", id));
        in.whole("tokenizer.ggml.eos_token_id").ifPresent(id -> out.put("eos_token_id", id));
        in.whole("tokenizer.ggml.padding_token_id").ifPresent(id -> out.put("pad_token_id", id));
    }
}
