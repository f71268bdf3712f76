package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Embedding;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Optional;

/**
 * Where token ids become vectors.
 *
 * @param table {@code [V, C]}
 * @param scale factor of what is looked up (Gemma: sqrt(C)); embeddings that are given are used as they are
 */
public record TokenEmbedding(EmbeddingSite site, Parameter table, double scale, DType computeType) {
    /** Registers the site {@code name} of a table with the seams. */
    public static TokenEmbedding of(String name, Parameter table, double scale, DType computeType, Seams seams) {
        int width = Math.toIntExact(table.base().size(1));
        return new TokenEmbedding(seams.add(new EmbeddingSite(name, width, Optional.of(table))), table, scale, computeType);
    }

    /** Embeddings {@code [B, T, C]} of the input: looked up, or as given. */
    public Var embed(DecoderInput input, Pass pass) {
        return input.embeds().orElseGet(() -> lookup(input.ids().get(), pass));
    }

    /** Embeddings {@code [B, T, C]} of ids {@code [B, T]}, each group of rows with its own table. */
    public Var lookup(Tensor given, Pass pass) {
        Tensor ids = given.to(table.base().backend());
        if (pass.isUniform()) {
            return Embedding.lookup(table.value(pass.groups().getFirst()), ids).to(computeType).mul(scale);
        }
        // Ids travel through perGroup as numbers; a table of 2^24 rows is exact in F32.
        Var asNumbers = Var.constant(ids.to(computeType));
        return pass.perGroup(asNumbers, (x, g) ->
                Embedding.lookup(table.value(g), x.tensor().contiguous().to(DType.I64)).to(computeType)).mul(scale);
    }
}
