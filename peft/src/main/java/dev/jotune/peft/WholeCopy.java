package dev.jotune.peft;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.RowProjection;
import java.util.function.UnaryOperator;

/**
 * One reader's own copy of a weight that several share: {@code W' = C}. PEFT's {@code modules_to_save} parts a head from
 * the table of embeddings that it is tied to.
 *
 * @param copy C {@code [N, C]}
 * @param table whether the reader is the table, whose W is C transposed
 */
record WholeCopy(Var copy, boolean table) implements RowProjection {
    @Override
    public Var rows(Var below, UnaryOperator<Var> lookup, LinearLayer table, Pass pass) {
        return lookup.apply(copy);
    }

    @Override
    public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
        Var y = Linear.apply(x, copy);
        return layer.bias().isEmpty() ? y : y.add(layer.bias().get().value(pass.groups().getFirst()));
    }

    @Override
    public Var weight(Var w) {
        return table ? copy.transpose(0, 1) : copy;
    }
}
