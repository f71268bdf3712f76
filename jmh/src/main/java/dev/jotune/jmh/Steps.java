package dev.jotune.jmh;

import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;

/**
 * Times cases in this process and prints one JSON line for each, as the peer's script does, so that the two can be
 * run in turn: {@code Steps CASES [steps] [batch] [time] [F32|BF16] [layers]}.
 *
 * <p>The first runs compile the kernels and are not counted: a user's run has thousands of steps.
 */
public final class Steps {
    private static final int WARM_UP = 4;

    private Steps() {}

    public static void main(String[] args) {
        String[] cases = args[0].split(",");
        int steps = argument(args, 1, 5);
        int batch = argument(args, 2, 4);
        int time = argument(args, 3, 128);
        DType weights = args.length > 4 ? DType.valueOf(args[4]) : DType.F32;
        int layers = argument(args, 5, 30);
        for (String name : cases) {
            Workload work = new Workload(name, layers, batch, time, weights);
            double check = 0;
            for (int i = 0; i < WARM_UP; i++) {
                check = work.run();
            }
            double[] seconds = new double[steps];
            for (int i = 0; i < steps; i++) {
                long start = System.nanoTime();
                check = work.run();
                seconds[i] = (System.nanoTime() - start) / 1e9;
            }
            if (Double.isNaN(check)) {
                throw new IllegalStateException(name + " computed NaN");
            }
            double[] sorted = seconds.clone();
            Arrays.sort(sorted);
            double median = sorted[steps / 2];
            System.out.printf(Locale.ROOT, "{\"case\": \"%s\", \"engine\": \"jotune (%s)\", \"weights\": \"%s\", \"batch\": %d, \"time\": %d, "
                    + "\"step_s\": %.4f, \"best_s\": %.4f, \"tokens_per_s\": %.1f, \"peak_rss_mb\": %d}%n", name,
                    Backends.cpu().description(), weights, batch, time, median, sorted[0], work.tokens() / median, peakRss());
        }
    }

    private static int argument(String[] args, int i, int otherwise) {
        return args.length > i ? Integer.parseInt(args[i]) : otherwise;
    }

    /** The most memory the process held, in MB; -1 where the system does not say. */
    private static long peakRss() {
        try {
            return Files.readAllLines(Path.of("/proc/self/status")).stream().filter(l -> l.startsWith("VmHWM:"))
                    .mapToLong(l -> Long.parseLong(l.replaceAll("\\D", "")) / 1024).findFirst().orElse(-1);
        } catch (IOException e) {
            return -1;
        }
    }
}
