package dev.jotune.models.ast;

import dev.jotune.autograd.Var;
import dev.jotune.models.AudioModel;
import dev.jotune.models.Hidden;
import dev.jotune.models.Weights;
import dev.jotune.models.patch.BlockNames;
import dev.jotune.models.patch.PatchEmbedding;
import dev.jotune.models.patch.PatchEncoder;
import dev.jotune.models.patch.StackOptions;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * The Audio Spectrogram Transformer (arXiv 2104.01778): a Vision Transformer over overlapping patches of a
 * spectrogram, those of the lowest bands first, with a class token and a distillation token that stand for the sound
 * together. Virtual tokens are as {@link PatchEmbedding} has them.
 */
public class Ast extends PatchEncoder implements AudioModel {
    private final AstConfig config;

    Ast(AstConfig config, Weights w, Seams seams, Backend backend, DType computeType) {
        super(options(config, prefix(w)), w, seams, backend, computeType);
        this.config = config;
    }

    /**
     * The model of a checkpoint: with a classifier if the checkpoint has one.
     *
     * @param source the weights under their checkpoint names
     * @param computeType F32, or F64 on the reference backend
     */
    public static Ast load(AstConfig config, Weights.Source source, Backend backend, DType computeType) {
        Seams seams = new Seams();
        Weights w = new Weights(source, seams);
        return w.contains("classifier.dense.weight") ? new AstClassifier(config, w, seams, backend, computeType)
                : new Ast(config, w, seams, backend, computeType);
    }

    /** A model with a head keeps its body under a name. */
    private static String prefix(Weights w) {
        String body = "audio_spectrogram_transformer.";
        return w.contains(body + "embeddings.cls_token") ? body : "";
    }

    private static Options options(AstConfig c, String at) {
        int hidden = c.hiddenSize();
        PatchEmbedding.Shape shape = new PatchEmbedding.Shape(1, hidden, List.of(c.numMelBins(), c.maxLength()), c.patchSize(),
                List.of(c.frequencyStride(), c.timeStride()));
        PatchEmbedding.Names names = new PatchEmbedding.Names(at + "embeddings.patch_embeddings.projection", true,
                List.of(at + "embeddings.cls_token", at + "embeddings.distillation_token"), at + "embeddings.position_embeddings", true);
        return new Options("audio-spectrogram-transformer", shape, names, Optional.empty(), new StackOptions(at + "encoder.layer.",
                BlockNames.VIT, "", AttentionSite.Kind.BIDIRECTIONAL, c.numHiddenLayers(), hidden, c.intermediateSize(),
                c.numAttentionHeads(), c.hiddenAct(), c.layerNormEps(), c.qkvBias(), c.dropout()), Optional.of(at + "layernorm"));
    }

    public AstConfig config() {
        return config;
    }

    @Override
    public Hidden forward(Var spectrogram, Pass pass) {
        if (spectrogram.rank() != 3 || spectrogram.size(1) != config.maxLength() || spectrogram.size(2) != config.numMelBins()) {
            throw new IllegalArgumentException("the model reads spectrograms [B, " + config.maxLength() + ", " + config.numMelBins()
                    + "], got " + Arrays.toString(spectrogram.shape()) + ". Make them as its preprocessor_config.json says.");
        }
        return encode(spectrogram.transpose(1, 2).reshape(spectrogram.size(0), 1, config.numMelBins(), config.maxLength()), false, pass);
    }

    /** The mean of the class token's and the distillation token's state. */
    @Override
    public Var features(Hidden hidden, Pass pass) {
        return hidden.text().select(1, 0).add(hidden.text().select(1, 1)).mul(0.5);
    }
}
