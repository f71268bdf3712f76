package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;

/**
 * The end of a causal language model: next-token logits, and their loss.
 *
 * @param layer {@code [V, C]}
 * @param softcap c &gt; 0: logits pass through {@code c tanh(logit / c)}; 0: none
 */
public record CausalHead(LinearLayer layer, double softcap) {
    /** Logits {@code [B, T, V]} of hidden states {@code [B, T, C]}. */
    public Var logits(Var hidden, Pass pass) {
        Var logits = layer.forward(hidden, pass);
        return softcap > 0 ? Activations.softcap(logits, softcap) : logits;
    }

    /** The loss as {@link CausalLm#loss} defines it, of labels {@code [B, T]}. */
    public Var loss(Hidden hidden, Tensor labels, Pass pass) {
        long n = hidden.virtualTokens();
        long time = labels.size(1);
        // The state before each label: with virtual tokens the last of them predicts the first label.
        Var states = n > 0 ? hidden.states().slice(1, n - 1, n - 1 + time) : hidden.states().slice(1, 0, time - 1);
        Tensor targets = (n > 0 ? labels : labels.slice(1, 1, time)).contiguous().to(states.backend());
        Tensor flat = targets.reshape(targets.numel());
        return isPlain(pass) ? plain(states.reshape(-1, layer.in()), flat, CrossEntropy.Options.MEAN, pass)
                : CrossEntropy.apply(logits(states, pass).reshape(-1, layer.out()), flat);
    }

    /** As {@link CausalLm#losses}; never stores the logits of all states where it can. */
    Var losses(Var states, Tensor labels, Pass pass) {
        return isPlain(pass) ? plain(states, labels, CrossEntropy.Options.NONE, pass)
                : CrossEntropy.apply(logits(states.reshape(1, -1, layer.in()), pass).reshape(-1, layer.out()), labels,
                        CrossEntropy.Options.NONE);
    }

    private boolean isPlain(Pass pass) {
        return pass.isUniform() && layer.bias().isEmpty() && !layer.isTouched(pass.groups().getFirst());
    }

    private Var plain(Var states, Tensor labels, CrossEntropy.Options options, Pass pass) {
        return layer.crossEntropy(states, labels, options.withSoftcap(softcap), pass.groups().getFirst());
    }
}
