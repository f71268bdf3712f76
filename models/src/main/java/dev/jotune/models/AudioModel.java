package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Pass;

/** A model that turns a spectrogram into one state a patch, each seeing the whole sound. */
public interface AudioModel extends Backbone {
    /**
     * The states {@code [B, n + tokens + N, C]}: n virtual tokens, the model's own tokens, and N patches.
     *
     * @param spectrogram {@code input_values [B, frames, mel]}, as {@link dev.jotune.models.audio.AudioFeatures} makes
     *     them
     * @throws IllegalArgumentException if the spectrogram does not have the model's size
     */
    Hidden forward(Var spectrogram, Pass pass);

    /** What stands for the whole sound, {@code [B, C]}, of what {@link #forward} gave. */
    Var features(Hidden hidden, Pass pass);
}
