package dev.jotune.models.decoder;

import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Softmax;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.models.seam.Stack;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.LongStream;

/**
 * A sparse mixture of experts (Shazeer et al., arXiv 1701.06538; Jiang et al., arXiv 2401.04088): each token goes to the
 * K experts that its router finds most probable, {@code y = sum_k p_k expert_k(x)}, beside one that all tokens may share
 * (Dai et al., arXiv 2401.06066): {@code + sigmoid(g x) shared(x)}.
 *
 * <p>An expert computes only the tokens that go to it: rows are gathered by expert and their results added back. The
 * gradient reaches the router through the weights p of the chosen experts.
 */
final class MixtureOfExperts implements FeedForward {
    private final ExpertConfig config;
    private final LinearLayer router;
    private final List<GatedMlp> experts = new ArrayList<>();
    private final Optional<GatedMlp> shared;
    private final Optional<LinearLayer> sharedGate;
    private final String tap;

    /** @param tap the router's logits {@code [B, T, E]} */
    MixtureOfExperts(DecoderConfig c, String path, String tap, Weights w, Seams seams) {
        config = c.experts().get();
        router = w.linear(path + ".gate", config.count(), c.hiddenSize(), false);
        for (int e = 0; e < config.count(); e++) {
            experts.add(GatedMlp.of(path + ".experts." + e, config.names(), config.intermediateSize(), c, w, Optional.empty()));
        }
        // transformers calls the part mlp in every family and keeps the experts of a layer in two tensors.
        String published = path.substring(0, path.lastIndexOf('.')) + ".mlp";
        seams.add(Stack.of(published + ".gate", router));
        seams.add(new Stack(published + ".experts", "gate_up_proj", experts.stream().map(GatedMlp::inputs).toList()));
        seams.add(new Stack(published + ".experts", "down_proj", experts.stream().map(e -> List.of(e.down())).toList()));
        boolean all = config.sharedIntermediateSize() > 0;
        shared = all ? Optional.of(GatedMlp.of(path + ".shared_expert", config.names(), config.sharedIntermediateSize(), c, w,
                Optional.empty())) : Optional.empty();
        sharedGate = all ? Optional.of(w.linear(path + ".shared_expert_gate", 1, c.hiddenSize(), false)) : Optional.empty();
        this.tap = seams.addTap(tap, config.count());
    }

    @Override
    public Var forward(Var x, Optional<Var> residual, Pass pass, List<Var> routed) {
        Var y = forward(x, pass, routed);
        return residual.isPresent() ? residual.get().add(y) : y;
    }

    private Var forward(Var x, Pass pass, List<Var> routed) {
        Var logits = pass.tap(tap, router.forward(x, pass));
        routed.add(logits);
        // Tokens of one expert come from many rows, so each group of rows is sorted on its own.
        Var out = pass.perGroup(new Var[] {x, logits}, (v, g) -> new Var[] {mixed(v[0], v[1], pass.within(g))})[0];
        if (shared.isEmpty()) {
            return out;
        }
        Var share = Activations.sigmoid(sharedGate.get().forward(x, pass));
        return out.add(shared.get().forward(x, Optional.empty(), pass, routed).mul(share));
    }

    private Var mixed(Var x, Var logits, Pass pass) {
        long tokens = x.size(0) * x.size(1);
        int k = config.perToken();
        Var probabilities = Softmax.softmax(logits.reshape(tokens, config.count()));
        int[] chosen = chosen(logits.tensor(), k);
        Tensor index = Tensor.of(x.backend(), LongStream.range(0, chosen.length).map(i -> chosen[(int) i]).toArray(), tokens, k);
        Var weights = Lookup.alongLast(probabilities, index);
        if (config.normalised()) {
            weights = weights.div(weights.sum(1).reshape(tokens, 1));
        }
        Order order = Order.of(chosen, config.count());
        Tensor slots = Tensor.of(x.backend(), order.slots(), chosen.length);
        Tensor rows = Tensor.of(x.backend(), LongStream.of(order.slots()).map(s -> s / k).toArray(), chosen.length);
        Var sorted = Lookup.gather(x.reshape(tokens, x.size(2)), rows);
        List<Var> parts = new ArrayList<>();
        for (int e = 0; e < experts.size(); e++) {
            if (order.from()[e] < order.from()[e + 1]) {
                parts.add(experts.get(e).forward(sorted.slice(0, order.from()[e], order.from()[e + 1]), Optional.empty(), pass, List.of()));
            }
        }
        Var results = Var.concat(0, parts.toArray(Var[]::new)).mul(Lookup.gather(weights.reshape(-1, 1), slots));
        return Lookup.scatterAdd(results, rows, tokens).reshape(x.shape());
    }

    /**
     * The choices of all tokens by expert.
     *
     * @param slots token times K plus place among its choices
     * @param from where the slots of each expert begin, and the end of all
     */
    private record Order(long[] slots, int[] from) {
        static Order of(int[] chosen, int experts) {
            int[] from = new int[experts + 1];
            for (int e : chosen) {
                from[e + 1]++;
            }
            for (int e = 0; e < experts; e++) {
                from[e + 1] += from[e];
            }
            int[] next = from.clone();
            long[] slots = new long[chosen.length];
            for (int s = 0; s < chosen.length; s++) {
                slots[next[chosen[s]]++] = s;
            }
            return new Order(slots, from);
        }
    }

    /** The k largest of each row of {@code logits [.., E]}, best first, row after row; of equal ones the first. */
    static int[] chosen(Tensor logits, int k) {
        double[] all = logits.toDoubleArray();
        int experts = Math.toIntExact(logits.size(-1));
        int rows = all.length / experts;
        int[] out = new int[rows * k];
        for (int row = 0; row < rows; row++) {
            for (int j = 0; j < k; j++) {
                int best = -1;
                for (int e = 0; e < experts; e++) {
                    boolean better = best < 0 || all[row * experts + e] > all[row * experts + best];
                    if (better && !taken(out, row * k, j, e)) {
                        best = e;
                    }
                }
                out[row * k + j] = best;
            }
        }
        return out;
    }

    private static boolean taken(int[] out, int from, int count, int expert) {
        for (int j = 0; j < count; j++) {
            if (out[from + j] == expert) {
                return true;
            }
        }
        return false;
    }
}
