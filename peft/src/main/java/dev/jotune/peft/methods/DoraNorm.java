package dev.jotune.peft.methods;

import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.peft.methods.Dora.Direction;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.expr.Expr;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * The norms {@code n [out]} of the rows of {@code W + s B A}, never differentiated. The sum is not formed:
 * {@code n^2 = |W|^2 + 2 s (W A^T . B) 1 + s^2 (B A A^T . B) 1}, row by row, W the model's own weight.
 */
final class DoraNorm {
    private static final Group BARE = Group.all(List.of());
    private static final Expr X = Expr.input(0);
    private static final Expr SCALE = Expr.rowInput(4);
    private static final MapOp SQUARES = MapOp.of("row_squares", 1, X.times(X).rowSum());
    /** Of {@code W A^T}, {@code B A A^T}, B, {@code |W|^2} and s. Rounding must not bring it below zero. */
    private static final MapOp NORM = MapOp.of("dora_norm", 5, Expr.rowInput(3)
            .plus(X.times(2).plus(Expr.input(1).times(SCALE)).times(Expr.input(2)).rowSum().times(SCALE)).max(Expr.of(0)).sqrt());

    /** A norm and what it was computed of. */
    private record Known(Parameter.Content weight, double[] a, double[] b, Var norm) {}

    private final LinearLayer place;
    private final Direction direction;
    private Optional<Known> known = Optional.empty();
    private Parameter.Content measured;
    private Var squares;

    DoraNorm(LinearLayer place, Direction direction) {
        this.place = place;
        this.direction = direction;
    }

    /** Where the rows of one group have weights of their own, of those. */
    Var of(LinearLayer layer, Group group, boolean training) {
        return Recording.off(() -> training ? computed(layer, group) : remembered(layer, group));
    }

    /** Of the model without adapters. */
    Var bare() {
        return of(place, BARE, true);
    }

    /** Of a sum that is at hand; of the model's own weight where W is not that, because other adapters are merged into it. */
    Var of(Var sum) {
        return place.weight().isMerged() ? bare() : Recording.off(() -> SQUARES.apply(sum.detach()).sqrt()).reshape(-1);
    }

    /** Decoding asks for every token: W is multiplied with A again only where something changed. */
    private synchronized Var remembered(LinearLayer layer, Group group) {
        Parameter.Content weight = layer.weight().unmergedContent();
        double[] a = direction.a().tensor().toDoubleArray();
        double[] b = direction.b().tensor().toDoubleArray();
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
        Var a = direction.a().detach();
        Var b = direction.b().detach();
        Var wa = layer.unmerged(a, group).transpose(0, 1);
        return NORM.apply(wa, b.matmul(a.matmul(a.transpose(0, 1))), b, squares(layer, group), a.scalarLike(direction.scale()))
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
                squares = SQUARES.apply(layer.oriented(layer.weight().unmerged().dense()).to(direction.a().dtype()));
                Scope.detach(squares.tensor());
            }
            measured = now;
        }
        return squares;
    }
}
