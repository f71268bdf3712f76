package dev.jotune.peft.decoding;

import dev.jotune.models.generate.IncrementalSession;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.function.Function;

/** A model that is a table: any function from a history to logits. */
record Table(int vocabularySize, Function<int[], float[]> logits) implements LanguageModel {

    /** Logits of their own for every history, normal with this deviation. */
    static Table random(int vocabularySize, long seed, double deviation) {
        return new Table(vocabularySize, history -> {
            long stream = Arrays.hashCode(history);
            float[] out = new float[vocabularySize];
            for (int token = 0; token < vocabularySize; token++) {
                out[token] = (float) (deviation * Philox.normal(seed, stream, token));
            }
            return out;
        });
    }

    /** The next token's probabilities by the last token: [V][V], at the start those of token 0. */
    static Table bigram(double[][] probabilities) {
        return new Table(probabilities.length, history -> {
            float[] out = new float[probabilities.length];
            for (int token = 0; token < out.length; token++) {
                out[token] = (float) Math.log(probabilities[history[history.length - 1]][token]);
            }
            return out;
        });
    }

    @Override
    public int contextLength() {
        return Integer.MAX_VALUE;
    }

    @Override
    public Session open() {
        return new IncrementalSession(this) {
            @Override
            protected void advance(int[] history, int from, int to, float[] out) {
                System.arraycopy(logits.apply(Arrays.copyOf(history, to)), 0, out, 0, out.length);
            }

            @Override
            protected int truncate(int length) {
                return length;
            }

            @Override
            protected void release() {
                // A table holds nothing.
            }
        };
    }

    /** The logits of any model after a history. */
    static float[] after(LanguageModel model, int... history) {
        float[] out = new float[model.vocabularySize()];
        try (Session session = model.open()) {
            session.feed(history);
            session.logits(out);
        }
        return out;
    }

    static double[] softmax(float[] logits) {
        double[] wide = new double[logits.length];
        Arrays.setAll(wide, i -> logits[i]);
        return softmax(wide);
    }

    static double[] softmax(double[] logits) {
        double max = Arrays.stream(logits).max().orElseThrow();
        double sum = Arrays.stream(logits).map(x -> Math.exp(x - max)).sum();
        return Arrays.stream(logits).map(x -> Math.exp(x - max) / sum).toArray();
    }
}
