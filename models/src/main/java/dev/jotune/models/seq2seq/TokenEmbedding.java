package dev.jotune.models.seq2seq;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Embedding;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.StoredWeight;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.OptionalInt;

/**
 * Rows of a table by token id or position, each group of rows with its own table.
 *
 * @param table {@code [V, C]}
 * @param padding a row that gets no gradient, as torch's {@code padding_idx}
 * @param scale what rows are multiplied with
 * @param computeType of the result
 */
public record TokenEmbedding(Parameter table, OptionalInt padding, double scale, DType computeType) {
    /** {@code ids [B, T] -> [B, T, C]}. */
    public Var rows(Tensor ids, Pass pass) {
        if (pass.isUniform()) {
            return lookup(ids, pass.groups().getFirst());
        }
        // Ids travel through perGroup as numbers; a table of 2^24 rows is exact in F32.
        return pass.perGroup(Var.constant(ids.to(computeType)), (x, g) -> lookup(x.tensor().contiguous().to(DType.I64), g));
    }

    private Var lookup(Tensor ids, Group g) {
        StoredWeight t = table.stored(g);
        Var rows = padding.isPresent() && t instanceof StoredWeight.Dense(Var value)
                ? Embedding.lookup(value, ids, padding.getAsInt()).to(computeType) : t.lookup(ids, computeType);
        return rows.mul(scale);
    }
}
