package dev.jotune.cli;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jotune.models.GenerationDefaults;

/**
 * How large a Llama is.
 *
 * @param hidden C, {@code hidden_size}
 * @param inner F, {@code intermediate_size}
 * @param layers L
 * @param heads H, {@code num_attention_heads}
 * @param keyHeads G, {@code num_key_value_heads}
 */
record LlamaSize(int hidden, int inner, int layers, int heads, int keyHeads) {
    /** The sizes that have a name. */
    enum Named {
        small(new LlamaSize(32, 88, 2, 2, 2)),
        medium(new LlamaSize(48, 128, 3, 4, 4)),
        large(new LlamaSize(96, 256, 3, 4, 4));

        final LlamaSize size;

        Named(LlamaSize size) {
            this.size = size;
        }
    }

    /** The {@code config.json} of such a model; {@code special} begin and end its texts. */
    String config(int vocabulary, int context, GenerationDefaults special) {
        ObjectNode c = new JsonMapper().createObjectNode();
        c.putArray("architectures").add("LlamaForCausalLM");
        c.put("model_type", "llama").put("hidden_size", hidden).put("intermediate_size", inner).put("num_hidden_layers", layers)
                .put("num_attention_heads", heads).put("num_key_value_heads", keyHeads).put("vocab_size", vocabulary)
                .put("max_position_embeddings", context).put("rms_norm_eps", 1e-5).put("rope_theta", 10000.0).put("hidden_act", "silu")
                .put("tie_word_embeddings", true).put("attention_bias", false).put("mlp_bias", false)
                .put("initializer_range", deviation()).put("bos_token_id", special.bosTokenId())
                .put("eos_token_id", special.eosTokenIds()[0]).put("torch_dtype", "float32");
        return c.toPrettyString();
    }

    /** Of fresh matrices: {@code sqrt(2 / (5 C))} (Nguyen and Salazar, arXiv 1910.05895, section 2.2), which does not depend on the depth. */
    double deviation() {
        return Math.sqrt(2 / (5.0 * hidden));
    }
}
