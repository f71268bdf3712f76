package dev.jotune.jmh.cpu;

import dev.jotune.jmh.peer.Blas;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.Precision;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Products with frozen weights, {@code y = x W^T} and {@code dx = dy W}, beside MKL and OpenBLAS:
 * {@code GemmPairs WHO ROWS ROUNDS}, where WHO lists {@code jotune}, {@code mkl} and {@code openblas} and ROWS the values
 * of M. With one thread all take turns in one process; with more each has a process of its own, because two pools of
 * threads in one process disturb each other.
 *
 * <p>Every candidate reads the same x and writes the same y. Weights are each library's own copy, used again and again:
 * a weight that fits the L2 cache stays there, one that does not comes from L3, and the vocabulary's from memory.
 * Packing a weight is not timed (it is done once for a model), packing x is.
 */
public final class GemmPairs {
    /** Inputs and outputs of the projections of the 135M Llama and of GPT-2, and the former's vocabulary. */
    static final int[][] SHAPES = {
        {576, 576}, {576, 1536}, {1536, 576}, {768, 768}, {768, 2304}, {768, 3072}, {3072, 768}, {576, 49152}};
    private static final long WARM_UP_NANOS = 120_000_000;
    private static final long FIRST_WARM_UP_NANOS = 1_200_000_000;

    private final Set<String> who;
    private final int rounds;
    private final Optional<Blas> mkl;
    private final Optional<Blas> openBlas;
    private final Backend cpu = Backends.cpu();
    private boolean warm;

    private GemmPairs(Set<String> who, int rounds) {
        this.who = who;
        this.rounds = rounds;
        Path peers = Path.of(System.getProperty("jotune.peers", "jmh/target/peers"));
        this.mkl = who.contains("mkl") ? Optional.of(Blas.mkl(peers).orElseThrow(() -> absent("MKL", peers))) : Optional.empty();
        this.openBlas = who.contains("openblas") ? Optional.of(Blas.openBlas(peers).orElseThrow(() -> absent("OpenBLAS", peers)))
                : Optional.empty();
    }

    private static IllegalStateException absent(String name, Path peers) {
        return new IllegalStateException("there is no " + name + " in " + peers + ". Run: mvn -Ppeers -pl jmh generate-resources");
    }

    public static void main(String[] args) {
        Burst.warmUp();
        GemmPairs pairs = new GemmPairs(Set.of(args[0].split(",")), Integer.parseInt(args[2]));
        for (String rows : args[1].split(",")) {
            int m = Integer.parseInt(rows);
            // Other heights take other kernels, which must be compiled first.
            pairs.warm = false;
            for (int[] shape : SHAPES) {
                // More rows than 512 change little: two shapes stand for the rest.
                if (m <= 512 || shape[0] * shape[1] == 768 * 3072) {
                    pairs.shape(m, shape[0], shape[1]);
                }
            }
        }
    }

    private void shape(int m, int in, int out) {
        double gflop = 2e-9 * m * in * out;
        try (Scope scope = Scope.open()) {
            Tensor x = noise(1, m, in);
            Tensor y = Tensor.empty(cpu, DType.F32, m, out);
            Tensor w = noise(2, out, in);
            Tensor dy = noise(3, m, out);
            Tensor dx = Tensor.empty(cpu, DType.F32, m, in);
            List<Pairs.Candidate> all = new ArrayList<>();
            mkl.ifPresent(b -> {
                blas(all, b, "mkl", m, in, out, x, w, y, gflop);
                MemorySegment packed = b.pack(m, out, in, w.address());
                add(all, b.description(), "mkl_packed", () -> b.compute(m, out, in, x.address(), packed, y.address()), gflop);
                add(all, b.description(), "mkl_back", () -> b.sgemm(false, m, in, out, dy.address(), w.address(), dx.address()), gflop);
            });
            openBlas.ifPresent(b -> blas(all, b, "openblas", m, in, out, x, w, y, gflop));
            if (who.contains("jotune")) {
                ours(all, x, w, y, dy, dx, gflop);
            }
            Map<String, Object> about = new LinkedHashMap<>();
            about.put("m", m);
            about.put("in", in);
            about.put("out", out);
            about.put("threads", Integer.getInteger("jotune.threads", Runtime.getRuntime().availableProcessors()));
            about.put("gflop", Log.rounded(gflop));
            about.put("weight_bytes", 4L * in * out);
            Pairs.run("gemm", m + " x " + in + "->" + out, "GFLOP/s", all, rounds, warm ? WARM_UP_NANOS : FIRST_WARM_UP_NANOS, about);
            warm = true;
        }
    }

    private static void blas(List<Pairs.Candidate> all, Blas b, String name, int m, int in, int out, Tensor x, Tensor w, Tensor y, double gflop) {
        b.sgemm(true, m, out, in, x.address(), w.address(), y.address());
        Tensor turned = w.transpose(0, 1).contiguous();
        add(all, b.description(), name + "_nt", () -> b.sgemm(true, m, out, in, x.address(), w.address(), y.address()), gflop);
        add(all, b.description(), name + "_nn", () -> b.sgemm(false, m, out, in, x.address(), turned.address(), y.address()), gflop);
    }

    private void ours(List<Pairs.Candidate> all, Tensor x, Tensor w, Tensor y, Tensor dy, Tensor dx, double gflop) {
        Tensor expected = Tensor.empty(cpu, DType.F32, y.shape());
        cpu.matmul(x, w.transpose(0, 1), expected, false);
        String engine = Log.jotune();
        add(all, engine, "jotune_unpacked", () -> cpu.matmul(x, w.transpose(0, 1), y, false), gflop);
        FrozenKernel kernel = cpu.kernel(FrozenKernel.class).orElse(null);
        if (kernel == null || !kernel.supports(w)) {
            return;
        }
        FrozenKernel.Packed full = kernel.pack(w);
        FrozenKernel.Packed half = kernel.pack(w.to(DType.BF16));
        FrozenKernel.Joined none = FrozenKernel.Joined.NONE;
        check("F32", 1e-5, expected, y, () -> kernel.product(full, x, y, Precision.F32, none));
        check("BF16 weights", 1e-2, expected, y, () -> kernel.product(half, x, y, Precision.F32, none));
        check("BF16", 2e-2, expected, y, () -> kernel.product(half, x, y, Precision.BF16, none));
        add(all, engine, "jotune_f32", () -> kernel.product(full, x, y, Precision.F32, none), gflop);
        add(all, engine, "jotune_back", () -> kernel.productBack(full, dy, dx, Precision.F32, none), gflop);
        add(all, engine, "jotune_bf16_weights", () -> kernel.product(half, x, y, Precision.F32, none), gflop);
        add(all, engine, "jotune_bf16", () -> kernel.product(half, x, y, Precision.BF16, none), gflop);
    }

    /** Fast and wrong does not count: the largest difference beside the largest value. */
    private static void check(String what, double tolerance, Tensor expected, Tensor y, Runnable product) {
        product.run();
        float[] a = expected.toFloatArray();
        float[] b = y.toFloatArray();
        double most = 0;
        double worst = 0;
        for (int i = 0; i < a.length; i++) {
            most = Math.max(most, Math.abs(a[i]));
            worst = Math.max(worst, Math.abs(a[i] - b[i]));
        }
        if (!(worst <= tolerance * most)) {
            throw new IllegalStateException("the " + what + " product is off by " + worst + " where values reach " + most
                    + ". Mend the kernel before it is timed.");
        }
    }

    private static void add(List<Pairs.Candidate> all, String engine, String name, Runnable work, double gflop) {
        all.add(new Pairs.Candidate(engine, name, work, gflop));
    }

    private Tensor noise(long seed, long... shape) {
        Tensor t = Tensor.empty(cpu, DType.F32, shape);
        cpu.uniform(t, seed, 0);
        return t;
    }
}
