package dev.jotune.models;

import dev.jotune.models.seam.Pass;

/** A model that turns a text into one state a token, each seeing the whole text. */
public interface Encoder extends Backbone {
    /** The states {@code [B, n + T, C]} after the last block: n virtual tokens and the text. */
    Hidden forward(EncoderInput input, Pass pass);
}
