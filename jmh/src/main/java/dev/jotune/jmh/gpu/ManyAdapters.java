package dev.jotune.jmh.gpu;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.GroupedLowRankKernel;
import dev.jotune.tensor.kernels.GroupedLowRankKernel.Factors;
import dev.jotune.tensor.kernels.GroupedLowRankKernel.Plan;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.IntStream;

/** Tokens of many texts, one or some of each, each text with an adapter of its own: {@code y_i += (x_i A_g^T) B_g^T}. */
final class ManyAdapters implements Work {
    private final Setting setting;
    private final Tensor[] x;
    private final Tensor[] down;
    private final Tensor[] up;
    private final Tensor scores;
    private final Tensor y;
    private final Optional<GroupedLowRankKernel> kernel;
    /** What the kernel knows of each set, made before it is timed as a server makes it once. */
    private final Plan[] plans;

    /** @param each rows that an adapter has */
    ManyAdapters(Setting setting, long texts, long each, long hidden, long rank) {
        this.setting = setting;
        int sets = setting.sets((2 * texts * rank + texts * each) * hidden * DType.BF16.byteSize());
        x = new Tensor[sets];
        down = new Tensor[sets];
        up = new Tensor[sets];
        for (int i = 0; i < sets; i++) {
            x[i] = setting.noise(DType.BF16, 1, 3L * i, texts, each, hidden);
            down[i] = setting.noise(DType.BF16, 0.02, 3L * i + 1, texts, rank, hidden);
            up[i] = setting.noise(DType.BF16, 0.02, 3L * i + 2, texts, hidden, rank);
        }
        scores = setting.poisoned(DType.F32, texts, each, rank);
        y = Tensor.zeros(setting.backend(), DType.F32, texts, each, hidden);
        int[] rows = IntStream.range(0, Math.toIntExact(texts * each)).map(i -> Math.toIntExact(i / each)).toArray();
        kernel = setting.backend().kernel(GroupedLowRankKernel.class);
        plans = new Plan[kernel.isPresent() ? sets : 0];
        for (int i = 0; i < plans.length; i++) {
            Tensor a = down[i];
            Tensor b = up[i];
            List<Factors> adapters = IntStream.range(0, Math.toIntExact(texts)).mapToObj(g -> new Factors(a.select(0, g), b.select(0, g), 1))
                    .toList();
            plans[i] = kernel.get().plan(adapters, rows);
        }
    }

    /** In one launch where the backend has a kernel for it. */
    @Override
    public void run(int set) {
        if (kernel.isPresent()) {
            kernel.get().add(plans[set], matrix(x[set]), Optional.empty(), Optional.of(matrix(y)));
        } else {
            products(setting.backend(), x[set], down[set], up[set], scores, y);
        }
    }

    private static Tensor matrix(Tensor t) {
        return t.reshape(t.size(0) * t.size(1), t.size(2));
    }

    private static void products(Backend b, Tensor x, Tensor down, Tensor up, Tensor scores, Tensor y) {
        b.matmul(x, down.transpose(1, 2), scores, false);
        b.matmul(scores, up.transpose(1, 2), y, true);
    }

    @Override
    public int sets() {
        return x.length;
    }

    @Override
    public Check check() {
        setting.backend().fill(y, 0);
        setting.poison(scores);
        run(0);
        Tensor right = Tensor.zeros(Backends.cpu(), DType.F32, y.shape());
        Tensor between = Tensor.empty(Backends.cpu(), DType.F32, scores.shape());
        products(Backends.cpu(), Setting.here(x[0]), Setting.here(down[0]), Setting.here(up[0]), between, right);
        // The scores may pass through BF16 on a device that multiplies on tensor cores.
        return new Check(Setting.error(y, right), Setting.tolerance(DType.BF16));
    }

    @Override
    public double value(double micros, OptionalDouble baseline, OptionalDouble vendorBaseline) {
        return micros;
    }

    @Override
    public Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("type", "BF16 adapters, F32 result");
        facts.put("bytes", 2.0 * down[0].numel() * DType.BF16.byteSize());
        facts.put("sets", x.length);
        return facts;
    }
}
