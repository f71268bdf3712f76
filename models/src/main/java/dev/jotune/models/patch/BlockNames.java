package dev.jotune.models.patch;

/**
 * What a family calls the parts of a block, below the block's own path.
 *
 * @param attention the module that adapters know as the attention
 */
public record BlockNames(String attention, String query, String key, String value, String out, String attentionNorm,
        String up, String down, String mlpNorm) {
    /** ViT and the Audio Spectrogram Transformer. */
    public static final BlockNames VIT = new BlockNames("attention.attention", "attention.attention.query",
            "attention.attention.key", "attention.attention.value", "attention.output.dense", "layernorm_before",
            "intermediate.dense", "output.dense", "layernorm_after");

    /** Both towers of CLIP. */
    public static final BlockNames CLIP = new BlockNames("self_attn", "self_attn.q_proj", "self_attn.k_proj",
            "self_attn.v_proj", "self_attn.out_proj", "layer_norm1", "mlp.fc1", "mlp.fc2", "layer_norm2");
}
