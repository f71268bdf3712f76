package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.DType;
import java.util.Optional;

/** Where token ids become vectors; embeddings that are given are used as they are, without the table's scale. */
public record TokenEmbedding(EmbeddingSite site, Table table) {
    /**
     * Registers the site {@code name} of a table with the seams.
     *
     * @param weight {@code [V, C]}
     * @param scale factor of what is looked up
     */
    public static TokenEmbedding of(String name, Parameter weight, double scale, DType computeType, Seams seams) {
        int width = Math.toIntExact(weight.size(1));
        return new TokenEmbedding(seams.add(new EmbeddingSite(name, width, Optional.of(weight), true)),
                new Table(weight, scale, computeType).in(seams));
    }

    /** Embeddings {@code [B, T, C]} of the input: looked up, or as given. */
    public Var embed(DecoderInput input, Pass pass) {
        return input.embeds().orElseGet(() -> table.rows(input.ids().get(), pass));
    }
}
