package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Pass;

/** Two towers, one for texts and one for pictures, that end in a common space of P features. */
public interface DualEncoder extends Backbone {
    /** The tower of texts; its seams are this model's. */
    Encoder text();

    /** The tower of pictures; its seams are this model's. */
    ImageModel vision();

    /**
     * Texts in the common space, {@code [B, P]}, not yet of length 1.
     *
     * @param input token ids; embeddings alone do not tell where a text ends
     */
    Var textFeatures(EncoderInput input, Pass pass);

    /** Pictures in the common space, {@code [B, P]}, not yet of length 1. */
    Var imageFeatures(ImageInput input, Pass pass);

    /**
     * How well each picture goes with each text, {@code [pictures, texts]}: cosines times the trained scale.
     *
     * @param pass of the pictures
     */
    Var logitsPerImage(Var imageFeatures, Var textFeatures, Pass pass);

    /**
     * The contrastive loss of pairs (text i belongs to picture i): the mean of the cross-entropies of the logits along
     * both axes.
     *
     * @throws IllegalArgumentException if there are not as many texts as pictures
     */
    Var loss(EncoderInput texts, ImageInput pictures, Pass pass);

    /** Rows of length 1: {@code x [.., P] / |x|}. */
    static Var normalised(Var x) {
        long[] length = x.shape();
        length[length.length - 1] = 1;
        return x.div(x.square().sum(-1).sqrt().reshape(length));
    }
}
