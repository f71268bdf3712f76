package dev.jotune.models.generate;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;

/**
 * A formula over language models: what a combination computes at one place of a text. Formulas of formulas are one
 * formula, so that a model which stands in it twice runs once. Values are in double precision from the models' logits to
 * the result.
 */
sealed interface Term {

    /** V, the number of values. */
    int vocabularySize();

    /** What it is made of. */
    List<Term> parts();

    /** A computation with buffers of its own, given where the logits of each model stand. */
    Step step(Map<LanguageModel, Integer> leaves);

    /** Computes the values at one place. */
    @FunctionalInterface
    interface Step {

        /**
         * @param history tokens so far, of which {@code length} count
         * @param logits  [models][V of each]
         * @return [V], not to be changed, until the next call
         */
        double[] at(int[] history, int length, double[][] logits);
    }

    /** A model as a formula. */
    static Term of(LanguageModel model) {
        return model instanceof CompositeModel composite ? composite.root() : new Leaf(model);
    }

    static List<Term> of(LanguageModel... models) {
        return Arrays.stream(models).map(Term::of).toList();
    }

    /** A formula as a model: the model itself where the formula is nothing else. */
    default LanguageModel model() {
        return this instanceof Leaf leaf ? leaf.of : new CompositeModel(this);
    }

    /** Adds the models below, each once. */
    default void collect(Set<LanguageModel> models) {
        if (this instanceof Leaf leaf) {
            models.add(leaf.of);
        }
        parts().forEach(part -> part.collect(models));
    }

    /** @throws IllegalArgumentException if the numbers of values differ, or there is no part */
    static int sameVocabulary(List<Term> parts) {
        if (parts.isEmpty()) {
            throw new IllegalArgumentException("A combination of 0 models has no logits. Pass at least one model.");
        }
        int size = parts.getFirst().vocabularySize();
        for (int i = 1; i < parts.size(); i++) {
            if (parts.get(i).vocabularySize() != size) {
                throw new IllegalArgumentException("Models of different vocabularies cannot be combined: model 0 has "
                        + size + " tokens, model " + i + " has " + parts.get(i).vocabularySize()
                        + ". Combine models that share a tokenizer, or cut off what pads the longer vocabulary.");
            }
        }
        return size;
    }

    /** A model's own logits. */
    record Leaf(LanguageModel of) implements Term {

        @Override
        public int vocabularySize() {
            return of.vocabularySize();
        }

        @Override
        public List<Term> parts() {
            return List.of();
        }

        @Override
        public Step step(Map<LanguageModel, Integer> leaves) {
            int place = leaves.get(of);
            return (history, length, logits) -> logits[place];
        }
    }

    /** {@code sum of weights[i] * parts[i]}; what a part rules out is ruled out, whatever its weight's sign. */
    record Sum(int vocabularySize, List<Term> parts, List<Double> weights) implements Term {

        /** Sums of sums are one; equal terms are one; a term of weight 0 is left out, so that a sum may be empty: nothing but 0. */
        static Term of(List<Term> parts, double[] weights) {
            int size = sameVocabulary(parts);
            Map<Term, Double> terms = new LinkedHashMap<>();
            for (int i = 0; i < weights.length; i++) {
                if (!Double.isFinite(weights[i])) {
                    throw new IllegalArgumentException("The weight of model " + i + " is " + weights[i]
                            + ". Give it a finite number.");
                }
                collect(parts.get(i), weights[i], terms);
            }
            terms.values().removeIf(weight -> weight == 0);
            boolean one = terms.size() == 1 && terms.values().iterator().next() == 1;
            return one ? terms.keySet().iterator().next()
                    : new Sum(size, List.copyOf(terms.keySet()), List.copyOf(terms.values()));
        }

        private static void collect(Term part, double weight, Map<Term, Double> terms) {
            if (part instanceof Sum inner) {
                for (int i = 0; i < inner.parts.size(); i++) {
                    collect(inner.parts.get(i), weight * inner.weights.get(i), terms);
                }
            } else {
                terms.merge(part, weight, Double::sum);
            }
        }

        @Override
        public Step step(Map<LanguageModel, Integer> leaves) {
            Step[] steps = steps(parts, leaves);
            double[] factors = weights.stream().mapToDouble(Double::doubleValue).toArray();
            double[] out = new double[vocabularySize];
            return (history, length, logits) -> {
                Arrays.fill(out, 0);
                for (int i = 0; i < steps.length; i++) {
                    double[] part = steps[i].at(history, length, logits);
                    for (int token = 0; token < out.length; token++) {
                        // Minus a member's minus infinity would make the token certain.
                        out[token] = part[token] == Double.NEGATIVE_INFINITY ? part[token] : out[token] + factors[i] * part[token];
                    }
                }
                return out;
            };
        }
    }

    /** {@code ln sum of shares[i] * softmax(parts[i])}. */
    record Mixture(List<Term> parts, List<Double> shares) implements Term {

        public Mixture {
            sameVocabulary(parts);
        }

        @Override
        public int vocabularySize() {
            return parts.getFirst().vocabularySize();
        }

        @Override
        public Step step(Map<LanguageModel, Integer> leaves) {
            Step[] steps = steps(parts, leaves);
            double[] weights = shares.stream().mapToDouble(Double::doubleValue).toArray();
            double[] out = new double[vocabularySize()];
            return (history, length, logits) -> {
                Arrays.fill(out, 0);
                for (int i = 0; i < steps.length; i++) {
                    double[] part = steps[i].at(history, length, logits);
                    double normalizer = Distribution.logNormalizer(part);
                    for (int token = 0; token < out.length; token++) {
                        out[token] += weights[i] * Math.exp(part[token] - normalizer);
                    }
                }
                for (int token = 0; token < out.length; token++) {
                    out[token] = Math.log(out[token]);
                }
                return out;
            };
        }
    }

    /** {@code part - ln sum e^part}: log-probabilities. */
    record LogSoftmax(Term part) implements Term {

        @Override
        public int vocabularySize() {
            return part.vocabularySize();
        }

        @Override
        public List<Term> parts() {
            return List.of(part);
        }

        @Override
        public Step step(Map<LanguageModel, Integer> leaves) {
            Step inner = part.step(leaves);
            double[] out = new double[vocabularySize()];
            return (history, length, logits) -> {
                double[] values = inner.at(history, length, logits);
                double normalizer = Distribution.logNormalizer(values);
                for (int token = 0; token < out.length; token++) {
                    out[token] = values[token] - normalizer;
                }
                return out;
            };
        }
    }

    /**
     * {@code inside} where a rule keeps the token among {@code by}'s, {@code outside} elsewhere.
     *
     * @param outside one term, or none: the token is ruled out
     */
    record Gate(Term inside, List<Term> outside, Term by, Supplier<? extends LogitsProcessor> rule) implements Term {

        public Gate {
            sameVocabulary(outside.isEmpty() ? List.of(inside, by) : List.of(inside, by, outside.getFirst()));
        }

        @Override
        public int vocabularySize() {
            return inside.vocabularySize();
        }

        @Override
        public List<Term> parts() {
            return outside.isEmpty() ? List.of(inside, by) : List.of(inside, by, outside.getFirst());
        }

        @Override
        public Step step(Map<LanguageModel, Integer> leaves) {
            Step[] steps = steps(parts(), leaves);
            LogitsProcessor processor = rule.get();
            float[] kept = new float[vocabularySize()];
            double[] out = new double[kept.length];
            return (history, length, logits) -> {
                narrow(steps[1].at(history, length, logits), kept);
                processor.apply(history, length, kept);
                double[] in = steps[0].at(history, length, logits);
                double[] other = steps.length == 3 ? steps[2].at(history, length, logits) : null;
                for (int token = 0; token < out.length; token++) {
                    boolean keep = kept[token] != Float.NEGATIVE_INFINITY;
                    out[token] = keep ? in[token] : other == null ? Double.NEGATIVE_INFINITY : other[token];
                }
                return out;
            };
        }
    }

    /** What a processor makes of logits. */
    record Processed(Term part, Supplier<? extends LogitsProcessor> processor) implements Term {

        @Override
        public int vocabularySize() {
            return part.vocabularySize();
        }

        @Override
        public List<Term> parts() {
            return List.of(part);
        }

        @Override
        public Step step(Map<LanguageModel, Integer> leaves) {
            Step inner = part.step(leaves);
            LogitsProcessor own = processor.get();
            float[] changed = new float[vocabularySize()];
            double[] out = new double[changed.length];
            return (history, length, logits) -> {
                narrow(inner.at(history, length, logits), changed);
                own.apply(history, length, changed);
                for (int token = 0; token < out.length; token++) {
                    out[token] = changed[token];
                }
                return out;
            };
        }
    }

    /** The first logits alone. */
    record Cut(Term part, int vocabularySize) implements Term {

        @Override
        public List<Term> parts() {
            return List.of(part);
        }

        @Override
        public Step step(Map<LanguageModel, Integer> leaves) {
            Step inner = part.step(leaves);
            double[] out = new double[vocabularySize];
            return (history, length, logits) -> {
                System.arraycopy(inner.at(history, length, logits), 0, out, 0, out.length);
                return out;
            };
        }
    }

    private static Step[] steps(List<Term> parts, Map<LanguageModel, Integer> leaves) {
        return parts.stream().map(part -> part.step(leaves)).toArray(Step[]::new);
    }

    /** Rounds to what processors and models speak. */
    static void narrow(double[] values, float[] out) {
        for (int token = 0; token < out.length; token++) {
            out[token] = (float) values[token];
        }
    }
}
