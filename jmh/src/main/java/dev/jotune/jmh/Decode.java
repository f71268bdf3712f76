package dev.jotune.jmh;

import dev.jotune.models.CausalLm;
import dev.jotune.models.Models;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.GenerationListener;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.generate.TextDecoder;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import java.util.Arrays;
import java.util.Locale;

/**
 * Greedy decoding of one text by the generator that users call: {@code Decode MODEL THREADS NEW RUNS [WEIGHTS]}, MODEL a
 * folder or a GGUF file. One JSON line a run but the first, in which the code is compiled, with the median over the steps.
 */
public final class Decode {
    private static final int PROMPT = 16;

    private Decode() {}

    public static void main(String[] args) {
        int count = Integer.parseInt(args[2]);
        CausalLm model = Models.open(args[0], Backends.cpu(), DType.F32).backbone().as(CausalLm.class);
        SamplingOptions options = SamplingOptions.greedy(count);
        Generator generator = new Generator(new CausalLanguageModel(model, model.seams()::inference), options);
        int[] prompt = new int[PROMPT];
        Arrays.setAll(prompt, i -> 100 + 7 * i);
        for (int run = 0; run < Integer.parseInt(args[3]); run++) {
            double[] steps = run(generator, prompt, count);
            double median = steps[steps.length / 2];
            if (run > 0) {
                System.out.printf(Locale.ROOT, "{\"case\": \"decode\", \"engine\": \"jotune\", \"weights\": \"%s\", \"threads\": %s, \"new\": %d, "
                        + "\"step_s\": %.6f, \"best_s\": %.6f, \"tokens_per_s\": %.2f}%n", args.length > 4 ? args[4] : "BF16", args[1], count,
                        median, steps[0], 1 / median);
            }
        }
    }

    /** Seconds of each step after the first token, ascending. */
    private static double[] run(Generator generator, int[] prompt, int count) {
        long[] at = new long[count];
        int[] n = {0};
        generator.generate(prompt, TextDecoder.NONE, new GenerationListener() {
            @Override
            public void token(int id) {
                at[n[0]++] = System.nanoTime();
            }
        });
        double[] steps = new double[count - 1];
        Arrays.setAll(steps, i -> (at[i + 1] - at[i]) / 1e9);
        Arrays.sort(steps);
        return steps;
    }
}
