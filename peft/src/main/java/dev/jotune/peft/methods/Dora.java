package dev.jotune.peft.methods;

import dev.jotune.autograd.InPlace;
import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Dropout;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import dev.jotune.models.seam.RowProjection;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.expr.Expr;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * DoRA: Weight-Decomposed Low-Rank Adaptation (Liu et al., arXiv 2402.09353): {@link Lora} with {@code use_dora}.
 *
 * <p>{@code W' = diag(m / n) (W + s B A)} with a trained magnitude {@code m [out]} and the norms of the rows of the sum,
 * {@code n [out]} (equation 5), which count as constants for the gradient (section 4.3). m starts as n. The sum is never
 * formed: {@code n^2 = |W|^2 + 2 s (W A^T . B) 1 + s^2 (B A A^T . B) 1}, row by row. n is that of the model's own weight, also
 * where another adapter lies in between.
 */
final class Dora implements RowProjection {
    private static final Expr X = Expr.input(0);
    private static final Expr SCALE = Expr.rowInput(4);
    private static final MapOp SQUARES = MapOp.of("row_squares", 1, X.times(X).rowSum());
    /** Of {@code W A^T}, {@code B A A^T}, B, {@code |W|^2} and s. Rounding must not bring it below zero. */
    private static final MapOp NORM = MapOp.of("dora_norm", 5, Expr.rowInput(3)
            .plus(X.times(2).plus(Expr.input(1).times(SCALE)).times(Expr.input(2)).rowSum().times(SCALE)).max(Expr.of(0)).sqrt());
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

    /** A norm and what it was computed of. */
    private record Known(Parameter.Content weight, double[] a, double[] b, Var norm) {}

    private final LinearLayer place;
    final Direction direction;
    final double dropout;
    private Optional<Var> magnitude = Optional.empty();
    private Optional<Known> known = Optional.empty();
    private Parameter.Content measured;
    private Var squares;

    /** Without a magnitude yet, which starts as the {@link #norm}. */
    Dora(LinearLayer place, Direction direction, double dropout) {
        this.place = place;
        this.direction = direction;
        this.dropout = dropout;
    }

    Dora with(Var m) {
        magnitude = Optional.of(m);
        return this;
    }

    Var magnitude() {
        return magnitude.orElseThrow();
    }

    /** {@code n [out]}, not differentiated. */
    Var norm(LinearLayer layer, Group group, boolean training) {
        return Recording.off(() -> training ? computed(layer, group) : remembered(layer, group));
    }

    /** Decoding asks for every token: W is multiplied with A again only where something changed. */
    private synchronized Var remembered(LinearLayer layer, Group group) {
        Parameter.Content weight = layer.weight().unmergedContent();
        double[] a = direction.a.tensor().toDoubleArray();
        double[] b = direction.b.tensor().toDoubleArray();
        boolean own = layer.weight().isOverridden(group);
        if (own || known.filter(k -> k.weight == weight && Arrays.equals(k.a, a) && Arrays.equals(k.b, b)).isEmpty()) {
            Var norm = computed(layer, group);
            if (own) {
                return norm;
            }
            Scope.detach(norm.tensor());
            known = Optional.of(new Known(weight, a, b, norm));
        }
        return known.orElseThrow().norm;
    }

    private Var computed(LinearLayer layer, Group group) {
        Var a = direction.a.detach();
        Var b = direction.b.detach();
        Var wa = layer.unmerged(a, group).transpose(0, 1);
        return NORM.apply(wa, b.matmul(a.matmul(a.transpose(0, 1))), b, squares(layer, group), a.scalarLike(direction.scale))
                .reshape(layer.out());
    }

    /** {@code |W|^2 [out, 1]}, computed once for each weight. */
    private synchronized Var squares(LinearLayer layer, Group group) {
        if (layer.weight().isOverridden(group)) {
            return SQUARES.apply(layer.oriented(layer.weight().value(group))).detach();
        }
        Parameter.Content now = layer.weight().unmergedContent();
        if (measured != now) {
            try (Scope scope = Scope.open()) {
                squares = SQUARES.apply(layer.oriented(layer.weight().unmerged().dense()).to(direction.a.dtype()));
                Scope.detach(squares.tensor());
            }
            measured = now;
        }
        return squares;
    }

    /** {@code y = b + m / n (W x + s B A x)}; with dropout, as PEFT has it, {@code W x + b + (m / n - 1) W d(x) + m / n s B A d(x)}. */
    @Override
    public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
        Group group = pass.groups().getFirst();
        Var g = magnitude().div(norm(layer, group, pass.training()));
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
        return below.addScaled(term, direction.scale).mul(magnitude.orElseThrow().div(norm(table, pass.groups().getFirst(), pass.training())));
    }

    /** {@code W' = diag(m / n) (W + s B A)}; n is that of the model's own weight, also where other adapters are merged into W. */
    @Override
    public Var weight(Var w) {
        Var sum = direction.weight(w);
        Var n = Recording.off(() -> place.weight().isMerged() ? computed(place, Group.all(List.of())) : SQUARES.apply(sum.detach()).sqrt());
        return sum.mul(magnitude().div(n.reshape(-1)).reshape(-1, 1));
    }
}
