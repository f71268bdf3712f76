package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;

/**
 * Rows of a table by token id or position, each group of rows of a batch with its own table.
 *
 * @param weight {@code [N, C]}
 * @param scale factor of what is looked up
 * @param computeType of the result
 */
public record Table(Parameter weight, double scale, DType computeType) {
    /**
     * {@code ids [B, T] -> [B, T, C]}.
     *
     * @throws IndexOutOfBoundsException naming the id that is not a row
     */
    public Var rows(Tensor given, Pass pass) {
        Tensor ids = given.to(weight.backend());
        if (pass.isUniform()) {
            return weight.stored(pass.groups().getFirst()).lookup(ids, computeType).mul(scale);
        }
        // Ids travel through perGroup as numbers; a table of 2^24 rows is exact in F32.
        Var asNumbers = Var.constant(ids.to(computeType));
        return pass.perGroup(asNumbers, (x, g) ->
                weight.stored(g).lookup(x.tensor().contiguous().to(DType.I64), computeType)).mul(scale);
    }
}
