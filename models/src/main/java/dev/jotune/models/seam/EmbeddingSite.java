package dev.jotune.models.seam;

import java.util.Optional;

/**
 * A place where embeddings enter a model, and where virtual tokens may stand before them.
 *
 * @param name {@code embed}, {@code encoder.embed}, {@code decoder.embed}, {@code vision.embed}, {@code text.embed}
 * @param hiddenSize features of an embedding (C)
 * @param table the table {@code [V, C]} that token ids are looked up in; absent where the input is no text
 * @param layered whether virtual tokens may be made anew before every block behind it
 */
public record EmbeddingSite(String name, int hiddenSize, Optional<Parameter> table, boolean layered) {
    /** A site whose virtual tokens go through all blocks. */
    public EmbeddingSite(String name, int hiddenSize, Optional<Parameter> table) {
        this(name, hiddenSize, table, false);
    }
}
