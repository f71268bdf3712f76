package dev.jotune.models.seam;

/**
 * One attention of a model.
 *
 * @param path the module's checkpoint path, {@code model.layers.0.self_attn}
 * @param layer its number among the attentions of its stack, from 0
 * @param heads query heads (H)
 * @param groups key/value heads (G)
 * @param headDim features of a head (D)
 */
public record AttentionSite(String path, int layer, int heads, int groups, int headDim) {}
