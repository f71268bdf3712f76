package dev.jotune.jmh;

import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.kernels.Precision;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;

/**
 * Times cases in this process and prints one JSON line for each, as the peer's script does, so that the two can be
 * run in turn: {@code Steps CASES [steps] [batch] [time] [F32|BF16] [layers] [f32|bf16|cold]}.
 *
 * <p>BF16 stands for weights stored so and products computed so, as the peer's {@code --dtype bfloat16}; the last argument
 * says otherwise: {@code f32} for products to F32's accuracy over weights of either type. Before the first step the kernels
 * are warmed up as tuning does it; {@code cold} leaves that out. The first runs are not counted in the median, since a
 * user's run has thousands of steps, but the first and the tenth are named.
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
        String how = args.length > 6 ? args[6] : weights == DType.BF16 ? "bf16" : "f32";
        Precision precision = how.equals("bf16") ? Precision.BF16 : Precision.F32;
        for (String name : cases) {
            Workload work = new Workload(name, layers, batch, time, weights, precision);
            if (!how.equals("cold") && !name.equals("prefill") && !name.equals("decode")) {
                work.warmUp();
            }
            double check = 0;
            double[] all = new double[Math.max(WARM_UP + steps, 10)];
            for (int i = 0; i < all.length; i++) {
                long start = System.nanoTime();
                check = work.run();
                all[i] = (System.nanoTime() - start) / 1e9;
            }
            double[] sorted = Arrays.copyOfRange(all, WARM_UP, all.length);
            if (Double.isNaN(check)) {
                throw new IllegalStateException(name + " computed NaN");
            }
            Arrays.sort(sorted);
            double median = sorted[sorted.length / 2];
            System.out.printf(Locale.ROOT, "{\"case\": \"%s\", \"engine\": \"jotune (%s)\", \"dtype\": \"%s\", \"weights\": \"%s\", "
                    + "\"threads\": %d, \"batch\": %d, \"time\": %d, \"step_s\": %.4f, \"best_s\": %.4f, \"first_s\": %.4f, "
                    + "\"tenth_s\": %.4f, \"tokens_per_s\": %.1f, \"peak_rss_mb\": %d}%n", name, Backends.cpu().description(),
                    precision == Precision.BF16 ? "bfloat16" : "float32", weights, Integer.getInteger("jotune.threads",
                    Runtime.getRuntime().availableProcessors()), work.batch(), work.time(), median, sorted[0], all[0], all[9],
                    work.tokens() / median, peakRss());
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
