package dev.jotune.models.decoder;

import dev.jotune.autograd.Recording;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Tap;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.TreeMap;

/**
 * What a router did with some tokens; padding does not count. Sums of statistics are statistics of all their tokens.
 *
 * @param tokens how many
 * @param tokensPerExpert how many went to each expert; together K times the tokens
 * @param probabilities the sum over the tokens of each expert's probability
 */
public record RouterStatistics(long tokens, long[] tokensPerExpert, double[] probabilities) {
    /** The tap of a layer's router logits {@code [B, T, E]}. */
    public static String tap(int layer) {
        return "layers." + layer + ".mlp.router";
    }

    /**
     * Statistics of router logits.
     *
     * @param logits {@code [B, n + T, E]}, n virtual tokens first
     * @param perToken K, experts that each token goes to
     * @param mask of the text {@code [B, T]}, 0 at padding
     */
    public static RouterStatistics of(Tensor logits, int perToken, Optional<Tensor> mask) {
        double[] counts = counted(logits, mask);
        int experts = Math.toIntExact(logits.size(2));
        int[] chosen = MixtureOfExperts.chosen(logits, perToken);
        double[] values = logits.toDoubleArray();
        long[] perExpert = new long[experts];
        double[] sums = new double[experts];
        long tokens = 0;
        for (int row = 0; row < counts.length; row++) {
            if (counts[row] == 0) {
                continue;
            }
            tokens++;
            for (int j = 0; j < perToken; j++) {
                perExpert[chosen[row * perToken + j]]++;
            }
            double max = Double.NEGATIVE_INFINITY;
            double total = 0;
            for (int e = 0; e < experts; e++) {
                max = Math.max(max, values[row * experts + e]);
            }
            for (int e = 0; e < experts; e++) {
                total += Math.exp(values[row * experts + e] - max);
            }
            for (int e = 0; e < experts; e++) {
                sums[e] += Math.exp(values[row * experts + e] - max) / total;
            }
        }
        return new RouterStatistics(tokens, perExpert, sums);
    }

    /** 1 for each row of {@code logits [B, n + T, E]} that counts, 0 at padding. */
    static double[] counted(Tensor logits, Optional<Tensor> mask) {
        int batch = Math.toIntExact(logits.size(0));
        int time = Math.toIntExact(logits.size(1));
        double[] counts = new double[batch * time];
        Arrays.fill(counts, 1);
        mask.ifPresent(m -> {
            double[] real = m.toDoubleArray();
            int text = Math.toIntExact(m.size(1));
            for (int i = 0; i < real.length; i++) {
                counts[i / text * time + time - text + i % text] = real[i] == 0 ? 0 : 1;
            }
        });
        return counts;
    }

    /**
     * Runs a text through the model under its active adapters and says what every router did.
     *
     * @return by layer, first layer first; layers without experts are absent
     * @throws IllegalArgumentException if the model has no experts
     */
    public static SequencedMap<Integer, RouterStatistics> observe(Decoder model, DecoderInput input) {
        ExpertConfig experts = model.config().experts().orElseThrow(() -> new IllegalArgumentException("a " + model.modelType()
                + " model has no routers. Give a mixture of experts."));
        Map<Integer, RouterStatistics> seen = new TreeMap<>();
        Map<String, Tap> taps = new LinkedHashMap<>();
        for (int i = 0; i < model.layers(); i++) {
            int layer = i;
            if (experts.sparse().get(i)) {
                taps.put(tap(i), (name, logits, pass) -> {
                    seen.put(layer, of(logits.tensor(), experts.perToken(), input.mask()));
                    return logits;
                });
            }
        }
        List<Hooks> hooks = new ArrayList<>(model.seams().inference().groups().getFirst().hooks());
        hooks.add(Hooks.ofTaps("router statistics", taps));
        Recording.off(() -> model.forward(input, new Pass(List.of(Group.all(hooks)), false, 0, 0), Optional.empty()));
        return new LinkedHashMap<>(seen);
    }

    /** Of the tokens of both. */
    public RouterStatistics plus(RouterStatistics o) {
        long[] n = tokensPerExpert.clone();
        double[] p = probabilities.clone();
        Arrays.setAll(n, e -> n[e] + o.tokensPerExpert[e]);
        Arrays.setAll(p, e -> p[e] + o.probabilities[e]);
        return new RouterStatistics(tokens + o.tokens, n, p);
    }

    /** The share of the tokens that go to each expert; together K. */
    public double[] shares() {
        return Arrays.stream(tokensPerExpert).mapToDouble(n -> (double) n / tokens).toArray();
    }

    /** Each expert's mean probability; together 1. */
    public double[] meanProbabilities() {
        return Arrays.stream(probabilities).map(p -> p / tokens).toArray();
    }

    /** {@code E sum_e f_e P_e}: K where all experts are used alike, more where some are preferred (arXiv 2101.03961). */
    public double loadBalancingLoss() {
        double[] f = shares();
        double[] p = meanProbabilities();
        double sum = 0;
        for (int e = 0; e < f.length; e++) {
            sum += f[e] * p[e];
        }
        return f.length * sum;
    }
}
