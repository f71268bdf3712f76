package dev.jotune.models.seam;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.autograd.ops.Terms;
import dev.jotune.tensor.Tensor;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * Seam 1: a linear layer of a model, {@code y = f(x; W, theta)} with whatever is attached.
 *
 * @param path the module's checkpoint path, {@code model.layers.0.self_attn.q_proj}
 * @param weight as stored: {@code [out, in]}, or {@code [in, out]} if transposed
 * @param bias {@code [out]}
 * @param transposed whether the checkpoint stores {@code [in, out]}, as GPT-2's Conv1D
 */
public record LinearLayer(String path, Parameter weight, Optional<Parameter> bias, boolean transposed) {
    public LinearLayer(String path, Parameter weight, Optional<Parameter> bias) {
        this(path, weight, bias, false);
    }

    public long in() {
        return weight.size(transposed ? 0 : 1);
    }

    public long out() {
        return weight.size(transposed ? 1 : 0);
    }

    /** W as the equations have it, {@code [out, in]}, of a value stored as this layer's weight; and back again. */
    public Var oriented(Var stored) {
        return transposed ? stored.transpose(0, 1) : stored;
    }

    /** {@code x [B, .., in] -> [B, .., out]}; each group of rows under its own adapters. */
    public Var forward(Var x, Pass pass) {
        MixedRows mixed = MixedRows.of(this, x, pass);
        return mixed.pass().perGroup(x, (rows, group) -> forward(rows, Optional.empty(), group, mixed));
    }

    /** As {@link #forward(Var, Pass)}, plus {@code residual [B, .., out]}, which joins the product where that is possible. */
    public Var forward(Var x, Var residual, Pass pass) {
        MixedRows mixed = MixedRows.of(this, x, pass);
        return mixed.pass().perGroup(new Var[] {x, residual},
                (rows, group) -> new Var[] {forward(rows[0], Optional.of(rows[1]), group, mixed)})[0];
    }

    private Var forward(Var x, Optional<Var> residual, Group group, MixedRows mixed) {
        return mixed.isTogether(group) ? mixed.addTo(base(x, group, Optional.empty(), residual), x) : forward(x, residual, group, mixed.pass());
    }

    private Var forward(Var x, Optional<Var> residual, Group group, Pass pass) {
        List<Projection> chain = group.hooks().stream().map(h -> h.projections().get(path)).filter(Objects::nonNull).toList();
        if (chain.isEmpty()) {
            return base(x, group, Optional.empty(), residual);
        }
        Optional<Var> joined = chain.size() == 1 ? residual : Optional.empty();
        Pass own = pass.isUniform() ? pass : pass.within(group);
        UnaryOperator<Var> f = v -> innermost(chain.getFirst(), v, joined, group, own);
        for (Projection p : chain.subList(1, chain.size())) {
            UnaryOperator<Var> inner = f;
            f = v -> p.forward(v, inner, this, own);
        }
        Var y = f.apply(x);
        return residual.isPresent() && joined.isEmpty() ? y.add(residual.get()) : y;
    }

    private Var innermost(Projection p, Var x, Optional<Var> residual, Group group, Pass pass) {
        Optional<Terms.LowRank> term = p.lowRank(x, this, pass);
        if (term.isPresent()) {
            return base(x, group, term, residual);
        }
        Var y = p.forward(x, v -> base(v, group), this, pass);
        return residual.isPresent() ? y.add(residual.get()) : y;
    }

    /** True if an adapter of the group reshapes this layer. */
    public boolean isTouched(Group group) {
        return group.hooks().stream().anyMatch(h -> h.projections().containsKey(path));
    }

    /** The layer without projections: {@code x W^T + b}. */
    public Var base(Var x, Group group) {
        return base(x, group, Optional.empty(), Optional.empty());
    }

    /** {@code x W^T}: the layer without projections and bias. */
    public Var linear(Var x, Group group) {
        return weight.projected(group, transposed, x.dtype()).product(x, transposed, weight.precision());
    }

    /** {@code x W^T} with W as it was before adapters were merged into it. */
    public Var unmerged(Var x, Group group) {
        return weight.isMerged() && !weight.isOverridden(group) ? weight.unmerged().product(x, transposed, weight.precision()) : linear(x, group);
    }

    private Var base(Var x, Group group, Optional<Terms.LowRank> lowRank, Optional<Var> residual) {
        return weight.projected(group, transposed, x.dtype())
                .product(x, transposed, new Terms(lowRank, bias.map(b -> b.value(group)), residual),
                        weight.precision());
    }

    /** The mean cross-entropy of {@code base(hidden) [M, out]} under labels {@code [M]}, without a bias; logits are never stored. */
    public Var crossEntropy(Var hidden, Tensor labels, Group group) {
        return crossEntropy(hidden, labels, CrossEntropy.Options.MEAN, group);
    }

    /** As {@link #crossEntropy(Var, Tensor, Group)}, with a cap or another reduction. */
    public Var crossEntropy(Var hidden, Tensor labels, CrossEntropy.Options options, Group group) {
        return weight.projected(group, transposed, hidden.dtype())
                .crossEntropy(hidden, transposed, labels, options, weight.precision());
    }
}
