package dev.jotune.models.audio;

/** What frames of sound have in common. */
final class Frames {
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
