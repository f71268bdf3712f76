package dev.jotune.peft.weights;

import java.util.List;

/**
 * Spherical linear interpolation (Shoemake, Animating Rotation with Quaternion Curves, 1985) of two tensors a and b, flattened:
 * {@code (sin((1 - t) theta) a + sin(t theta) b) / sin(theta)} where theta is the angle between them. Nearly parallel ones, whose
 * sine is small, are joined by the straight line.
 *
 * @param t 0 gives a, 1 gives b
 * @param threshold cosine of the angle above which the line is taken
 */
public record Slerp(double t, double threshold) {
    /** The threshold of the common merging tools. */
    public static final double PARALLEL = 0.9995;

    /** Between a and b. */
    public Values between(Values a, Values b) {
        double lengths = Math.sqrt(Values.dot(a, a)) * Math.sqrt(Values.dot(b, b));
        double cosine = lengths == 0 ? 1 : Math.clamp(Values.dot(a, b) / lengths, -1, 1);
        if (Math.abs(cosine) > threshold) {
            return Values.sum(List.of(a, b), 1 - t, t);
        }
        double theta = Math.acos(cosine);
        return Values.sum(List.of(a, b), Math.sin((1 - t) * theta) / Math.sin(theta), Math.sin(t * theta) / Math.sin(theta));
    }
}
