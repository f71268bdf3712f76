package dev.jotune.models.generate;

/**
 * Divides the logits by a temperature: below 1 sharpens, above 1 flattens. First among the samplers.
 *
 * @param temperature above 0
 */
public record Temperature(double temperature) implements LogitsProcessor {

    /**
     * @throws IllegalArgumentException if the temperature is not positive and finite
     */
    public Temperature {
        Require.positive("temperature", temperature, "For the most likely token always, decode greedily.");
    }

    @Override
    public void apply(int[] history, int length, float[] logits) {
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) (logits[i] / temperature);
        }
    }
}
