package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Dropout;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import dev.jotune.models.seam.RowProjection;
import java.util.function.UnaryOperator;

/**
 * Methods whose gradient takes something for a constant, with that held at its present value: then the gradient is the derivative, and
 * difference quotients can check it.
 */
public final class HeldConstants {
    private HeldConstants() {}

    /** The method in its place on a layer; itself where its gradient is its derivative. */
    public static Projection of(Projection method, LinearLayer layer, Group group) {
        return switch (method) {
            case Dora d -> new FixedNorm(d, d.norm().of(layer, group, true));
            case BlockRotation r when r.limit() < Double.POSITIVE_INFINITY -> new FixedCorrection(r, r.missing());
            case RowRotation r when r.rotation().limit() < Double.POSITIVE_INFINITY ->
                    new RowRotation(free(r.rotation(), r.rotation().missing()));
            default -> method;
        };
    }

    private static BlockRotation free(BlockRotation of, Var correction) {
        return new BlockRotation(of.triangle().add(correction), of.size(), of.terms(), Double.POSITIVE_INFINITY);
    }

    /** {@code W x + b + (m / n - 1) W d(x) + m / n s B A d(x)} with n as it was. */
    private record FixedNorm(Dora of, Var norm) implements RowProjection {
        @Override
        public Var rows(Var below, UnaryOperator<Var> lookup, LinearLayer table, Pass pass) {
            Var term = Linear.apply(lookup.apply(of.direction().a().transpose(0, 1)), of.direction().b());
            return below.addScaled(term, of.direction().scale()).mul(of.magnitude().div(norm));
        }

        @Override
        public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
            Var g = of.magnitude().div(norm);
            Var dropped = pass.training() && of.dropout() > 0 ? Dropout.apply(x, of.dropout(), pass.seed(), pass.stream(layer.path())) : x;
            return inner.apply(x).add(layer.linear(dropped, pass.groups().getFirst()).mul(g.add(-1))).add(of.direction().term(dropped).mul(g));
        }

        @Override
        public Var weight(Var w) {
            return of.direction().weight(w).mul(of.magnitude().div(norm).reshape(-1, 1));
        }
    }

    /** A rotation by what the triangles and a correction are together. */
    private record FixedCorrection(BlockRotation of, Var correction) implements Projection {
        @Override
        public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
            return free(of, correction).forward(x, inner, layer, pass);
        }

        @Override
        public Var weight(Var w) {
            return free(of, correction).weight(w);
        }
    }
}
