package dev.jotune.models;

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
 * Rows of a table by token id or position, each group of rows of a batch with its own table.
 *
 * @param weight {@code [N, C]}
 * @param padding a row that gets no gradient, as torch's {@code padding_idx}
 * @param scale factor of what is looked up
 * @param computeType of the result
 */
public record Table(Parameter weight, OptionalInt padding, double scale, DType computeType) {
    public Table(Parameter weight, double scale, DType computeType) {
        this(weight, OptionalInt.empty(), scale, computeType);
    }

    /**
     * {@code ids [B, T] -> [B, T, C]}.
     *
     * @throws IndexOutOfBoundsException naming the id that is not a row
     */
    public Var rows(Tensor given, Pass pass) {
        Tensor ids = given.to(weight.backend());
        if (pass.isUniform()) {
            return lookup(ids, pass.groups().getFirst());
        }
        // Ids travel through perGroup as numbers; a table of 2^24 rows is exact in F32.
        return pass.perGroup(Var.constant(ids.to(computeType)), (x, g) -> lookup(x.tensor().contiguous().to(DType.I64), g));
    }

    private Var lookup(Tensor ids, Group g) {
        StoredWeight t = weight.stored(g);
        Var rows = padding.isPresent() && t instanceof StoredWeight.Dense(Var value)
                ? Embedding.lookup(value, ids, padding.getAsInt()).to(computeType) : t.lookup(ids, computeType);
        return rows.mul(scale);
    }
}
