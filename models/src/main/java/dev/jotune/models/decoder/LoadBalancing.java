package dev.jotune.models.decoder;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Softmax;
import dev.jotune.tensor.Tensor;
import java.util.List;
import java.util.Optional;

/**
 * The load-balancing loss of a mixture of experts (Fedus et al., arXiv 2101.03961, equations 4 to 6), over all layers
 * together as transformers computes it: {@code E sum_e f_e P_e}, f_e the share of tokens that go to expert e (they sum to
 * K), P_e its mean probability. Padding does not count. It is 1 times K where all experts are used alike.
 */
final class LoadBalancing {
    private LoadBalancing() {}

    /**
     * The loss, which carries a gradient through the probabilities.
     *
     * @param routed router logits {@code [B, n + T, E]} of each layer, n virtual tokens first
     * @param mask of the text {@code [B, T]}, 0 at padding
     */
    static Var loss(List<Var> routed, int perToken, Optional<Tensor> mask) {
        Var probability = null;
        RouterStatistics all = null;
        for (Var logits : routed) {
            double[] counts = RouterStatistics.counted(logits.tensor(), mask);
            long experts = logits.size(2);
            Var p = Softmax.softmax(logits.reshape(-1, experts));
            Tensor weights = Tensor.of(p.backend(), p.dtype(), counts, counts.length, 1);
            Var sum = p.mul(Var.constant(weights)).sum(0);
            probability = probability == null ? sum : probability.add(sum);
            RouterStatistics s = RouterStatistics.of(logits.tensor(), perToken, mask);
            all = all == null ? s : all.plus(s);
        }
        double[] shares = all.shares();
        Var f = Var.constant(Tensor.of(probability.backend(), probability.dtype(), shares, shares.length));
        return probability.mul(f).sum().mul((double) shares.length / all.tokens());
    }
}
