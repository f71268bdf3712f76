package dev.jotune.testing.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.FrozenKernel.Joined;
import dev.jotune.tensor.kernels.FrozenKernel.Packed;
import dev.jotune.tensor.kernels.Precision;
import java.util.List;
import java.util.Optional;

/** Products with packed weights, where a backend has them: both directions, every tail, every term that joins. */
final class FrozenCases {
    /** M, out, in of what crosses every block. */
    private static final long[][] LARGE = {{131, 200, 1100}, {1, 130, 2100}, {9, 2050, 70}, {300, 129, 577}, {2, 64, 64}, {8, 200, 1100},
        {21, 130, 1100}};
    private static final double CANARY = 12345;
    private static final List<DType> TYPES = List.of(DType.F32, DType.BF16, DType.F16);

    private FrozenCases() {}

    static void add(List<Case> all) {
        for (DType type : TYPES) {
            for (boolean back : new boolean[] {false, true}) {
                String name = "frozen/" + (back ? "back " : "product ") + type;
                all.add(new Case(name + " tails", b -> with(b, k -> tails(b, k, type, back))));
                all.add(new Case(name + " blocks", b -> with(b, k -> {
                    for (long[] s : LARGE) {
                        check(b, k, type, back, s[0], s[1], s[2], 0, Precision.F32);
                        check(b, k, type, back, s[0], s[1], s[2], 15, Precision.F32);
                    }
                })));
                all.add(new Case(name + " terms", b -> with(b, k -> {
                    for (int terms = 0; terms < 8; terms++) {
                        check(b, k, type, back, 13, 70, 37, terms, Precision.F32);
                        check(b, k, type, back, 67, 33, 130, terms, Precision.F32);
                        check(b, k, type, back, 67, 64, 64, terms, Precision.BF16);
                    }
                })));
            }
            all.add(new Case("frozen/unpack " + type, b -> with(b, k -> unpacks(b, k, type))));
        }
    }

    private interface Body {
        void run(FrozenKernel kernel);
    }

    private static void with(Backend b, Body body) {
        b.kernel(FrozenKernel.class).ifPresent(body::run);
    }

    private static void tails(Backend b, FrozenKernel k, DType type, boolean back) {
        for (long i = 1; i <= 67; i++) {
            check(b, k, type, back, i, 37, 33, 0, Precision.F32);
            check(b, k, type, back, 7, i, 33, 0, Precision.F32);
            check(b, k, type, back, 7, 70, i, 0, Precision.F32);
            check(b, k, type, back, 8, i, 33, 0, Precision.F32);
            check(b, k, type, back, 8, 70, i, 15, Precision.F32);
            check(b, k, type, back, 1, i, 19, 0, Precision.F32);
            check(b, k, type, back, 1, 19, i, 0, Precision.F32);
        }
    }

    /** Bits of {@code terms}: low-rank, bias, residual, and a low-rank term of another rank and layout. */
    private static void check(Backend b, FrozenKernel k, DType type, boolean back, long m, long out, long in, int terms,
            Precision precision) {
        Tensor w = normal(b, 1, out, in).to(type);
        assertThat(k.supports(w)).isTrue();
        Packed packed = k.pack(w);
        assertThat(new long[] {packed.rows(), packed.columns()}).containsExactly(out, in);
        long n = back ? in : out;
        long inner = back ? out : in;
        Tensor x = normal(b, 2, m, inner);
        long rank = (terms & 8) != 0 ? 3 : 8;
        Optional<Tensor> left = term(terms, 1, normal(b, 3, m, rank));
        Tensor factor = (terms & 8) != 0 ? normal(b, 4, rank, n).transpose(0, 1) : normal(b, 4, n, rank);
        Optional<Tensor> right = term(terms, 1, factor);
        Optional<Tensor> bias = term(terms, 2, normal(b, 5, n));
        Optional<Tensor> residual = term(terms, 4, normal(b, 6, m, n));
        // Two rows more than are asked for: nothing may be written before or behind.
        Tensor around = Tensor.full(b, DType.F32, CANARY, m + 2, n);
        Tensor y = around.slice(0, 1, m + 1);
        Joined joined = new Joined(left, right, bias, residual);
        if (back) {
            k.productBack(packed, x, y, precision, joined);
        } else {
            k.product(packed, x, y, precision, joined);
        }
        double[] want = product(x.toDoubleArray(), w.to(DType.F32).toDoubleArray(), m, n, inner, back);
        if (left.isPresent()) {
            double[] low = product(left.get().toDoubleArray(), right.get().contiguous().toDoubleArray(), m, n, rank, false);
            for (int i = 0; i < want.length; i++) {
                want[i] += low[i];
            }
        }
        double[] got = y.toDoubleArray();
        double[] biases = bias.map(Tensor::toDoubleArray).orElse(null);
        double[] residuals = residual.map(Tensor::toDoubleArray).orElse(null);
        double tolerance = (precision == Precision.BF16 ? 2e-2 : 3e-6) * Math.sqrt(inner + rank) * 4;
        for (int i = 0; i < want.length; i++) {
            double value = want[i] + (biases == null ? 0 : biases[(int) (i % n)]) + (residuals == null ? 0 : residuals[i]);
            if (!(Math.abs(got[i] - value) <= tolerance)) {
                throw new AssertionError(what(type, back, m, out, in, terms) + ": element " + i + " is " + got[i] + ", want " + value);
            }
        }
        for (double v : around.slice(0, 0, 1).toDoubleArray()) {
            assertThat(v).as("before " + what(type, back, m, out, in, terms)).isEqualTo(CANARY);
        }
        for (double v : around.slice(0, m + 1, m + 2).toDoubleArray()) {
            assertThat(v).as("behind " + what(type, back, m, out, in, terms)).isEqualTo(CANARY);
        }
    }

    private static String what(DType type, boolean back, long m, long out, long in, int terms) {
        return (back ? "dy W" : "x W^T") + " of " + m + " rows with W [" + out + ", " + in + "] in " + type + ", terms " + terms;
    }

    private static Optional<Tensor> term(int terms, int bit, Tensor t) {
        return (terms & bit) != 0 ? Optional.of(t) : Optional.empty();
    }

    /** {@code a [m, inner] b^T} for {@code b [n, inner]}, or {@code a b} for {@code b [inner, n]}. */
    private static double[] product(double[] a, double[] b, long m, long n, long inner, boolean plain) {
        double[] out = new double[(int) (m * n)];
        for (int i = 0; i < m; i++) {
            for (int p = 0; p < inner; p++) {
                double factor = a[(int) (i * inner + p)];
                for (int j = 0; j < n; j++) {
                    out[(int) (i * n + j)] += factor * b[(int) (plain ? p * n + j : j * inner + p)];
                }
            }
        }
        return out;
    }

    private static void unpacks(Backend b, FrozenKernel k, DType type) {
        for (long[] s : new long[][] {{1, 1}, {5, 70}, {67, 3}, {64, 64}, {130, 129}, {33, 65}}) {
            for (boolean transposed : new boolean[] {false, true}) {
                Tensor stored = transposed ? normal(b, 7, s[1], s[0]).to(type).transpose(0, 1) : normal(b, 7, s).to(type);
                Packed packed = k.pack(stored);
                Tensor own = Tensor.empty(b, type, s);
                packed.unpack(own);
                assertThat(own.toDoubleArray()).isEqualTo(stored.toDoubleArray());
                Tensor wide = Tensor.empty(b, DType.F32, s);
                packed.unpack(wide);
                assertThat(wide.toDoubleArray()).isEqualTo(stored.toDoubleArray());
                long[] ids = {s[0] - 1, 0, s[0] / 2, 0};
                Tensor rows = Tensor.empty(b, DType.F32, ids.length, s[1]);
                packed.unpackRows(ids, rows);
                for (int i = 0; i < ids.length; i++) {
                    assertThat(rows.slice(0, i, i + 1).toDoubleArray())
                            .isEqualTo(stored.slice(0, ids[i], ids[i] + 1).to(DType.F32).toDoubleArray());
                }
            }
        }
    }

    private static Tensor normal(Backend b, long stream, long... shape) {
        Tensor t = Tensor.empty(b, DType.F32, shape);
        b.normal(t, 5, stream);
        return t;
    }
}
