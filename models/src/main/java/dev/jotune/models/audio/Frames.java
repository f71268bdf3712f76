package dev.jotune.models.audio;

import java.util.Set;

/** What the kinds of features have in common. */
final class Frames {
    /** Fields of a configuration that follow from others, or leave the features alone. */
    static final Set<String> HARMLESS = Set.of("feature_size", "mel_filters", "n_samples", "nb_max_frames", "padding_side",
            "padding_value", "processor_class", "return_attention_mask");

    private Frames() {}

    /** Hann's window, {@code (1 - cos(2 pi i / period)) / 2}: periodic if the period is the length, symmetric if it is one less. */
    static double[] hann(int length, int period) {
        double[] w = new double[length];
        for (int i = 0; i < length; i++) {
            w[i] = 0.5 - 0.5 * Math.cos(2 * Math.PI * i / period);
        }
        return w;
    }
}
