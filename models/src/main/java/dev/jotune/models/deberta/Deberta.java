package dev.jotune.models.deberta;

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
import dev.jotune.models.bert.BlockNames;
import dev.jotune.models.bert.PostNormBlock;
import dev.jotune.models.bert.TextEmbedding;
import dev.jotune.models.head.Fresh;
import dev.jotune.models.head.HeadNames;
import dev.jotune.models.head.HeadShape;
import dev.jotune.models.head.Heads;
import dev.jotune.models.head.Norm;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The DeBERTa-v2 encoder. Relative positions count from one text token to another, virtual tokens among them. */
public final class Deberta extends Network implements Encoder {
    private final DebertaConfig config;
    private final TextEmbedding embedding;
    private final List<PostNormBlock> blocks = new ArrayList<>();
    private final List<DisentangledAttention> attentions = new ArrayList<>();
    private final Optional<Parameter> relative;
    private final Optional<Norm> relativeNorm;

    private Deberta(DebertaConfig c, Weights.Source source, String prefix, Backend backend, DType computeType) {
        super(new Seams(), backend, computeType);
        this.config = c;
        Weights w = new Weights(source, seams);
        embedding = new TextEmbedding(new TextEmbedding.Options(prefix + "embeddings", c.embeddingSize(), c.hiddenSize(), c.vocabSize(),
                c.positionBiasedInput() ? c.maxPositionEmbeddings() : 0, c.typeVocabSize(), c.padTokenId(), false, true,
                c.maxPositionEmbeddings(), c.layerNormEps(), c.hiddenDropout()), w, seams, computeType);
        String encoder = prefix + "encoder.";
        for (int i = 0; i < c.numHiddenLayers(); i++) {
            String path = encoder + "layer." + i;
            blocks.add(new PostNormBlock(c.block(), BlockNames.DEBERTA, path, i, w, seams));
            attentions.add(new DisentangledAttention(c, path + ".attention.self", w));
        }
        relative = c.relative() ? Optional.of(w.parameter(encoder + "rel_embeddings.weight", 2L * c.positions().span(), c.hiddenSize()))
                : Optional.empty();
        relativeNorm = c.relative() && c.normRelative() ? Optional.of(Norm.of(encoder + "LayerNorm", c.hiddenSize(), c.layerNormEps(), w))
                : Optional.empty();
        seams.addTap("final", c.hiddenSize());
    }

    /**
     * The encoder of a configuration, with the head that its checkpoint has.
     *
     * @param fresh if a classifier is wanted whatever the checkpoint is
     * @throws dev.jotune.models.ModelException naming what is missing or not supported
     */
    public static Encoder build(Config config, Weights.Source source, Backend backend, DType computeType, Optional<Fresh> fresh) {
        DebertaConfig c = DebertaConfig.read(config);
        String masked = c.legacy() ? "cls.predictions.transform." : "lm_predictions.lm_head.";
        HeadNames names = new HeadNames(masked + "dense", masked + "LayerNorm", c.legacy() ? "cls.predictions.decoder" : "lm_predictions.lm_head",
                c.legacy() ? "cls.predictions.bias" : "lm_predictions.lm_head.bias", "pooler.dense", c.poolerAct(), "classifier",
                "classifier", "");
        Heads heads = new Heads(config, source, "deberta.", names, fresh);
        HeadShape shape = new HeadShape(c.hiddenSize(), c.embeddingSize(), c.vocabSize(), c.hiddenAct(), c.layerNormEps(),
                c.tieWordEmbeddings() || !c.legacy(), c.poolerDropout(), c.classifierDropout(), c.hiddenDropout());
        return heads.on(new Deberta(c, heads.source(), heads.prefix(), backend, computeType), shape);
    }

    @Override
    public Hidden forward(EncoderInput input, Pass given) {
        TokenLayout layout = embedding.layout(input, given);
        Pass pass = given.reading(input.ids(), layout.virtualTokens(), seams().precision());
        Var h = embedding.forward(input, layout, pass);
        DisentangledAttention.Common common = common(layout, input.batch(), pass);
        List<List<Attention.Segment>> added = pass.segments(seams.attentions(), input.batch());
        for (int i = 0; i < blocks.size(); i++) {
            PostNormBlock block = blocks.get(i);
            DisentangledAttention attention = attentions.get(i);
            List<Attention.Segment> segments = added.get(i);
            PostNormBlock.Mixing mixing = (b, q, k, v, before, p) -> attention.mix(b, q, k, v, before, common, p);
            h = Checkpoint.when(checkpointing(), x -> block.forward(x, segments, mixing, pass), h);
        }
        return new Hidden(pass.tap("final", h), layout.virtualTokens());
    }

    private DisentangledAttention.Common common(TokenLayout layout, long batch, Pass pass) {
        Optional<Var> table = relative.map(p -> {
            // Rows of a batch under adapters of their own have tables of their own.
            long copies = pass.isUniform() ? 1 : batch;
            Var t = pass.perGroup(Var.constant(Tensor.zeros(backend, computeType, copies, 1, 1)), (rows, g) -> {
                Var own = p.value(g).to(computeType);
                return own.reshape(1, own.size(0), own.size(1)).expandTo(rows.size(0), own.size(0), own.size(1));
            });
            return relativeNorm.map(n -> n.forward(t, pass)).orElse(t);
        });
        if (layout.real() == null) {
            return new DisentangledAttention.Common(table, Optional.empty(), Optional.empty());
        }
        return new DisentangledAttention.Common(table, Optional.of(embedding.mask(layout)), Optional.of(unseen(layout)));
    }

    private Var unseen(TokenLayout layout) {
        boolean[][] real = layout.real();
        int time = (int) layout.time();
        double[] bias = new double[real.length * time * time];
        for (int i = 0; i < bias.length; i++) {
            boolean[] row = real[i / (time * time)];
            bias[i] = row[i / time % time] && !row[i % time] ? Double.NEGATIVE_INFINITY : 0;
        }
        return Var.constant(Tensor.of(backend, computeType, bias, real.length, 1, time, time));
    }

    @Override
    public String modelType() {
        return "deberta-v2";
    }

    @Override
    public int hiddenSize() {
        return config.embeddingSize();
    }

    @Override
    public int layers() {
        return config.numHiddenLayers();
    }

    @Override
    public int contextLength() {
        return config.maxPositionEmbeddings();
    }
}
