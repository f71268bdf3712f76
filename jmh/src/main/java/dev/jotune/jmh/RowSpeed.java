package dev.jotune.jmh;

import java.util.Arrays;
import java.util.Locale;

/**
 * Prints one JSON line a case and size: {@code {"case", "size", "engine", "gelem_s_median", "gelem_s_best"}}, billions
 * of elements a second. {@code bench/cpu/rows_torch.py} prints the same of PyTorch; run them in turn, not together.
 *
 * <p>Arguments: cases, sizes and seconds for each, such as {@code softmax,exp 128x768 0.7}. One thread:
 * {@code -Djotune.threads=1}; and {@code -XX:Tier3DelayOn=1000000}, or a busy compiler may leave a loop uncompiled for
 * seconds.
 */
public final class RowSpeed {
    /** Long enough for the clock to cost nothing, short enough for the best one to be undisturbed. */
    private static final long SAMPLE_NANOS = 500_000;
    /** What the compiler gets before anything counts: a vector loop is compiled twice on its way. */
    private static final long WARM_UP_NANOS = 2_500_000_000L;

    private RowSpeed() {}

    public static void main(String[] args) {
        String[] cases = args.length > 0 && !args[0].equals("all") ? args[0].split(",") : Rows.CASES.toArray(String[]::new);
        String[] sizes = args.length > 1 ? args[1].split(",") : new String[] {"128x768", "2048x3072"};
        double seconds = args.length > 2 ? Double.parseDouble(args[2]) : 0.7;
        for (String size : sizes) {
            String[] sides = size.split("x");
            Rows rows = new Rows(Long.parseLong(sides[0]), Long.parseLong(sides[1]));
            for (String name : cases) {
                double[] rates = measure(rows.operation(name), rows.elements(), (long) (seconds * 1e9));
                System.out.println(String.format(Locale.ROOT,
                        "{\"case\": \"%s\", \"size\": \"%s\", \"engine\": \"jotune\", \"gelem_s_median\": %.3f, \"gelem_s_best\": %.3f}",
                        name, size, rates[rates.length / 2], rates[rates.length - 1]));
            }
        }
    }

    private static double[] measure(Runnable operation, long elements, long nanos) {
        repeat(operation, WARM_UP_NANOS);
        long start = System.nanoTime();
        operation.run();
        int calls = (int) Math.max(1, SAMPLE_NANOS / Math.max(1, System.nanoTime() - start));
        double[] rates = new double[100_000];
        int count = 0;
        for (long end = System.nanoTime() + nanos; count < rates.length && System.nanoTime() < end; count++) {
            start = System.nanoTime();
            for (int i = 0; i < calls; i++) {
                operation.run();
            }
            rates[count] = (double) calls * elements / (System.nanoTime() - start);
        }
        rates = Arrays.copyOf(rates, count);
        Arrays.sort(rates);
        return rates;
    }

    private static void repeat(Runnable operation, long nanos) {
        for (long end = System.nanoTime() + nanos; System.nanoTime() < end;) {
            operation.run();
        }
    }
}
