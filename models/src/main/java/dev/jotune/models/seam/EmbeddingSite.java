package dev.jotune.models.seam;

import java.util.Optional;

/**
 * A place where embeddings enter a model, and where virtual tokens may stand before them.
 *
 * @param name {@code embed}, {@code encoder.embed}, {@code decoder.embed}, {@code vision.embed}, {@code text.embed}
 * @param hiddenSize features of an embedding (C)
 * @param table the table {@code [V, C]} that token ids are looked up in; absent where the input is no text
 */
public record EmbeddingSite(String name, int hiddenSize, Optional<Parameter> table) {}
