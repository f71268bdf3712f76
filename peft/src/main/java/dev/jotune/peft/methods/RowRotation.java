package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.RowProjection;
import java.util.function.UnaryOperator;

/** {@link Oft} on a table of embeddings E: the rows are turned, {@code E' = E R}, in terms of W = E^T {@code W' = R^T W}. */
record RowRotation(BlockRotation rotation) implements RowProjection {
    @Override
    public Var rows(Var below, UnaryOperator<Var> lookup, LinearLayer table, Pass pass) {
        return rotation.turned(below);
    }

    @Override
    public Var weight(Var w) {
        return rotation.turned(w.transpose(0, 1)).transpose(0, 1);
    }
}
