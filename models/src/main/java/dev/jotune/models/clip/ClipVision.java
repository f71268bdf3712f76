package dev.jotune.models.clip;

import dev.jotune.autograd.Var;
import dev.jotune.models.Hidden;
import dev.jotune.models.ImageInput;
import dev.jotune.models.ImageModel;
import dev.jotune.models.Weights;
import dev.jotune.models.head.Norm;
import dev.jotune.models.patch.PatchEmbedding;
import dev.jotune.models.patch.PatchEncoder;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import java.util.List;
import java.util.Optional;

/**
 * CLIP's tower of pictures: a Vision Transformer with a norm before its blocks; behind them only the class token is
 * normed. Taps and the embedding site begin with {@code vision.}; virtual tokens pass through the first norm, as in
 * MaPLe (arXiv 2210.03117).
 */
public final class ClipVision extends PatchEncoder implements ImageModel {
    private final Norm norm;

    /** @param seams that the tower's parts are registered with: its own, or those of the whole model */
    ClipVision(ClipConfig.Vision config, Weights w, Seams seams, Backend backend, DType computeType) {
        super(options(config, prefix(w)), w, seams, backend, computeType);
        norm = Norm.of(prefix(w) + "post_layernorm", config.tower().hiddenSize(), config.tower().layerNormEps(), w);
    }

    /** The tower alone, as {@code CLIPVisionModel} is stored. */
    public static ClipVision load(ClipConfig.Vision config, Weights.Source source, Backend backend, DType computeType) {
        Seams seams = new Seams();
        return new ClipVision(config, new Weights(source, seams), seams, backend, computeType);
    }

    /** The tower alone is stored with the name of its part in transformers 4, and without in 5. */
    private static String prefix(Weights w) {
        return w.contains("vision_model.embeddings.class_embedding") ? "vision_model." : "";
    }

    private static Options options(ClipConfig.Vision c, String at) {
        PatchEmbedding.Shape shape = new PatchEmbedding.Shape(c.numChannels(), c.tower().hiddenSize(), c.imageSize(), c.patchSize(),
                c.patchSize());
        PatchEmbedding.Names names = new PatchEmbedding.Names(at + "embeddings.patch_embedding", false,
                List.of(at + "embeddings.class_embedding"), at + "embeddings.position_embedding.weight", false);
        return new Options("clip_vision_model", shape, names, Optional.of(at + "pre_layrnorm"),
                ClipText.options(c.tower(), at, "vision.", AttentionSite.Kind.BIDIRECTIONAL), Optional.empty());
    }

    @Override
    public Hidden forward(ImageInput input, Pass pass) {
        return encode(input.pixels(), input.interpolatePositions(), pass);
    }

    /** The class token's state after the last norm. */
    @Override
    public Var features(Hidden hidden, Pass pass) {
        return norm.forward(hidden.text().select(1, 0), pass);
    }
}
