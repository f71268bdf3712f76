package dev.jotune.peft.objectives;

import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.expr.Expr;
import java.util.Arrays;

/**
 * Losses of policies that learn from rewards, as functions of the log-probabilities of the tokens they wrote: N texts, T
 * tokens, mask 1 at tokens and 0 at padding.
 */
public final class PolicyLoss {
    private static final Expr A = Expr.input(0);
    private static final Expr B = Expr.input(1);
    private static final MapOp LOG1M_EXP = MapOp.of("log1m_exp", 1, A.exp().neg().log1p());
    private static final MapOp CLAMP = MapOp.of("clamp", 3, A.max(Expr.rowInput(1)).min(Expr.rowInput(2)));
    private static final MapOp LEAST = MapOp.of("least", 2, Expr.select(A.le(B), A, B));
    private static final MapOp MOST = MapOp.of("most", 2, Expr.select(A.ge(B), A, B));
    private static final MapOp CLAMP_AROUND = MapOp.of("clamp_around", 3,
            A.max(B.minus(Expr.rowInput(2))).min(B.plus(Expr.rowInput(2))));

    private PolicyLoss() {}

    /** {@code log(1 - e^x)} for x below 0. */
    static Var log1mExp(Var x) {
        return LOG1M_EXP.apply(x);
    }

    /**
     * PPO's clipped surrogate of each token (Schulman et al., arXiv 1707.06347, equation 7), to be minimised:
     * {@code -min(r A, clip(r, 1 - low, 1 + high) A)}, {@code r = e^(now - old)}.
     *
     * @param now {@code [N, T]}, with gradient
     * @param old {@code [N, T]}, of the policy that wrote the texts
     * @param advantages {@code [N, T]} or {@code [N, 1]}
     */
    public static Var clipped(Var now, Var old, Var advantages, double low, double high) {
        Var ratio = now.sub(old).exp();
        Var near = CLAMP.apply(ratio, ratio.scalarLike(1 - low), ratio.scalarLike(1 + high));
        return LEAST.apply(ratio.mul(advantages), near.mul(advantages)).neg();
    }

    /** {@code e^q - q - 1} of each token, {@code q = reference - now}: an estimate of the KL divergence that is never negative. */
    public static Var divergence(Var now, Var reference) {
        Var q = reference.sub(now);
        return q.exp().sub(q).add(-1);
    }

    /** PPO's value loss: {@code max((v - R)^2, (clip(v, old - c, old + c) - R)^2) / 2}, mean over real tokens. */
    public static Var value(Var values, Var old, Var returns, Var mask, double c) {
        Var near = CLAMP_AROUND.apply(values, old, values.scalarLike(c));
        return mean(MOST.apply(values.sub(returns).square(), near.sub(returns).square()).mul(0.5), mask);
    }

    /** The mean over real tokens. */
    public static Var mean(Var tokens, Var mask) {
        return tokens.mul(mask).sum().div(mask.sum());
    }

    /**
     * Generalised advantage estimation (arXiv 1506.02438, equation 16) of one text: advantages, then returns.
     *
     * @param values of each token; after the last one it is 0
     */
    public static double[][] generalizedAdvantages(double[] rewards, double[] values, double gamma, double lambda) {
        int n = rewards.length;
        double[][] out = new double[2][n];
        double next = 0;
        for (int t = n - 1; t >= 0; t--) {
            double delta = rewards[t] + (t + 1 < n ? gamma * values[t + 1] : 0) - values[t];
            next = delta + gamma * lambda * next;
            out[0][t] = next;
            out[1][t] = next + values[t];
        }
        return out;
    }

    /**
     * {@code (r - mean) / (std + eps)} within each group of texts that answer one prompt, with the unbiased deviation (Shao et
     * al., arXiv 2402.03300, section 4.1.2).
     */
    public static double[] groupAdvantages(double[] rewards, int group, double eps) {
        double[] out = centred(rewards, group);
        for (int from = 0; from < out.length; from += group) {
            double square = 0;
            for (int i = from; i < from + group; i++) {
                square += out[i] * out[i];
            }
            double deviation = Math.sqrt(square / (group - 1));
            for (int i = from; i < from + group; i++) {
                out[i] /= deviation + eps;
            }
        }
        return out;
    }

    /** {@code r - mean} within each group, not scaled, as Dr. GRPO wants it (arXiv 2503.20783, section 3.2). */
    public static double[] centred(double[] rewards, int group) {
        if (group < 2 || rewards.length % group != 0) {
            throw new IllegalArgumentException(rewards.length + " rewards are no groups of " + group
                    + ". Give at least two texts to each prompt, and a reward to each text.");
        }
        double[] out = new double[rewards.length];
        for (int from = 0; from < out.length; from += group) {
            double mean = Arrays.stream(rewards, from, from + group).average().orElseThrow();
            for (int i = from; i < from + group; i++) {
                out[i] = rewards[i] - mean;
            }
        }
        return out;
    }

    /** How the tokens' losses become one number. */
    public enum Aggregate {
        /** The mean over texts of their means: GRPO (arXiv 2402.03300, equation 3). */
        SEQUENCE,
        /** The mean over all tokens: DAPO (arXiv 2503.14476, equation 8). */
        TOKEN,
        /** The sum over all tokens by the number of texts times the most tokens of one: Dr. GRPO (arXiv 2503.20783). */
        CONSTANT
    }

    /**
     * @param tokens {@code [N, T]}
     * @param maxTokens for {@link Aggregate#CONSTANT}
     */
    public static Var aggregate(Var tokens, Var mask, Aggregate how, int maxTokens) {
        return switch (how) {
            case SEQUENCE -> tokens.mul(mask).sum(1).div(MOST.apply(mask.sum(1), mask.scalarLike(1))).mean();
            case TOKEN -> mean(tokens, mask);
            case CONSTANT -> tokens.mul(mask).sum().mul(1.0 / (tokens.size(0) * (double) maxTokens));
        };
    }
}
