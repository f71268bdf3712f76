package dev.jotune.models.bert;

/**
 * What a family calls the parts of a block, below the block's own path.
 *
 * @param attention the module that adapters know as the attention
 */
public record BlockNames(String attention, String query, String key, String value, String out, String attentionNorm, String up,
        String down, String outNorm) {
    /** BERT and RoBERTa. */
    public static final BlockNames BERT = new BlockNames("attention.self", "attention.self.query", "attention.self.key",
            "attention.self.value", "attention.output.dense", "attention.output.LayerNorm", "intermediate.dense", "output.dense",
            "output.LayerNorm");

    public static final BlockNames DISTILBERT = new BlockNames("attention", "attention.q_lin", "attention.k_lin",
            "attention.v_lin", "attention.out_lin", "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm");

    public static final BlockNames DEBERTA = new BlockNames("attention.self", "attention.self.query_proj", "attention.self.key_proj",
            "attention.self.value_proj", "attention.output.dense", "attention.output.LayerNorm", "intermediate.dense",
            "output.dense", "output.LayerNorm");
}
