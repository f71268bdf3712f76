import com.github.tjake.jlama.model.AbstractModel;
import com.github.tjake.jlama.model.ModelSupport;
import com.github.tjake.jlama.safetensors.DType;
import com.github.tjake.jlama.tensor.AbstractTensor;
import com.github.tjake.jlama.tensor.KvBufferCache;
import com.github.tjake.jlama.tensor.operations.TensorOperationsProvider;
import java.io.File;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/**
 * Greedy decoding by Jlama: the loop of its own {@code generate}, on ids.
 * {@code JlamaPeer DIR THREADS NEW RUNS WORKING [QUANTISED]}: the type it computes in, and the one it narrows weights to.
 */
public final class JlamaPeer {
    public static void main(String[] args) throws Exception {
        int threads = Integer.parseInt(args[1]);
        int count = Integer.parseInt(args[2]);
        DType working = DType.valueOf(args[4]);
        Optional<DType> narrowed = args.length > 5 ? Optional.of(DType.valueOf(args[5])) : Optional.empty();
        try (AbstractModel model = ModelSupport.loadModel(new File(args[0]), null, DType.F32, working, narrowed, Optional.of(threads))) {
            for (int run = 0; run < Integer.parseInt(args[3]); run++) {
                double[] steps = run(model, count);
                double median = steps[steps.length / 2];
                if (run > 0) {
                    System.out.printf(Locale.ROOT, "{\"case\": \"decode\", \"engine\": \"Jlama (%s, activations %s)\", \"weights\": \"%s\", "
                            + "\"threads\": %d, \"new\": %d, \"step_s\": %.6f, \"best_s\": %.6f, \"tokens_per_s\": %.2f}%n",
                            TensorOperationsProvider.get().name(), working, narrowed.map(DType::name).orElse("BF16"), threads, count, median,
                            steps[0], 1 / median);
                }
            }
        }
        System.exit(0);
    }

    private static double[] run(AbstractModel model, int count) throws Exception {
        double[] steps = new double[count - 1];
        try (KvBufferCache caches = new KvBufferCache(model); KvBufferCache.KvBuffer cache = caches.getEphemeralKvBuffer();
                AbstractTensor logits = model.makeDenseTensor(model.getConfig().vocabularySize)) {
            int[] prompt = new int[16];
            Arrays.setAll(prompt, i -> 100 + 7 * i);
            AbstractTensor read = model.batchForward(prompt, 0, cache);
            AbstractTensor last = read.slice(read.shape().first() - 1);
            int next = model.sample(last, 0, 0.5f, logits);
            for (int i = 0; i < count - 1; i++) {
                long start = System.nanoTime();
                AbstractTensor state = model.forward(next, 16 + i, cache, Optional.empty());
                next = model.sample(state, 0, 0.5f, logits);
                state.close();
                steps[i] = (System.nanoTime() - start) / 1e9;
            }
        }
        Arrays.sort(steps);
        return steps;
    }
}
