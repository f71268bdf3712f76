package dev.jotune.testing;

import dev.jotune.autograd.ops.TopK;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.conformance.Case;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;

/** The largest elements of rows against a stable sort of them, by kernel and by definition. */
final class TopKCases {
    private static final int ROWS = 3;

    private TopKCases() {}

    static void add(List<Case> all) {
        for (int n : new int[] {1, 2, 7, 31, 32, 33, 255, 256, 257, 1000, 5000}) {
            for (int k : new int[] {1, 2, 8, 40, n}) {
                if (k <= Math.min(n, 40)) {
                    all.add(new Case("topK/" + k + " of " + n, b -> check(b, n, k, i -> Philox.normal(11, n, i))));
                }
            }
        }
        all.add(new Case("topK/few different numbers", b -> check(b, 700, 30, i -> i * 7 % 5)));
        all.add(new Case("topK/all equal", b -> check(b, 600, 20, i -> -3)));
        all.add(new Case("topK/all from one strip", b -> check(b, 4096, 16, i -> i % 256 == 5 ? i : -i)));
        all.add(new Case("topK/NaN among them", b -> check(b, 300, 9, i -> i % 3 == 0 ? Double.NaN : i % 50)));
        all.add(new Case("topK/more wanted than there are", b -> check(b, 300, 9, i -> i % 100 == 7 ? i : Double.NEGATIVE_INFINITY)));
        all.add(new Case("topK/nothing but NaN", b -> check(b, 40, 3, i -> Double.NaN)));
        all.add(new Case("topK/infinity", b -> check(b, 40, 3, i -> i % 10 == 3 ? Double.POSITIVE_INFINITY : i)));
        all.add(new Case("topK/not dense", b -> {
            double[] x = floats(ROWS * 50, i -> Philox.normal(19, 0, i));
            compare(TopK.of(Tensor.of(b, DType.F32, x, 50, ROWS).transpose(0, 1), 5), 50, 5, (r, i) -> x[i * ROWS + r]);
        }));
        all.add(new Case("topK/no rows", b -> {
            if (TopK.of(Tensor.zeros(b, DType.F32, 0, 9), 2).places().numel() != 0) {
                throw new AssertionError("no rows have no largest elements");
            }
        }));
    }

    private interface Element {
        double at(int row, int i);
    }

    private static void check(Backend b, int n, int k, IntToDoubleFunction values) {
        double[] x = floats(ROWS * n, values);
        Tensor t = Tensor.of(b, DType.F32, x, ROWS, n);
        compare(TopK.of(t, k), n, k, (r, i) -> x[r * n + i]);
        compare(TopK.definition(t, k), n, k, (r, i) -> x[r * n + i]);
    }

    private static double[] floats(int n, IntToDoubleFunction values) {
        double[] x = new double[n];
        Arrays.setAll(x, i -> (float) values.applyAsDouble(i));
        return x;
    }

    private static void compare(TopK.Result got, int n, int k, Element x) {
        double[] values = got.values().toDoubleArray();
        long[] places = got.places().toLongArray();
        for (int r = 0; r < ROWS; r++) {
            int row = r;
            int[] order = IntStream.range(0, n).filter(i -> x.at(row, i) > Double.NEGATIVE_INFINITY).boxed()
                    .sorted(Comparator.comparingDouble((Integer i) -> -x.at(row, i))).mapToInt(i -> i).toArray();
            for (int j = 0; j < k; j++) {
                long place = j < order.length ? order[j] : 0;
                double value = j < order.length ? x.at(row, order[j]) : Double.NEGATIVE_INFINITY;
                if (places[r * k + j] != place || values[r * k + j] != value) {
                    throw new AssertionError("number " + j + " of row " + r + " is " + values[r * k + j] + " at " + places[r * k + j] + ", expected "
                            + value + " at " + place);
                }
            }
        }
    }
}
