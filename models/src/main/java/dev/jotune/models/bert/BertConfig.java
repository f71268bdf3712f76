package dev.jotune.models.bert;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.models.head.DropoutRates;
import dev.jotune.models.head.Heads;
import java.util.Set;

/**
 * The shape of a BERT, RoBERTa or DistilBERT.
 *
 * @param prefix of the base model's weights within a model with a head
 * @param blocks where its blocks lie, below the prefix
 * @param names what the parts of a block are called
 * @param hiddenSize C
 * @param intermediateSize F
 * @param numHiddenLayers L
 * @param numAttentionHeads H
 * @param vocabSize V
 * @param maxPositionEmbeddings rows of the table of positions
 * @param typeVocabSize rows of the table of token types; 0: there is none
 * @param padTokenId its embedding gets no gradient
 * @param positionsSkipPadding RoBERTa: positions begin at {@code padTokenId + 1} and count tokens other than padding
 * @param embeddingDropout of embeddings, while training
 * @param dropout of a block, while training
 * @param classifierDropout while training, before the classifier
 */
public record BertConfig(String modelType, String prefix, String blocks, BlockNames names, int hiddenSize, int intermediateSize,
        int numHiddenLayers, int numAttentionHeads, int vocabSize, int maxPositionEmbeddings, int typeVocabSize, int padTokenId,
        boolean positionsSkipPadding, double layerNormEps, String hiddenAct, double embeddingDropout, BlockShape.Dropped dropout,
        double classifierDropout, boolean tieWordEmbeddings) {
    /** Fields that no version of transformers computes with, of old conversions from TensorFlow among them. */
    private static final Set<String> UNUSED = Set.of("directionality", "pooler_fc_size", "pooler_num_attention_heads",
            "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type", "qa_dropout", "sinusoidal_pos_embds", "tie_weights_",
            "output_past", "type_vocab_size", "layer_norm_eps", "language", "name", "gradient_checkpointing");

    /** @throws ModelException naming the field that is missing, malformed or not supported */
    public static BertConfig read(Config c) {
        String type = c.text("model_type", "");
        BertConfig config = switch (type) {
            case "bert" -> bert(c, type, "bert.", 0, false);
            case "roberta" -> bert(c, type, "roberta.", 1, true);
            case "distilbert" -> distilbert(c);
            default -> throw new ModelException(c.origin() + ": model_type '" + type + "' is not a BERT. Supported: bert, roberta, "
                    + "distilbert.");
        };
        c.finish(UNUSED);
        return config;
    }

    private static BertConfig bert(Config c, String type, String prefix, int pad, boolean skip) {
        refuse(c, "is_decoder");
        refuse(c, "add_cross_attention");
        String positions = c.text("position_embedding_type", "absolute");
        if (!positions.equals("absolute")) {
            throw new ModelException(c.origin() + ": position_embedding_type '" + positions + "' is not supported. Supported: absolute.");
        }
        double dropout = DropoutRates.read(c, "hidden_dropout_prob", 0.1);
        double attention = DropoutRates.read(c, "attention_probs_dropout_prob", 0.1);
        return new BertConfig(type, prefix, "encoder.layer.", BlockNames.BERT, c.size("hidden_size"), c.size("intermediate_size"),
                c.size("num_hidden_layers"), heads(c, "num_attention_heads", c.size("hidden_size")), c.size("vocab_size"),
                c.size("max_position_embeddings", 512), c.size("type_vocab_size", 2), pad(c, pad), skip,
                c.number("layer_norm_eps", 1e-12), Heads.activation(c, "hidden_act", "gelu"), dropout,
                new BlockShape.Dropped(attention, dropout, dropout), DropoutRates.read(c, "classifier_dropout", dropout),
                c.flag("tie_word_embeddings", true));
    }

    private static BertConfig distilbert(Config c) {
        double dropout = DropoutRates.read(c, "dropout", 0.1);
        // What attention adds is not dropped.
        BlockShape.Dropped ofBlock = new BlockShape.Dropped(DropoutRates.read(c, "attention_dropout", 0.1), 0, dropout);
        return new BertConfig("distilbert", "distilbert.", "transformer.layer.", BlockNames.DISTILBERT, c.size("dim"),
                c.size("hidden_dim"), c.size("n_layers"), heads(c, "n_heads", c.size("dim")), c.size("vocab_size"),
                c.size("max_position_embeddings", 512), 0, pad(c, 0), false, 1e-12, Heads.activation(c, "activation", "gelu"),
                dropout, ofBlock, DropoutRates.read(c, "seq_classif_dropout", 0.2), c.flag("tie_word_embeddings", true));
    }

    private static void refuse(Config c, String flag) {
        if (c.flag(flag, false)) {
            throw new ModelException(c.origin() + ": '" + flag + "' is true, but only encoders are supported for this family. "
                    + "Use a checkpoint of an encoder.");
        }
    }

    private static int heads(Config c, String field, int hidden) {
        int heads = c.size(field);
        if (hidden % heads != 0) {
            throw new ModelException(c.origin() + ": the hidden size " + hidden + " is not a multiple of " + field + " " + heads + ".");
        }
        return heads;
    }

    private static int pad(Config c, int otherwise) {
        int id = c.integer("pad_token_id", otherwise);
        if (id < 0) {
            throw new ModelException(c.origin() + ": 'pad_token_id' is " + id + ", expected the id of a token.");
        }
        return id;
    }

    /** The most tokens of a text. */
    public int contextLength() {
        return positionsSkipPadding ? maxPositionEmbeddings - padTokenId - 1 : maxPositionEmbeddings;
    }

    /** Of one block. */
    public BlockShape block() {
        return new BlockShape(hiddenSize, intermediateSize, numAttentionHeads, hiddenSize / numAttentionHeads, hiddenAct, layerNormEps,
                dropout);
    }
}
