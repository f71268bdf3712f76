package dev.jotune.peft.weights;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * Model soups (Wortsman et al., arXiv 2203.05482): the average of the weights of fine-tunings of one model,
 * {@code W = (1 / k) sum of W_i}. Costs one model when it runs.
 */
public final class Soup {
    private Soup() {}

    /** The uniform soup. */
    public static Values uniform(List<Values> models) {
        double[] weights = new double[models.size()];
        Arrays.fill(weights, 1.0 / models.size());
        // Exact for equal models: a sum of k shares of 1 / k may miss the number itself.
        Values first = models.getFirst();
        return Values.sum(List.of(first, Values.sum(models.stream().map(m -> m.minus(first)).toList(), weights)), 1, 1);
    }

    /**
     * The weighted average, {@code sum of w_i W_i / sum of w_i}.
     *
     * @throws IllegalArgumentException if the weights add up to zero
     */
    public static Values weighted(List<Values> models, double... weights) {
        double sum = Arrays.stream(weights).sum();
        if (sum == 0) {
            throw new IllegalArgumentException("the weights add up to 0, and the average divides by that. Use task arithmetic, "
                    + "which does not.");
        }
        return Values.sum(models, Arrays.stream(weights).map(w -> w / sum).toArray());
    }

    /**
     * The greedy soup, the paper's recipe 1: models join in the order of their own scores, each if the average with it scores
     * higher than without. So the soup scores at least as high as the best single model, on the data that scores are taken on.
     *
     * @param models at least one
     * @param score of the uniform soup of some of them, on held-out data; more is better
     * @return the ingredients, the best model first
     */
    public static <T> List<T> greedy(List<T> models, ToDoubleFunction<List<T>> score) {
        record Scored<T>(T model, double score) {}
        List<Scored<T>> order = models.stream().map(m -> new Scored<>(m, score.applyAsDouble(List.of(m))))
                .sorted(Comparator.comparingDouble((Scored<T> s) -> s.score()).reversed()).toList();
        List<T> soup = new ArrayList<>(List.of(order.getFirst().model()));
        double best = order.getFirst().score();
        for (Scored<T> next : order.subList(1, order.size())) {
            List<T> with = new ArrayList<>(soup);
            with.add(next.model());
            double got = score.applyAsDouble(with);
            if (got > best) {
                best = got;
                soup = with;
            }
        }
        return List.copyOf(soup);
    }
}
