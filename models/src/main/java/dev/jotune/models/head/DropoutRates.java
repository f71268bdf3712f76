package dev.jotune.models.head;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;

/**
 * How much a model drops while training, as its configuration says; 0 is nothing.
 *
 * @param embedding of what the first block reads
 * @param attention of the probabilities of attention
 * @param residual of what a block adds to its state
 * @param inner of what a feed-forward part has between its two projections
 */
public record DropoutRates(double embedding, double attention, double residual, double inner) {
    public static final DropoutRates NONE = new DropoutRates(0, 0, 0, 0);

    /** {@code hidden_dropout_prob} and {@code attention_probs_dropout_prob}, as encoders of pictures and sounds have them. */
    public static DropoutRates ofVision(Config c) {
        double hidden = read(c, "hidden_dropout_prob", 0);
        return new DropoutRates(hidden, read(c, "attention_probs_dropout_prob", 0), hidden, 0);
    }

    /** {@code dropout}, {@code attention_dropout} and {@code activation_dropout}, as BART and Whisper have them. */
    public static DropoutRates ofBart(Config c, double otherwise) {
        double dropout = read(c, "dropout", otherwise);
        return new DropoutRates(dropout, read(c, "attention_dropout", 0), dropout, read(c, "activation_dropout", 0));
    }

    /**
     * One rate.
     *
     * @throws ModelException if it is not in [0, 1)
     */
    public static double read(Config c, String field, double otherwise) {
        double p = c.number(field, otherwise);
        if (!(p >= 0 && p < 1)) {
            throw new ModelException(c.origin() + ": '" + field + "' is " + p + ", expected a probability of at least 0 and less than 1.");
        }
        return p;
    }
}
