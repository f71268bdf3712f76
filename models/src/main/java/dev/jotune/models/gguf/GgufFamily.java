package dev.jotune.models.gguf;

import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How one architecture's weights are called in GGUF files and in the hub's checkpoints.
 *
 * @param architecture the value of {@code general.architecture}
 * @param whole modules outside the blocks, from the checkpoint's path to the file's name
 * @param blocks the pattern of a path inside block N: N, then the module
 * @param inBlock modules of a block
 * @param conv1d modules of a block whose weight the checkpoint stores {@code [in, out]} and the file {@code [out, in]}
 * @param rotated modules of a block whose rows the file has in the order of interleaved rotary pairs
 */
record GgufFamily(String architecture, Map<String, String> whole, Pattern blocks, Map<String, String> inBlock, Set<String> conv1d,
        Set<String> rotated) {
    static final GgufFamily LLAMA = new GgufFamily("llama",
            Map.of("model.embed_tokens", "token_embd", "model.norm", "output_norm", "lm_head", "output"),
            Pattern.compile("model\\.layers\\.(\\d+)\\.(.+)"),
            Map.of("input_layernorm", "attn_norm", "self_attn.q_proj", "attn_q", "self_attn.k_proj", "attn_k",
                    "self_attn.v_proj", "attn_v", "self_attn.o_proj", "attn_output", "post_attention_layernorm", "ffn_norm",
                    "mlp.gate_proj", "ffn_gate", "mlp.up_proj", "ffn_up", "mlp.down_proj", "ffn_down"),
            Set.of(), Set.of("self_attn.q_proj", "self_attn.k_proj"));

    static final GgufFamily GPT2 = new GgufFamily("gpt2",
            Map.of("transformer.wte", "token_embd", "transformer.wpe", "position_embd", "transformer.ln_f", "output_norm",
                    "lm_head", "output"),
            Pattern.compile("transformer\\.h\\.(\\d+)\\.(.+)"),
            Map.of("ln_1", "attn_norm", "attn.c_attn", "attn_qkv", "attn.c_proj", "attn_output", "ln_2", "ffn_norm",
                    "mlp.c_fc", "ffn_up", "mlp.c_proj", "ffn_down"),
            Set.of("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"), Set.of());

    /**
     * Where a weight lies.
     *
     * @param name in the file; no file has an empty one
     * @param module within its block, or empty
     */
    record Place(String name, String module) {}

    /** The place of a checkpoint's path such as {@code model.layers.3.mlp.up_proj.weight}. */
    Place place(String path) {
        int dot = path.lastIndexOf('.');
        if (dot < 0) {
            return new Place("", "");
        }
        String kind = path.substring(dot);
        String module = path.substring(0, dot);
        if (whole.containsKey(module)) {
            return new Place(whole.get(module) + kind, "");
        }
        Matcher m = blocks.matcher(module);
        if (m.matches() && inBlock.containsKey(m.group(2))) {
            return new Place("blk." + m.group(1) + "." + inBlock.get(m.group(2)) + kind, m.group(2));
        }
        return new Place("", "");
    }
}
