package dev.jotune.jmh.claims;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;

/** Means, spreads and texts of numbers. */
final class Numbers {
    private Numbers() {}

    static double mean(double... x) {
        return Arrays.stream(x).average().orElse(Double.NaN);
    }

    /** The standard deviation of a sample. */
    static double deviation(double... x) {
        double mean = mean(x);
        return Math.sqrt(Arrays.stream(x).map(v -> (v - mean) * (v - mean)).sum() / Math.max(1, x.length - 1));
    }

    /** The number that a share of all lies below. */
    static double quantile(double share, double... x) {
        double[] sorted = x.clone();
        Arrays.sort(sorted);
        double at = share * (sorted.length - 1);
        int below = (int) at;
        return sorted[below] + (at - below) * (sorted[Math.min(below + 1, sorted.length - 1)] - sorted[below]);
    }

    static double median(double... x) {
        return quantile(0.5, x);
    }

    /** The numbers of some rows. */
    static double[] of(List<Row> rows, String name, Predicate<Row> which) {
        return rows.stream().filter(which).mapToDouble(r -> r.number(name)).toArray();
    }

    static String format(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }

    /** All of them, such as {@code 0.58, 0.61}. */
    static String list(String format, double... x) {
        return String.join(", ", Arrays.stream(x).mapToObj(v -> format(format, v)).toList());
    }

    /** Mean and deviation, such as {@code 0.58 ± 0.03}. */
    static String spread(String format, double... x) {
        return format(format + " ± " + format, mean(x), deviation(x));
    }
}
