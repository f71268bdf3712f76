package dev.jotune.models.generate;

import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.function.Supplier;

/**
 * The algebra of language models as functions from a history to logits. Every combination is a
 * {@link LanguageModel} again: its members keep a session each, all with the same history. Members must share a
 * vocabulary; the shortest of their contexts is the combination's.
 */
public final class Logits {

    /** How far the weights of a mixture may be from summing to 1. */
    private static final double WEIGHT_TOLERANCE = 1e-6;

    private Logits() {
    }

    /**
     * {@code sum of weights[i] * models[i]}, on logits. Combinations of combinations are one, the same model runs
     * once, and one of weight 0 not at all. A token that a member rules out (minus infinity) is ruled out.
     * Classifier-free guidance is {@code linear({conditional, unconditional}, s, 1 - s)}, proxy-tuning
     * (arXiv 2401.08565) {@code linear({base, expert, anti}, 1, alpha, -alpha)}.
     *
     * @throws IllegalArgumentException if vocabularies or counts differ, a weight is not finite, or none is left
     */
    public static LanguageModel linear(LanguageModel[] models, double... weights) {
        return LinearCombination.of(models, weights);
    }

    /** {@code factor * model}; the inverse of a temperature. */
    public static LanguageModel scale(double factor, LanguageModel model) {
        return model.times(factor);
    }

    /** {@code a + b}: the product of two experts' probabilities, normalised. */
    public static LanguageModel add(LanguageModel a, LanguageModel b) {
        return a.plus(b);
    }

    /** {@code a - b}. */
    public static LanguageModel subtract(LanguageModel a, LanguageModel b) {
        return a.minus(b);
    }

    /**
     * The mixture of probabilities {@code ln sum of weights[i] * softmax(models[i])}.
     *
     * @param weights not negative, summing to 1
     * @throws IllegalArgumentException if they are not, or vocabularies or counts differ
     */
    public static LanguageModel mix(LanguageModel[] models, double... weights) {
        if (models.length != weights.length) {
            throw new IllegalArgumentException("There are " + models.length + " models and " + weights.length
                    + " weights. Give each model a weight.");
        }
        double sum = 0;
        for (double weight : weights) {
            if (!(weight >= 0)) {
                throw new IllegalArgumentException("A mixture's weight is " + weight + ", but shares are not "
                        + "negative. To subtract logits, use linear.");
            }
            sum += weight;
        }
        if (!(Math.abs(sum - 1) <= WEIGHT_TOLERANCE)) {
            throw new IllegalArgumentException("The mixture's weights sum to " + sum + ", but shares sum to 1. "
                    + "Divide them by their sum.");
        }
        double[] shares = weights.clone();
        return new Combination(List.of(models), () -> mixer(shares));
    }

    private static CompositeModel.Combiner mixer(double[] shares) {
        Distribution distribution = new Distribution();
        double[][] sums = new double[1][];
        return (history, length, logits, out) -> {
            if (sums[0] == null) {
                sums[0] = new double[out.length];
            }
            double[] sum = sums[0];
            Arrays.fill(sum, 0);
            for (int i = 0; i < shares.length; i++) {
                distribution.of(logits[i]);
                for (int token = 0; token < sum.length; token++) {
                    sum[token] += shares[i] * distribution.probability(token);
                }
            }
            for (int token = 0; token < sum.length; token++) {
                out[token] = (float) Math.log(sum[token]);
            }
        };
    }

    /**
     * Contrastive decoding (Li et al., arXiv 2210.15097): the difference of the log-probabilities of an expert and an
     * amateur, over the tokens that the expert gives at least {@code alpha} times its best probability.
     *
     * @param alpha in (0, 1]
     * @throws IllegalArgumentException if alpha is outside, or vocabularies differ
     */
    public static LanguageModel contrastive(LanguageModel expert, LanguageModel amateur, double alpha) {
        double margin = Math.log(Require.share("alpha", alpha, "It is a share of the expert's best probability."));
        return new Combination(List.of(expert, amateur), () -> contrast(margin));
    }

    private static CompositeModel.Combiner contrast(double margin) {
        Distribution strong = new Distribution();
        Distribution weak = new Distribution();
        return (history, length, logits, out) -> {
            strong.of(logits[0]);
            weak.of(logits[1]);
            double least = Distribution.max(logits[0]) + margin;
            for (int token = 0; token < out.length; token++) {
                boolean plausible = logits[0][token] >= least && logits[1][token] != Float.NEGATIVE_INFINITY;
                out[token] = plausible
                        ? (float) (strong.logProbability(logits[0][token]) - weak.logProbability(logits[1][token]))
                        : Float.NEGATIVE_INFINITY;
            }
        };
    }

    /** Which tokens may come next. */
    @FunctionalInterface
    public interface Constraint {

        /**
         * @param history tokens so far, prompt included; only the first {@code length} count
         * @param length  number of tokens so far
         * @param token   the token in question
         */
        boolean allows(int[] history, int length, int token);
    }

    /** Rules out what a constraint does not allow; a generator fails where it allows nothing. */
    public static LanguageModel constrain(LanguageModel model, Constraint constraint) {
        return process(model, () -> (history, length, logits) -> {
            for (int token = 0; token < logits.length; token++) {
                if (logits[token] != Float.NEGATIVE_INFINITY && !constraint.allows(history, length, token)) {
                    logits[token] = Float.NEGATIVE_INFINITY;
                }
            }
        });
    }

    /**
     * Rules out all tokens but some.
     *
     * @throws IllegalArgumentException if none is given, or one is outside the vocabulary
     */
    public static LanguageModel constrain(LanguageModel model, int... allowedTokens) {
        Require.atLeast("The number of allowed tokens", allowedTokens.length, 1, "Allow at least one.");
        Require.inVocabulary("The set of allowed tokens", allowedTokens, model.vocabularySize());
        BitSet allowed = new BitSet();
        for (int token : allowedTokens) {
            allowed.set(token);
        }
        return constrain(model, (history, length, token) -> allowed.get(token));
    }

    /**
     * A model whose logits go through a processor, for a member of a combination; what comes last belongs to the
     * {@link Generator}.
     *
     * @param processor makes one for each session, since processors keep buffers
     */
    public static LanguageModel process(LanguageModel model, Supplier<? extends LogitsProcessor> processor) {
        return new Combination(List.of(model), () -> {
            LogitsProcessor own = processor.get();
            return (history, length, logits, out) -> {
                System.arraycopy(logits[0], 0, out, 0, out.length);
                own.apply(history, length, out);
            };
        });
    }

    private static final class Combination extends CompositeModel {

        private final Supplier<Combiner> combiners;

        Combination(List<LanguageModel> members, Supplier<Combiner> combiners) {
            super(members);
            this.combiners = combiners;
        }

        @Override
        Combiner combiner() {
            return combiners.get();
        }
    }
}
