package dev.jotune.peft.methods;

import dev.jotune.autograd.InPlace;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Dropout;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.autograd.ops.Terms;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import java.util.Optional;
import java.util.function.UnaryOperator;

/** LoRA at one layer: {@code W' = W + s B A}, and the bias that B may have, times s too. */
record LoraFactors(Var a, Var b, Optional<Var> bias, double scale, double dropout) implements Projection {
    /** {@code y = W x + B (s A) x}: two thin products instead of W', the second added where the first lies. */
    @Override
    public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
        Var sum = InPlace.addMatmul(inner.apply(x), Linear.apply(dropped(x, layer, pass), a.mul(scale)), b);
        return bias.isPresent() ? sum.addScaled(bias.get(), scale) : sum;
    }

    /** {@code s B A} of one x: the base layer's own product takes it along. */
    @Override
    public Optional<Terms.LowRank> lowRank(Var x, LinearLayer layer, Pass pass) {
        return bias.isEmpty() ? Optional.of(new Terms.LowRank(dropped(x, layer, pass), a, b, scale)) : Optional.empty();
    }

    private Var dropped(Var x, LinearLayer layer, Pass pass) {
        return pass.training() ? Dropout.apply(x, dropout, pass.seed(), pass.stream(layer.path())) : x;
    }

    /** {@code W' = W + s B A}. */
    @Override
    public Var weight(Var w) {
        return w.addScaled(b.matmul(a), scale);
    }

    @Override
    public Var bias(Var base) {
        if (bias.isEmpty()) {
            return base;
        }
        Var own = bias.get().mul(scale);
        return base == null ? own : base.add(own);
    }
}
