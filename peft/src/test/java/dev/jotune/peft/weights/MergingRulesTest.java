package dev.jotune.peft.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.peft.AdapterException;
import dev.jotune.peft.AdapterFiles;
import dev.jotune.peft.methods.Lora;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What must hold of the ways of merging whatever the numbers are. */
class MergingRulesTest {
    /** Longer than a run, and no multiple of one. */
    private static final int N = 2 * Values.RUN + 17;

    private static double[] noise(long seed) {
        double[] x = new double[N];
        Arrays.setAll(x, i -> (float) Philox.normal(seed, 0, i));
        return x;
    }

    private static Values values(long seed) {
        return Values.of(noise(seed));
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 5, 1000, N - 1, N, N + 3})
    void theLargestAreThoseThatSortingFinds(int k) {
        double[] x = noise(3);
        // Many equal magnitudes, of both signs.
        Arrays.setAll(x, i -> Math.rint(20 * x[i]));
        List<Integer> order = IntStream.range(0, N).boxed().sorted(Comparator.comparingDouble((Integer i) -> -Math.abs(x[i]))).toList();
        boolean[] want = new boolean[N];
        order.subList(0, Math.min(k, N)).forEach(i -> want[i] = true);
        Largest got = Largest.of(Values.of(x), k);
        for (int i = 0; i < N; i++) {
            assertThat(got.contains(x[i], i)).as("%d of %d", i, k).isEqualTo(want[i]);
        }
    }

    @Test
    void whatIsNotFiniteIsRefused() {
        assertThatThrownBy(() -> Largest.of(Values.of(1, Double.NaN, 2), 1)).hasMessageContainingAll("number 1 is NaN", "earlier checkpoint");
        assertThatThrownBy(() -> Largest.share(Values.of(1, 2), 1.5)).hasMessageContaining("density is 1.5");
        assertThatThrownBy(() -> new Dare(0, new TaskArithmetic(), (s, v, p) -> true)).hasMessageContaining("density is 0.0");
        assertThatThrownBy(() -> new Breadcrumbs(0.8, 0.3)).hasMessageContaining("gamma is 0.3");
        assertThatThrownBy(() -> Soup.weighted(List.of(values(1), values(2)), 1, -1)).hasMessageContaining("add up to 0");
        assertThatThrownBy(() -> Values.of(1, 2).minus(Values.of(1, 2, 3))).hasMessageContaining("3 numbers meets one of 2");
    }

    @Test
    void tiesOfDensityOneIsTheMeanOverThoseThatAgreeWithTheSum() {
        double[] got = new Ties(1, Ties.Election.TOTAL, Ties.Form.WEIGHTED).of(List.of(Values.of(3, 1, -1, 0, 2), Values.of(-1, 1, -5, 0, -2),
                Values.of(-1, 4, 2, 0, 1)), new double[] {1, 1, 1}, 0).toArray();
        assertThat(got).containsExactly(3, 2, -3, 0, 1.5);
        double[] counted = new Ties(1, Ties.Election.FREQUENCY, Ties.Form.COUNTED).of(List.of(Values.of(3, 1), Values.of(-1, 1), Values.of(-1, 4)),
                new double[] {1, 1, 1}, 0).toArray();
        assertThat(counted).containsExactly(-1, 2);
    }

    @Test
    void aNegativeWeightCountsByItsMagnitudeWhereItAgrees() {
        Combination ties = new Ties(1, Ties.Election.TOTAL, Ties.Form.WEIGHTED);
        List<Values> vectors = List.of(Values.of(2, 2, -3), Values.of(-4, 4, -3));
        // Taking away -4 agrees with adding 2: (2 + 4) / 2. Taking away 4 does not: the larger alone.
        assertThat(ties.of(vectors, new double[] {1, -1}, 0).toArray()).containsExactly(3, -4, 3);
        assertThat(ties.of(vectors, new double[] {1, -0.5}, 0).toArray()).usingComparatorWithPrecision(1e-12).containsExactly(4 / 1.5, 2, -3);
    }

    /** What has no numbers but a size. */
    private static Values ofSize(long size) {
        return new Values() {
            @Override
            public long size() {
                return size;
            }

            @Override
            public void read(long from, int n, double[] out) {
                Arrays.fill(out, 0, n, -1);
            }
        };
    }

    @Test
    void whatFollowsAVeryLongVectorIsRead() {
        for (long size : new long[] {1L << 31, (1L << 32) - 2, 3L << 31, 5_000_000_000L}) {
            Values all = Values.concat(List.of(ofSize(size), ofSize(size), Values.of(1, 2, 3)));
            assertThat(all.slice(2 * size - 1, 4).toArray()).containsExactly(-1, 1, 2, 3);
        }
    }

    @Test
    void dareIsTaskArithmeticOnAverageAndAtDensityOne() {
        List<Values> vectors = List.of(values(1), values(2));
        double[] w = {0.5, -0.25};
        double[] whole = new TaskArithmetic().of(vectors, w, 0).toArray();
        assertThat(Dare.random(1, new TaskArithmetic(), 7).of(vectors, w, 3).toArray()).containsExactly(whole);
        double[] mean = new double[N];
        int times = 200;
        for (int s = 0; s < times; s++) {
            double[] d = Dare.random(0.5, new TaskArithmetic(), 1000 * s).of(vectors, w, 3).toArray();
            for (int i = 0; i < N; i++) {
                mean[i] += d[i] / times;
            }
        }
        double error = 0;
        for (int i = 0; i < N; i++) {
            error += (mean[i] - whole[i]) * (mean[i] - whole[i]) / N;
        }
        // The variance of one draw is (1 - p) / p times the squares; of the mean of 200, a 200th.
        assertThat(Math.sqrt(error)).isCloseTo(Math.sqrt((0.25 + 0.0625) / times), within(0.002));
        Values half = Dare.random(0.1, new TaskArithmetic(), 5).of(vectors.subList(0, 1), new double[] {1}, 9);
        long kept = Arrays.stream(half.toArray()).filter(x -> x != 0).count();
        assertThat(kept / (double) N).isCloseTo(0.1, within(0.01));
        assertThat(half.slice(20, 5).toArray()).as("any run alone gives the same noise").containsExactly(Arrays.copyOfRange(half.toArray(), 20, 25));
    }

    @Test
    void slerpBeginsAndEndsAtItsEndsAndKeepsTheLengthOnTheWay() {
        Values a = values(1);
        Values b = values(2);
        assertThat(new Slerp(0, Slerp.PARALLEL).between(a, b).toArray()).usingComparatorWithPrecision(1e-12).containsExactly(a.toArray());
        assertThat(new Slerp(1, Slerp.PARALLEL).between(a, b).toArray()).usingComparatorWithPrecision(1e-12).containsExactly(b.toArray());
        Values unit = Values.sum(List.of(a), 1 / Math.sqrt(Values.dot(a, a)));
        Values other = Values.sum(List.of(b), 1 / Math.sqrt(Values.dot(b, b)));
        Values middle = new Slerp(0.37, Slerp.PARALLEL).between(unit, other);
        assertThat(Values.dot(middle, middle)).isCloseTo(1, within(1e-12));
        assertThat(new Slerp(0.3, Slerp.PARALLEL).between(Values.of(0, 0), Values.of(1, 2)).toArray()).containsExactly(0.3, 0.6);
    }

    @Test
    void soupsOfEqualModelsAreThatModelAndARunningMeanIsTheMean() {
        double[] x = noise(1);
        assertThat(Soup.uniform(List.of(values(1), values(1), values(1))).toArray()).containsExactly(x);
        Values running = values(1);
        List<Values> all = new ArrayList<>(List.of(values(1)));
        for (int n = 1; n < 8; n++) {
            all.add(values(1 + n));
            running = Values.of(Values.sum(List.of(running, values(1 + n)), n / (n + 1.0), 1 / (n + 1.0)).toArray());
        }
        assertThat(Soup.uniform(all).toArray()).usingComparatorWithPrecision(1e-6).containsExactly(running.toArray());
    }

    /** The published program's loop, on a table of accuracies: best first, and each that raises the held-out accuracy stays. */
    private static List<Integer> published(int models, ToDoubleFunction<List<Integer>> accuracy) {
        List<Integer> sorted = IntStream.range(0, models).boxed()
                .sorted(Comparator.comparingDouble((Integer i) -> -accuracy.applyAsDouble(List.of(i)))).toList();
        List<Integer> ingredients = new ArrayList<>(List.of(sorted.get(0)));
        double best = accuracy.applyAsDouble(ingredients);
        for (int i = 1; i < models; i++) {
            List<Integer> trial = new ArrayList<>(ingredients);
            trial.add(sorted.get(i));
            double held = accuracy.applyAsDouble(trial);
            if (held > best) {
                ingredients = trial;
                best = held;
            }
        }
        return ingredients;
    }

    @Test
    void theGreedySoupTakesWhatThePublishedLoopTakes() {
        for (int trial = 0; trial < 50; trial++) {
            int seed = trial;
            // Accuracies of a test set of 40: many are equal, and what does not raise them stays out.
            ToDoubleFunction<List<Integer>> table = some -> Math.rint(40 * Philox.uniformDouble(seed,
                    some.stream().mapToInt(i -> 1 << i).sum(), 0)) / 40;
            List<Integer> soup = Soup.greedy(IntStream.range(0, 8).boxed().toList(), table);
            assertThat(soup).isEqualTo(published(8, table));
            double bestSingle = IntStream.range(0, 8).mapToDouble(i -> table.applyAsDouble(List.of(i))).max().orElseThrow();
            assertThat(table.applyAsDouble(soup)).isGreaterThanOrEqualTo(bestSingle);
        }
    }

    private static AdapterFiles.Contents lora(Map<String, long[]> shapes) {
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        shapes.forEach((k, s) -> tensors.put(k, Tensor.zeros(Backends.cpu(), DType.F32, s)));
        return new AdapterFiles.Contents(Lora.DEFAULTS, tensors);
    }

    @Test
    void factorsThatAreNoPairsOfMatricesAreRefusedByName() {
        String a = "base_model.model.q.lora_A.weight";
        String b = "base_model.model.q.lora_B.weight";
        Map<Map<String, long[]>, String> cases = Map.of(
                Map.of(a, new long[] {8, 3}), b,
                Map.of(b, new long[] {3, 8}), a,
                Map.of("q.lora_A.weight", new long[] {8, 3}, "q.lora_B.weight", new long[] {3, 8}), "does not begin with base_model.model.",
                Map.of("base_model.model.lora_A.weight", new long[] {8, 3}), "does not begin with base_model.model.",
                Map.of(a, new long[] {8, 3, 1}, b, new long[] {3, 8}), "[8, 3, 1]",
                Map.of(a, new long[] {8}, b, new long[] {3, 8}), a + " of shape [8]",
                Map.of(a, new long[] {8, 3}, b, new long[] {3, 4}), "[3, 4]");
        cases.forEach((shapes, says) -> assertThatThrownBy(() -> new AdapterMerge(List.of(lora(shapes)), 1)).isInstanceOf(AdapterException.class)
                .hasMessageContaining("lora_").hasMessageContaining(says));
        AdapterFiles.Contents one = lora(Map.of(a, new long[] {8, 3}, b, new long[] {3, 8}));
        AdapterFiles.Contents wide = lora(Map.of(a, new long[] {8, 4}, b, new long[] {3, 8}));
        assertThatThrownBy(() -> new AdapterMerge(List.of(one, wide), 1, 1).cat()).isInstanceOf(AdapterException.class)
                .hasMessageContaining("q is [3, 3] in one adapter and [3, 4] in another");
    }
}
