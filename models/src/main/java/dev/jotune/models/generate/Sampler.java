package dev.jotune.models.generate;

import dev.jotune.tensor.random.Philox;
import java.util.List;

/**
 * Chooses the next token: the processors change the logits, then the most likely token is taken or one is drawn. The
 * draw of a step is a pure function of seed, row and step, so a text can be made again from any step on and does not
 * depend on what else is decoded beside it. Not for use by several threads.
 */
public final class Sampler {

    private final LogitsProcessor processor;
    private final boolean greedy;
    private final long seed;
    private final long row;
    private double[] cumulative = new double[0];

    /**
     * @param options      settings
     * @param promptLength number of the prompt's tokens
     * @param row          which text of several; each has random numbers of its own
     */
    public Sampler(SamplingOptions options, int promptLength, long row) {
        this(options.processors(promptLength), options.isGreedy(), options.seed(), row);
    }

    /**
     * @param processors applied in their order
     * @param greedy     take the most likely token
     * @param seed       Philox's key
     * @param row        Philox's stream
     */
    public Sampler(List<? extends LogitsProcessor> processors, boolean greedy, long seed, long row) {
        this.processor = LogitsProcessor.chain(processors);
        this.greedy = greedy;
        this.seed = seed;
        this.row = row;
    }

    /**
     * The token after a history.
     *
     * @param history token ids, of which {@code length} count
     * @param logits  [V] changed by the processors
     * @param step    number of tokens chosen before
     * @throws IllegalStateException if no token is left or the logits hold NaN
     */
    public int next(int[] history, int length, float[] logits, long step) {
        processor.apply(history, length, logits);
        return greedy ? argmax(logits) : draw(logits, Philox.uniformDouble(seed, row, step));
    }

    /**
     * The most likely token, of equals the one with the lowest id.
     *
     * @throws IllegalStateException if all tokens are ruled out or the logits hold NaN
     */
    public static int argmax(float[] logits) {
        float max = Distribution.max(logits);
        int token = 0;
        while (logits[token] != max) {
            token++;
        }
        return token;
    }

    /**
     * The token at which the summed probabilities exceed a number.
     *
     * @param uniform in [0, 1)
     */
    private int draw(float[] logits, double uniform) {
        double max = Distribution.max(logits);
        if (cumulative.length < logits.length) {
            cumulative = new double[logits.length];
        }
        double sum = 0;
        for (int i = 0; i < logits.length; i++) {
            sum += Math.exp(logits[i] - max);
            cumulative[i] = sum;
        }
        // The product is below the last sum even when it rounds up to it, so a token of probability 0 is never met.
        double target = Math.min(uniform * sum, Math.nextDown(sum));
        int low = 0;
        int high = logits.length - 1;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (cumulative[middle] > target) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        return low;
    }
}
