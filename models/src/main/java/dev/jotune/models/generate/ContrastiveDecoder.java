package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Runs a {@link ContrastiveSearch}: the candidates of a text are rows of the batch, of which one stays. */
final class ContrastiveDecoder {

    private final StatefulModel model;
    private final ContrastiveSearch search;
    private final Distribution distribution = new Distribution();
    private final Ranking ranking = new Ranking();

    ContrastiveDecoder(LanguageModel model, ContrastiveSearch search) {
        this.model = (StatefulModel) model;
        this.search = search;
    }

    /** A text, what of its states is needed, and the candidates of a step. */
    private final class Text {
        private final int number;
        private final Writing writing;
        private final LogitsProcessor processor;
        private final List<float[]> directions = new ArrayList<>();
        private final int[] tokens = new int[search.topK()];
        private final double[] probabilities = new double[search.topK()];
        private int candidates;

        Text(int number, Writing writing, float[][] states) {
            this.number = number;
            this.writing = writing;
            this.processor = LogitsProcessor.chain(writing.changes());
            for (float[] state : states) {
                directions.add(unit(state));
            }
        }

        void choose(float[] logits) {
            processor.apply(writing.history(), writing.length(), logits);
            distribution.of(logits);
            ranking.of(logits);
            for (candidates = 0; candidates < tokens.length && !ranking.isEmpty(); candidates++) {
                tokens[candidates] = ranking.next();
                probabilities[candidates] = distribution.probability(tokens[candidates]);
            }
        }

        /** The best of the candidates, whose states lie in rows {@code first} and after. */
        int best(StatefulBatch batch, int first) {
            int best = 0;
            double highest = Double.NEGATIVE_INFINITY;
            float[] direction = null;
            for (int i = 0; i < candidates; i++) {
                float[] own = unit(batch.states(first + i)[0]);
                double score = (1 - search.penaltyAlpha()) * probabilities[i] - search.penaltyAlpha() * similarity(own);
                if (score > highest) {
                    highest = score;
                    best = i;
                    direction = own;
                }
            }
            directions.add(direction);
            return best;
        }

        private double similarity(float[] own) {
            double most = -1;
            for (float[] earlier : directions) {
                double cosine = 0;
                for (int c = 0; c < own.length; c++) {
                    cosine += own[c] * earlier[c];
                }
                most = Math.max(most, cosine);
            }
            return most;
        }
    }

    private static float[] unit(float[] state) {
        double square = 0;
        for (float x : state) {
            square += (double) x * x;
        }
        float[] unit = new float[state.length];
        double norm = Math.sqrt(square);
        for (int c = 0; c < unit.length; c++) {
            unit[c] = norm == 0 ? 0 : (float) (state[c] / norm);
        }
        return unit;
    }

    List<List<Hypothesis>> write(List<Writing> texts) {
        Hypothesis[] done = new Hypothesis[texts.size()];
        float[][] logits = new float[texts.size()][model.vocabularySize()];
        List<Text> active = new ArrayList<>();
        try (StatefulBatch batch = model.openStateful(texts.size())) {
            batch.read(texts.stream().map(Writing::prompt).toArray(int[][]::new), logits);
            for (int b = 0; b < texts.size(); b++) {
                texts.get(b).promptWasRead();
                active.add(new Text(b, texts.get(b), batch.states(b)));
            }
            while (!active.isEmpty()) {
                logits = read(batch, active, logits);
                int[] rows = new int[active.size()];
                float[][] chosen = new float[active.size()][];
                int left = 0;
                int first = 0;
                for (Text text : List.copyOf(active)) {
                    int best = text.best(batch, first);
                    FinishReason reason = text.writing.take(text.tokens[best]);
                    if (reason == null) {
                        rows[left] = first + best;
                        chosen[left++] = logits[first + best];
                    } else {
                        active.remove(text);
                        done[text.number] = new Hypothesis(text.writing.finish(reason), Double.NaN);
                    }
                    first += text.candidates;
                }
                logits = Arrays.copyOf(chosen, left);
                if (left > 0) {
                    batch.reorder(Arrays.copyOf(rows, left));
                }
            }
        }
        return Arrays.stream(done).map(List::of).toList();
    }

    /** Reads the candidates of every text; gives the logits after each. */
    private float[][] read(StatefulBatch batch, List<Text> active, float[][] logits) {
        List<Integer> rows = new ArrayList<>();
        List<int[]> tokens = new ArrayList<>();
        for (int b = 0; b < active.size(); b++) {
            Text text = active.get(b);
            text.choose(logits[b]);
            for (int i = 0; i < text.candidates; i++) {
                rows.add(b);
                tokens.add(new int[] {text.tokens[i]});
            }
        }
        float[][] after = new float[rows.size()][model.vocabularySize()];
        batch.reorder(rows.stream().mapToInt(Integer::intValue).toArray());
        batch.read(tokens.toArray(int[][]::new), after);
        return after;
    }
}
