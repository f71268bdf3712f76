package dev.jotune.models.seq2seq;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import java.util.Optional;

/**
 * From states to logits: {@code scale h W^T + bias}.
 *
 * @param layer W {@code [V, C]}
 * @param bias {@code [V]}, a constant that is not trained
 */
public record LmHead(LinearLayer layer, double scale, Optional<Tensor> bias) {
    /** Logits {@code [.., V]} of states {@code [.., C]}. */
    public Var logits(Var states, Pass pass) {
        Var y = layer.forward(states.mul(scale), pass);
        return bias.isPresent() ? y.add(Var.constant(bias.get())) : y;
    }

    /** The mean cross-entropy of labels {@code [B, T]} under states {@code [B, T, C]}; without a bias logits are never stored. */
    public Var loss(Var states, Tensor labels, Pass pass) {
        Tensor targets = labels.contiguous().to(states.backend());
        Tensor flat = targets.reshape(targets.numel());
        boolean plain = pass.isUniform() && bias.isEmpty() && !layer.isTouched(pass.groups().getFirst());
        return plain
                ? layer.crossEntropy(states.reshape(-1, layer.in()).mul(scale), flat, pass.groups().getFirst())
                : CrossEntropy.apply(logits(states, pass).reshape(-1, layer.out()), flat);
    }
}
