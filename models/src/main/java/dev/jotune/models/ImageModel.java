package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Pass;

/** A model that turns a picture into one state a patch, each seeing the whole picture. */
public interface ImageModel extends Backbone {
    /**
     * The states {@code [B, n + 1 + N, C]}: n virtual tokens, the class token, and N patches row by row.
     *
     * @throws IllegalArgumentException if the pictures do not have the model's channels or size
     */
    Hidden forward(ImageInput input, Pass pass);

    /** What stands for the whole picture, {@code [B, C]}, of what {@link #forward} gave. */
    Var features(Hidden hidden, Pass pass);
}
