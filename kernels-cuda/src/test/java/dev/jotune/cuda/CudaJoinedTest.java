package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.FrozenLinear;
import dev.jotune.autograd.ops.FrozenMatrix;
import dev.jotune.autograd.ops.Terms;
import dev.jotune.cuda.CudaFrozen.Scores;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.FrozenKernel.Joined;
import dev.jotune.tensor.kernels.FrozenKernel.LowRank;
import dev.jotune.tensor.kernels.GroupedLowRankKernel;
import dev.jotune.tensor.kernels.Precision;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A product and its low-rank term, scores and all, in one launch: against F64 in both directions, tails, ranks, schedules; planted faults. */
class CudaJoinedTest extends OwnDevice {
    private static final List<String> SCHEDULES = List.of("schedule=forward async=lazy", "schedule=greedy async=eager",
            "schedule=greedy-reverse async=lazy", "schedule=random async=random seed=7");
    private static final double SCALE = 1.5;

    /**
     * A product.
     *
     * @param n columns of the result: outputs, or on the way back inputs
     * @param rest whether a bias and a residual join it
     */
    private record Product(long m, long n, long k, long rank, boolean back, boolean rest) {}

    private static Tensor normal(CudaBackend d, long stream, long... shape) {
        Tensor t = Tensor.empty(d, DType.F32, shape);
        d.normal(t, 7, stream);
        return t;
    }

    /** Launches the product; y, then the scores. */
    private static double[][] run(CudaBackend d, Scores scores, Product p, Tensor w, Tensor x, LowRank term, Joined joined) {
        CudaFrozen kernel = new CudaFrozen(d, new CudaProducts(d), scores);
        Tensor y = Tensor.empty(d, DType.F32, p.m, p.n);
        boolean done = p.back ? kernel.tryProductBack(kernel.pack(w), x, y, Precision.BF16, term, joined)
                : kernel.tryProduct(kernel.pack(w), x, y, Precision.BF16, term, joined);
        assertThat(done).isTrue();
        return new double[][] {y.toDoubleArray(), term.scores().orElseThrow().toDoubleArray()};
    }

    /** The largest error of a number, relative to what rounding allows; NaN where something is not a number. */
    private static double error(CudaBackend d, Product p) {
        return error(d, Scores.BESIDE, p);
    }

    private static double error(CudaBackend d, Scores scores, Product p) {
        Tensor w = (p.back ? normal(d, 1, p.k, p.n) : normal(d, 1, p.n, p.k)).to(DType.BF16);
        Tensor x = normal(d, 2, p.m, p.k);
        // The factors as the way there and the way back have them: A along its lines, and across.
        Tensor down = p.back ? normal(d, 3, p.k, p.rank).transpose(0, 1) : normal(d, 3, p.rank, p.k);
        Tensor up = p.back ? normal(d, 4, p.rank, p.n).transpose(0, 1) : normal(d, 4, p.n, p.rank);
        Optional<Tensor> bias = Optional.of(normal(d, 5, p.n)).filter(t -> p.rest);
        Optional<Tensor> rest = Optional.of(normal(d, 6, p.m, p.n)).filter(t -> p.rest);
        LowRank term = new LowRank(down, up, SCALE, Optional.of(GroupedLowRankKernel.scores(d, p.m, p.rank)));
        double[][] got = run(d, scores, p, w, x, term, new Joined(Optional.empty(), Optional.empty(), bias, rest));
        double[] a = x.to(DType.BF16).toDoubleArray();
        double[] b = (p.back ? w : w.transpose(0, 1)).toDoubleArray();
        double[] l = down.toDoubleArray();
        double[] r = up.toDoubleArray();
        double[] extra = bias.map(Tensor::toDoubleArray).orElse(new double[(int) p.n]);
        double[] before = rest.map(Tensor::toDoubleArray).orElse(new double[(int) (p.m * p.n)]);
        double worst = 0;
        for (int i = 0; i < p.m; i++) {
            double[] score = new double[(int) p.rank];
            double[] most = new double[(int) p.rank];
            for (int q = 0; q < p.rank; q++) {
                for (int k = 0; k < p.k; k++) {
                    double v = SCALE * a[(int) (i * p.k + k)] * l[(int) (q * p.k + k)];
                    score[q] += v;
                    most[q] += Math.abs(v);
                }
                worst = worse(worst, got[1][(int) (i * p.rank + q)], score[q], most[q]);
            }
            for (int n = 0; n < p.n; n++) {
                double want = extra[n] + before[(int) (i * p.n + n)];
                double size = Math.abs(want);
                for (int k = 0; k < p.k; k++) {
                    double v = a[(int) (i * p.k + k)] * b[(int) (k * p.n + n)];
                    want += v;
                    size += Math.abs(v);
                }
                for (int q = 0; q < p.rank; q++) {
                    want += score[q] * r[(int) (n * p.rank + q)];
                    size += most[q] * Math.abs(r[(int) (n * p.rank + q)]);
                }
                worst = worse(worst, got[0][(int) (i * p.n + n)], want, size);
            }
        }
        return worst;
    }

    /** Of factors 2^-16 of each product is lost at most, by two roundings; sums in F32 add far less. */
    private static double worse(double worst, double got, double want, double size) {
        double ratio = Math.abs(got - want) / (size * 0x1p-15);
        return Double.isNaN(worst) || Double.isNaN(ratio) ? Double.NaN : Math.max(worst, ratio);
    }

    /** One less and one more than tiles, steps, chunks and units; ranks up to the most; both tiles. */
    @Test
    void everyEdgeHasItsNumbers() {
        for (long[] s : new long[][] {{1, 8, 8, 1}, {64, 64, 64, 16}, {65, 72, 72, 17}, {33, 136, 200, 40}, {130, 264, 328, 16}, {257, 520, 64, 3},
                {7, 264, 136, 64}, {200, 392, 72, 64}}) {
            for (boolean back : new boolean[] {false, true}) {
                Product p = new Product(s[0], s[1], s[2], s[3], back, s[3] % 2 == 1 || back);
                assertThat(error(device, p)).as(p.toString()).isLessThan(1);
            }
        }
    }

    /** On both chips: what follows the scores differs. */
    @Test
    void scoresMadeBeforeAreTheSame() {
        for (int chip : FakeCuda.isReal() ? new int[] {0} : new int[] {80, 90}) {
            configure("capability=" + chip);
            CudaBackend d = device(UnaryOperator.identity());
            for (boolean back : new boolean[] {false, true}) {
                for (long[] s : new long[][] {{33, 136, 200, 40}, {130, 72, 64, 16}, {70, 264, 136, 3}}) {
                    Product p = new Product(s[0], s[1], s[2], s[3], back, true);
                    assertThat(error(d, Scores.BEFORE, p)).as(chip + " " + p).isLessThan(1);
                }
            }
        }
    }

    @Test
    void noScheduleChangesABit() {
        assumeFalse(FakeCuda.isReal());
        for (boolean back : new boolean[] {false, true}) {
            for (String schedule : SCHEDULES) {
                configure(schedule);
                assertThat(error(device, new Product(136, 264, 584, 24, back, true))).as(schedule).isLessThan(1);
            }
        }
    }

    /** Few columns, or so few numbers that a launch counts; not where the same scores would be made over and over. */
    @Test
    void theScoresAreMadeAgainWhereThatIsLessWork() {
        assumeFalse(FakeCuda.isReal());
        CudaJoined groups = new CudaJoined(device, new CudaProducts(device));
        configure("capability=80");
        CudaBackend older = device(UnaryOperator.identity());
        CudaJoined warps = new CudaJoined(older, new CudaProducts(older));
        assertThat(warps.pays(8192, 512, 4096, 16)).as("a key's projection").isTrue();
        assertThat(warps.pays(8192, 4096, 4096, 16)).as("as many columns as inner numbers").isFalse();
        assertThat(warps.pays(8192, 512, 4096, 64)).as("four times the rank").isFalse();
        assertThat(warps.pays(256, 2048, 2048, 16)).as("few rows").isTrue();
        Tensor weight = Tensor.empty(older, DType.BF16, 64, 64);
        assertThat(warps.supports(weight, Tensor.empty(older, DType.F32, 8, 64), 65)).as("more than registers hold").isFalse();
        assertThat(groups.pays(8192, 512, 4096, 16)).as("warp groups make the product faster alone").isFalse();
        assertThat(groups.pays(64, 2048, 2048, 16)).as("but not a launch").isTrue();
    }

    @Test
    void itIsOneLaunchBesideThoseThatRound() {
        assumeFalse(FakeCuda.isReal());
        error(device, new Product(40, 72, 64, 16, false, true));
        FakeCuda.forget();
        error(device, new Product(40, 72, 64, 16, false, true));
        assertThat(FakeCuda.launches().stream().filter(l -> l.startsWith("gemm"))).hasSize(1);
        assertThat(FakeCuda.launches().stream().filter(l -> l.startsWith("pieces"))).as("A").hasSize(1);
    }

    /** A layer that trains: y and dx are a product each with all of the term in it, dA and dB one launch for both. */
    @Test
    void aLayersStepIsThreeLaunches() {
        Backend cpu = Backends.cpu();
        double[][] want = step(cpu);
        step(device);
        if (!FakeCuda.isReal()) {
            FakeCuda.forget();
        }
        double[][] got = step(device);
        if (!FakeCuda.isReal()) {
            List<String> ran = FakeCuda.launches().stream().map(l -> l.split(" ")[0]).toList();
            assertThat(ran.stream().filter(l -> l.startsWith("gemm"))).containsExactly("gemm_mma", "gemm_mma");
            assertThat(ran.stream().filter(l -> l.startsWith("grouped"))).containsExactly("grouped_lora_gradients");
        }
        for (int i = 0; i < want.length; i++) {
            double most = Arrays.stream(want[i]).map(Math::abs).max().orElseThrow();
            assertThat(got[i]).hasSameSizeAs(want[i]);
            for (int k = 0; k < want[i].length; k++) {
                // Scores of numbers rounded by 2^-9 here and of exact ones there, in sums of some hundred terms.
                assertThat(Math.abs(got[i][k] - want[i][k])).as("result %d, number %d", i, k).isLessThan(0x1p-7 * most);
            }
        }
    }

    /** y, dx, dA and dB of a layer in BF16. */
    private static double[][] step(Backend b) {
        Var x = Var.parameter(values(b, 1, 72, 136));
        Var down = Var.parameter(values(b, 2, 16, 136));
        Var up = Var.parameter(values(b, 3, 200, 16));
        FrozenMatrix w = FrozenMatrix.of(values(b, 4, 200, 136).to(DType.BF16)).orElseThrow();
        Var y = FrozenLinear.apply(x, w, Terms.NONE.withLowRank(new Terms.LowRank(x, down, up, SCALE)), Precision.BF16);
        List<Var> g = Gradients.of(List.of(y), List.of(Var.constant(values(b, 5, 72, 200))), List.of(x, down, up), false);
        return Stream.concat(Stream.of(y), g.stream()).map(v -> v.tensor().toDoubleArray()).toArray(double[][]::new);
    }

    private static Tensor values(Backend b, long stream, long... shape) {
        Tensor t = Tensor.empty(b, DType.F32, shape);
        b.normal(t, 7, stream);
        return t;
    }

    /** A fault that is planted in a text. */
    private record Fault(String what, String from, String to) {}

    static Stream<Fault> faults() {
        return Stream.of(
                new Fault("scores over tiles that are still read", "FN void low_rank_meet(float* scores, float score[WM / 16][UNITS][4], "
                        + "int warp_row, int warp_column) {\n    BARRIER();", "FN void low_rank_meet(float* scores, "
                        + "float score[WM / 16][UNITS][4], int warp_row, int warp_column) {"),
                new Fault("scores read before they are there", "        }\n    }\n    BARRIER();\n}", "        }\n    }\n}"),
                new Fault("one piece of A alone", " + scores[(BM + line) * SCORE_LINE + r]", ""),
                new Fault("no second piece of B", "mma_bf16(sum[i][j], left[0][i], right[1]);", ";"),
                new Fault("no second piece of a score", "mma_bf16(sum[i][j], left[1][i], right[0]);", ";"),
                new Fault("A's lines a step late", "FETCH_LOW_RANK \\\n        a_from", "a_from"),
                new Fault("beyond the rank", "n < columns && r + 1 < rank", "n < columns"),
                new Fault("half of A's lines fetched", "int line = LID / DOWN_CHUNKS + i * DOWN_LINES;", "int line = LID / DOWN_CHUNKS;"),
                new Fault("scores of another row", "+ q % 2 * 8 + LID % 32 / 4;\n                int r",
                        "+ q / 2 * 8 + LID % 32 / 4;\n                int r"),
                new Fault("a bias beside its column", "LD(bias, (n + 1) * bias_step)", "LD(bias, n * bias_step)"));
    }

    @ParameterizedTest
    @MethodSource("faults")
    void plantedFaultsAreSeen(Fault fault) {
        assumeFalse(FakeCuda.isReal());
        boolean[] planted = new boolean[1];
        CudaBackend wrong = device(text -> {
            String edited = text.replace(fault.from, fault.to);
            planted[0] |= !edited.equals(text);
            return edited;
        });
        boolean seen = false;
        for (String schedule : SCHEDULES) {
            if (!seen) {
                configure(schedule);
                try {
                    seen = !(error(wrong, new Product(136, 264, 392, 19, false, true)) < 1);
                } catch (RuntimeException e) {
                    seen = true;
                }
            }
        }
        assertThat(planted[0]).as("planted").isTrue();
        assertThat(seen).as(fault.what).isTrue();
    }
}
