package dev.jotune.models.bert;

import dev.jotune.autograd.Checkpoint;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.Config;
import dev.jotune.models.Encoder;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.Network;
import dev.jotune.models.TokenLayout;
import dev.jotune.models.Weights;
import dev.jotune.models.head.Fresh;
import dev.jotune.models.head.HeadNames;
import dev.jotune.models.head.HeadShape;
import dev.jotune.models.head.Heads;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A bidirectional encoder: embeddings and L post-norm blocks. Positions count from 0 over padding, but for RoBERTa's.
 *
 * <p>Memory of a pass grows linearly with the text: attention probabilities are never stored.
 */
public final class Bert extends Network implements Encoder {
    private static final HeadNames BERT = new HeadNames("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm",
            "cls.predictions.decoder", "cls.predictions.bias", "bert.pooler.dense", "tanh", "classifier", "classifier", "pooler.dense");
    private static final HeadNames ROBERTA = new HeadNames("lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias",
            "classifier.dense", "tanh", "classifier.out_proj", "classifier", "pooler.dense");
    private static final HeadNames DISTILBERT = new HeadNames("vocab_transform", "vocab_layer_norm", "vocab_projector",
            "vocab_projector.bias", "pre_classifier", "relu", "classifier", "classifier", "");

    private final BertConfig config;
    private final TextEmbedding embedding;
    private final List<PostNormBlock> blocks = new ArrayList<>();

    private Bert(BertConfig c, Weights.Source source, String prefix, Backend backend, DType computeType) {
        super(new Seams(), backend, computeType);
        this.config = c;
        Weights w = new Weights(source, seams);
        embedding = new TextEmbedding(new TextEmbedding.Options(prefix + "embeddings", c.hiddenSize(), c.hiddenSize(), c.vocabSize(),
                c.maxPositionEmbeddings(), c.typeVocabSize(), c.padTokenId(), c.positionsSkipPadding(), false, c.contextLength(),
                c.layerNormEps(), c.embeddingDropout()), w, seams, computeType);
        for (int i = 0; i < c.numHiddenLayers(); i++) {
            blocks.add(new PostNormBlock(c.block(), c.names(), prefix + c.blocks() + i, i, w, seams));
        }
        seams.addTap("final", c.hiddenSize());
    }

    /**
     * The encoder of a configuration, with the head that its checkpoint has.
     *
     * @param fresh if a classifier is wanted whatever the checkpoint is
     * @throws dev.jotune.models.ModelException naming what is missing or not supported
     */
    public static Encoder build(Config config, Weights.Source source, Backend backend, DType computeType, Optional<Fresh> fresh) {
        HeadNames names = switch (config.text("model_type", "")) {
            case "roberta" -> ROBERTA;
            case "distilbert" -> DISTILBERT;
            default -> BERT;
        };
        BertConfig c = BertConfig.read(config);
        Heads heads = new Heads(config, source, c.prefix(), names, fresh);
        boolean roberta = c.modelType().equals("roberta");
        HeadShape shape = new HeadShape(c.hiddenSize(), c.hiddenSize(), c.vocabSize(), roberta ? "gelu" : c.hiddenAct(),
                c.layerNormEps(), c.tieWordEmbeddings(), roberta ? c.classifierDropout() : 0, c.classifierDropout(),
                c.modelType().equals("distilbert") ? c.embeddingDropout() : c.classifierDropout());
        return heads.on(new Bert(c, heads.source(), heads.prefix(), backend, computeType), shape);
    }

    public BertConfig config() {
        return config;
    }

    @Override
    public Hidden forward(EncoderInput input, Pass given) {
        TokenLayout layout = embedding.layout(input, given);
        Pass pass = given.reading(input.ids(), layout.virtualTokens(), seams().precision());
        Var h = embedding.forward(input, layout, pass);
        List<List<Attention.Segment>> added = pass.segments(seams.attentions(), input.batch());
        PostNormBlock.Mixing mixing = (block, q, k, v, before, p) -> {
            List<Attention.Segment> segments = new ArrayList<>(before);
            segments.add(new Attention.Segment(k, v, layout.visible()));
            return block.site().attend(q, segments, 1 / Math.sqrt(q.size(3)), 0, p);
        };
        for (int i = 0; i < blocks.size(); i++) {
            PostNormBlock block = blocks.get(i);
            List<Attention.Segment> segments = added.get(i);
            h = Checkpoint.when(checkpointing(), x -> block.forward(x, segments, mixing, pass), h);
        }
        return new Hidden(pass.tap("final", h), layout.virtualTokens());
    }

    @Override
    public String modelType() {
        return config.modelType();
    }

    @Override
    public int hiddenSize() {
        return config.hiddenSize();
    }

    @Override
    public int layers() {
        return config.numHiddenLayers();
    }

    @Override
    public int contextLength() {
        return config.contextLength();
    }
}
