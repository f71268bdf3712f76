package dev.jotune.models.vit;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.models.Hidden;
import dev.jotune.models.ImageInput;
import dev.jotune.models.ImageModel;
import dev.jotune.models.Weights;
import dev.jotune.models.patch.BlockNames;
import dev.jotune.models.patch.PatchEmbedding;
import dev.jotune.models.patch.PatchEncoder;
import dev.jotune.models.patch.StackOptions;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import java.util.List;
import java.util.Optional;

/**
 * The Vision Transformer (arXiv 2010.11929): class token and patches with trained positions, L pre-norm blocks, norm.
 *
 * <p>Virtual tokens at {@code embed} are those of visual prompt tuning ({@link PatchEmbedding}). They come first in
 * {@link Hidden}; the class token is the first of {@link Hidden#text}.
 */
public class ViT extends PatchEncoder implements ImageModel {
    private final ViTConfig config;
    private final Optional<LinearLayer> pooler;

    ViT(ViTConfig config, Weights w, Seams seams, Backend backend, DType computeType) {
        super(options(config, prefix(w)), w, seams, backend, computeType);
        this.config = config;
        String path = prefix(w) + "pooler.dense";
        pooler = w.contains(path + ".weight") ? Optional.of(w.linear(path, config.poolerOutputSize(), config.hiddenSize(), true))
                : Optional.empty();
    }

    /**
     * The model of a checkpoint: with a classifier if the checkpoint has one.
     *
     * @param source the weights under their checkpoint names
     * @param computeType F32, or F64 on the reference backend
     */
    public static ViT load(ViTConfig config, Weights.Source source, Backend backend, DType computeType) {
        Seams seams = new Seams();
        Weights w = new Weights(source, seams);
        return w.contains("classifier.weight") ? new ViTClassifier(config, w, seams, backend, computeType)
                : new ViT(config, w, seams, backend, computeType);
    }

    /** A model with a head keeps its body under a name. */
    private static String prefix(Weights w) {
        return w.contains("vit.embeddings.cls_token") ? "vit." : "";
    }

    private static Options options(ViTConfig c, String at) {
        int hidden = c.hiddenSize();
        PatchEmbedding.Shape shape = new PatchEmbedding.Shape(c.numChannels(), hidden, c.imageSize(), c.patchSize(), c.patchSize());
        PatchEmbedding.Names names = new PatchEmbedding.Names(at + "embeddings.patch_embeddings.projection", true,
                List.of(at + "embeddings.cls_token"), at + "embeddings.position_embeddings", true);
        return new Options("vit", shape, names, Optional.empty(), new StackOptions(at + "encoder.layer.", BlockNames.VIT, "",
                AttentionSite.Kind.BIDIRECTIONAL, c.numHiddenLayers(), hidden, c.intermediateSize(), c.numAttentionHeads(), c.hiddenAct(),
                c.layerNormEps(), c.qkvBias(), c.dropout()), Optional.of(at + "layernorm"));
    }

    public ViTConfig config() {
        return config;
    }

    @Override
    public Hidden forward(ImageInput input, Pass pass) {
        return encode(input.pixels(), input.interpolatePositions(), pass);
    }

    /** The class token's state, through the pooler where the checkpoint has one. */
    @Override
    public Var features(Hidden hidden, Pass pass) {
        Var first = hidden.text().select(1, 0);
        return pooler.isEmpty() ? first : Activations.byName(config.poolerAct(), pooler.get().forward(first, pass));
    }
}
