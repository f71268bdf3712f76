package dev.jotune.models.seam;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.tensor.Tensor;
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
        return pass.perGroup(x, (rows, group) -> forward(rows, group, pass));
    }

    private Var forward(Var x, Group group, Pass pass) {
        UnaryOperator<Var> f = v -> base(v, group);
        for (Hooks h : group.hooks()) {
            Projection p = h.projections().get(path);
            if (p != null) {
                UnaryOperator<Var> inner = f;
                f = v -> p.forward(v, inner, this, pass);
            }
        }
        return f.apply(x);
    }

    /** True if an adapter of the group reshapes this layer. */
    public boolean isTouched(Group group) {
        return group.hooks().stream().anyMatch(h -> h.projections().containsKey(path));
    }

    /** The layer without projections: {@code x W^T + b}. */
    public Var base(Var x, Group group) {
        Var y = weight.stored(group).product(x, transposed, weight.precision());
        return bias.isEmpty() ? y : y.add(bias.get().value(group));
    }

    /** The mean cross-entropy of {@code base(hidden) [M, out]} under labels {@code [M]}, without a bias; logits are never stored. */
    public Var crossEntropy(Var hidden, Tensor labels, Group group) {
        return crossEntropy(hidden, labels, CrossEntropy.Options.MEAN, group);
    }

    /** As {@link #crossEntropy(Var, Tensor, Group)}, with a cap or another reduction. */
    public Var crossEntropy(Var hidden, Tensor labels, CrossEntropy.Options options, Group group) {
        return weight.stored(group).crossEntropy(hidden, transposed, labels, options, weight.precision());
    }
}
