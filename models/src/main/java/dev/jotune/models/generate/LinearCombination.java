package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * {@code sum of w_i * logits_i}. A combination of combinations is one combination, so a model that appears twice
 * (as in {@code uncond + s (cond - uncond)}) runs once, and a model of weight 0 not at all.
 */
final class LinearCombination extends CompositeModel {

    private final double[] weights;

    private LinearCombination(List<LanguageModel> members, double[] weights) {
        super(members);
        this.weights = weights;
    }

    static LanguageModel of(LanguageModel[] models, double[] weights) {
        if (models.length != weights.length) {
            throw new IllegalArgumentException("There are " + models.length + " models and " + weights.length
                    + " weights. Give each model a weight.");
        }
        // Models of weight 0 are checked like the others, although they do not run.
        List<LanguageModel> all = List.of(models);
        LinearCombination whole = new LinearCombination(all, weights.clone());
        Map<LanguageModel, Double> terms = new LinkedHashMap<>();
        whole.collect(1, terms);
        terms.values().removeIf(weight -> weight == 0);
        if (terms.isEmpty()) {
            throw new IllegalArgumentException("All weights of the combination are or add up to 0, which leaves no "
                    + "model. Give one of them a weight.");
        }
        return new LinearCombination(new ArrayList<>(terms.keySet()),
                terms.values().stream().mapToDouble(Double::doubleValue).toArray());
    }

    private void collect(double factor, Map<LanguageModel, Double> terms) {
        for (int i = 0; i < weights.length; i++) {
            if (!Double.isFinite(weights[i])) {
                throw new IllegalArgumentException("The weight of model " + i + " is " + weights[i]
                        + ". Give it a finite number.");
            }
            double weight = factor * weights[i];
            if (members.get(i) instanceof LinearCombination inner) {
                inner.collect(weight, terms);
            } else {
                terms.merge(members.get(i), weight, Double::sum);
            }
        }
    }

    @Override
    Combiner combiner() {
        return (history, length, logits, out) -> {
            for (int token = 0; token < out.length; token++) {
                double sum = 0;
                boolean ruledOut = false;
                for (int i = 0; i < weights.length; i++) {
                    ruledOut |= logits[i][token] == Float.NEGATIVE_INFINITY;
                    sum += weights[i] * logits[i][token];
                }
                // What any member rules out stays so; minus a member's minus infinity would make it certain.
                out[token] = ruledOut ? Float.NEGATIVE_INFINITY : (float) sum;
            }
        };
    }
}
