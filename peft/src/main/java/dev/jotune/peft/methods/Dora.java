package dev.jotune.peft.methods;

import dev.jotune.autograd.InPlace;
import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Dropout;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.RowProjection;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.tensor.expr.Expr;
import java.util.function.UnaryOperator;

/**
 * DoRA: Weight-Decomposed Low-Rank Adaptation (Liu et al., arXiv 2402.09353): {@link Lora} with {@code use_dora}.
 *
 * <p>{@code W' = diag(m / n) (W + s B A)} with a trained magnitude {@code m [out]} and the norms of the rows of the sum,
 * {@code n [out]} (equation 5), which count as constants for the gradient (section 4.3). m starts as n, which {@link DoraNorm}
 * computes. It is that of the model's own weight, also where another adapter lies in between.
 */
record Dora(Direction direction, DoraNorm norm, Var magnitude, double dropout) implements RowProjection {
    private static final Expr X = Expr.input(0);
    /** {@code z + (g - 1) (z - b)}: z itself, to the bit, where g is 1. */
    private static final MapOp SCALED = MapOp.of("dora", 3,
            X.plus(Expr.input(1).plus(-1).times(X.minus(Expr.input(2)))));
    /** {@code y + (g - 1) u + g l}. */
    private static final MapOp DROPPED = MapOp.of("dora_dropped", 4, X.plus(Expr.input(1).plus(-1).times(Expr.input(2)))
            .plus(Expr.input(1).times(Expr.input(3))));

    /** The trained direction {@code W + s B A} of one layer. */
    record Direction(Var a, Var b, double scale) {
        Var weight(Var w) {
            return w.addScaled(b.matmul(a), scale);
        }

        /** {@code B (s A) x}. */
        Var term(Var x) {
            return Linear.apply(scaled(x), b);
        }

        Var scaled(Var x) {
            return Linear.apply(x, a.mul(scale));
        }
    }

    /** With a magnitude of its own. */
    static Dora on(Attachment a, LinearLayer layer, Direction direction, double dropout) {
        DoraNorm norm = new DoraNorm(layer, direction);
        return new Dora(direction, norm, a.trainable(Attachment.key(layer.path()) + ".lora_magnitude_vector",
                Init.of(() -> norm.bare().tensor()), layer.out()), dropout);
    }

    /** {@code g = m / n [out]}. */
    private Var gain(LinearLayer layer, Pass pass) {
        return magnitude.div(norm.of(layer, pass.groups().getFirst(), pass.training()));
    }

    /** {@code y = b + m / n (W x + s B A x)}; with dropout, as PEFT has it, {@code W x + b + (m / n - 1) W d(x) + m / n s B A d(x)}. */
    @Override
    public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
        Group group = pass.groups().getFirst();
        Var g = gain(layer, pass);
        if (pass.training() && dropout > 0) {
            Var dropped = Dropout.apply(x, dropout, pass.seed(), pass.stream(layer.path()));
            return DROPPED.apply(inner.apply(x), g, layer.linear(dropped, group), direction.term(dropped));
        }
        Var z = InPlace.addMatmul(inner.apply(x), direction.scaled(x), direction.b);
        return layer.bias().isEmpty() ? z.mul(g) : SCALED.apply(z, g, layer.bias().get().value(group));
    }

    /** On a table of embeddings: {@code y = m / n (e_i + s B A_i)}, m one number for each column of the table. */
    @Override
    public Var rows(Var below, UnaryOperator<Var> lookup, LinearLayer table, Pass pass) {
        Var term = Linear.apply(lookup.apply(direction.a.transpose(0, 1)), direction.b);
        return below.addScaled(term, direction.scale).mul(gain(table, pass));
    }

    /** {@code W' = diag(m / n) (W + s B A)}. */
    @Override
    public Var weight(Var w) {
        Var sum = direction.weight(w);
        return sum.mul(magnitude.div(norm.of(sum)).reshape(-1, 1));
    }
}
