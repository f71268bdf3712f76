package dev.jotune.models.generate;

import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/**
 * The algebra of language models as functions from a history to logits. Every combination is a
 * {@link LanguageModel} again: its members keep a session each, all with the same history, and one that stands in a
 * formula twice keeps one. Members must share a vocabulary; the shortest of their contexts is the combination's.
 */
public final class Logits {

    /** How far the weights of a mixture may be from summing to 1. */
    private static final double WEIGHT_TOLERANCE = 1e-6;

    private Logits() {
    }

    /**
     * {@code sum of weights[i] * models[i]}, on logits. Combinations of combinations are one, the same model runs
     * once, and one of weight 0 not at all; a sum of nothing cannot be opened. A token that a member rules out (minus infinity) is ruled out.
     * Classifier-free guidance is {@code linear({conditional, unconditional}, s, 1 - s)}, proxy-tuning
     * (arXiv 2401.08565) {@code linear({base, expert, anti}, 1, alpha, -alpha)}.
     *
     * @throws IllegalArgumentException if vocabularies or counts differ, or a weight is not finite
     */
    public static LanguageModel linear(LanguageModel[] models, double... weights) {
        requireOneEach(models, weights);
        return Term.Sum.of(Term.of(models), weights).model();
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
        requireOneEach(models, weights);
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
        return new Term.Mixture(Term.of(models), Arrays.stream(weights).boxed().toList()).model();
    }

    private static void requireOneEach(LanguageModel[] models, double[] weights) {
        if (models.length != weights.length) {
            throw new IllegalArgumentException("There are " + models.length + " models and " + weights.length
                    + " weights. Give each model a weight.");
        }
    }

    /** {@code ln softmax(model)}: what weights of different models' logits should be given to, since logits have no zero. */
    public static LanguageModel logProbabilities(LanguageModel model) {
        Term term = Term.of(model);
        return term instanceof Term.LogSoftmax ? model : new Term.LogSoftmax(term).model();
    }

    /**
     * {@code model} among the tokens that a rule keeps of {@code by}'s; the others are ruled out. With {@link MinP} this is
     * contrastive decoding's plausibility constraint.
     *
     * @param rule makes one for each session, since processors keep buffers
     * @throws IllegalArgumentException if vocabularies differ
     */
    public static LanguageModel mask(LanguageModel model, LanguageModel by, Supplier<? extends LogitsProcessor> rule) {
        return new Term.Gate(Term.of(model), List.of(), Term.of(by), rule).model();
    }

    /**
     * {@code inside} for the tokens that a rule keeps of {@code by}'s, {@code outside} for the others.
     *
     * @throws IllegalArgumentException if vocabularies differ
     */
    public static LanguageModel gate(LanguageModel inside, LanguageModel outside, LanguageModel by,
                                     Supplier<? extends LogitsProcessor> rule) {
        return new Term.Gate(Term.of(inside), List.of(Term.of(outside)), Term.of(by), rule).model();
    }

    /**
     * The model over its first tokens alone, where what follows pads the vocabulary.
     *
     * @throws IllegalArgumentException if it has not so many
     */
    public static LanguageModel cut(LanguageModel model, int vocabularySize) {
        Require.atLeast("The number of tokens to keep", vocabularySize, 1, "A vocabulary has at least one.");
        if (vocabularySize > model.vocabularySize()) {
            throw new IllegalArgumentException("A vocabulary of " + model.vocabularySize() + " tokens cannot be cut to "
                    + vocabularySize + ". Cut the longer one.");
        }
        return vocabularySize == model.vocabularySize() ? model : new Term.Cut(Term.of(model), vocabularySize).model();
    }

    /**
     * A model that reads another prompt than the rest, and then the same text: a template of its own, or the condition
     * left out.
     *
     * @param mostAdded by how many tokens its prompt may be longer
     * @param change    from the prompt to its own, at least one token; asked once for each text
     */
    public static LanguageModel prompted(LanguageModel model, int mostAdded, UnaryOperator<int[]> change) {
        return new Prompted(model, mostAdded, change);
    }

    /**
     * {@code ln P(a | x, text)} by Bayes' rule over models of attributes (GeDi, arXiv 2009.06367, equation 3; Air-Decoding,
     * arXiv 2310.14892, equation 8), which a base model is steered with: {@code base + lambda posterior}.
     *
     * @param attributes one model for each attribute, at least two, usually one under different prefixes
     * @param wanted     a, counted from 0
     * @throws IllegalArgumentException if there is no such attribute, or vocabularies differ
     */
    public static LanguageModel posterior(List<LanguageModel> attributes, int wanted, Evidence evidence) {
        return new AttributePosterior(attributes, wanted, evidence);
    }

    /** The models that run where this one does, each once: a model's own self, or a combination's members. */
    public static List<LanguageModel> members(LanguageModel model) {
        return model instanceof CompositeModel composite ? composite.members() : List.of(model);
    }

    /**
     * What a combination makes of logits that its members gave elsewhere, in double precision from end to end.
     *
     * @param combination a result of this class or of {@link LanguageModel}'s own operations
     * @param logits      gives the logits [V] of each member
     * @param history     tokens so far, for constraints and processors; may be empty
     * @return [V]
     */
    public static double[] evaluate(LanguageModel combination, Function<LanguageModel, double[]> logits, int... history) {
        if (!(combination instanceof CompositeModel composite)) {
            return logits.apply(combination).clone();
        }
        double[][] each = composite.members().stream().map(logits).toArray(double[][]::new);
        for (int i = 0; i < each.length; i++) {
            int size = composite.members().get(i).vocabularySize();
            if (each[i].length != size) {
                throw new IllegalArgumentException("Member " + i + " of the combination has " + size + " tokens, but " + each[i].length
                        + " logits were given for it. Give one for each token.");
            }
        }
        return composite.step().at(history, history.length, each).clone();
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
        return new Term.Processed(Term.of(model), processor).model();
    }
}
