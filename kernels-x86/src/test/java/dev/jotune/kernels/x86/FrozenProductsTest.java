package dev.jotune.kernels.x86;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.kernels.x86.gemm.DirtyWorkspace;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Parallel;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.FrozenKernel.Joined;
import dev.jotune.tensor.kernels.Precision;
import java.util.Arrays;
import java.util.Optional;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

/** Products with frozen weights against sums in double, with canaries around every buffer. */
class FrozenProductsTest {
    private static FrozenKernel kernel() {
        return Machine.gemms(Parallel::shared).frozen();
    }

    /** What is multiplied; the weight is {@code [n, k]}. */
    record Case(int m, int n, int k, boolean narrow, boolean back, Precision precision, int rank, boolean bias, boolean residual,
            int gap) {
        void check(FrozenKernel kernel, long seed) {
            check(kernel, seed, 0);
        }

        /** Within {@code slack} of the terms' magnitudes more than F32's own roundings. */
        void check(FrozenKernel kernel, long seed, double slack) {
            DirtyWorkspace.make();
            Random random = new Random(seed);
            int inner = back ? n : k;
            int columns = back ? k : n;
            float[] w = Exact.random(random, n * k);
            float[] stored = narrow ? Exact.rounded(w) : w;
            float[] x = Exact.random(random, m * inner);
            float[] left = Exact.random(random, m * rank);
            float[] right = Exact.random(random, columns * rank);
            float[] bias = Exact.random(random, columns);
            float[] residual = Exact.random(random, m * columns);
            Canaried weight = narrow ? Canaried.narrow(w, n, k, gap) : Canaried.of(w, n, k, gap);
            FrozenKernel.Packed packed = kernel.pack(weight.tensor);
            weight.untouched();
            Canaried in = Canaried.of(x, m, inner, gap);
            Canaried out = Canaried.of(new float[m * columns], m, columns, gap);
            Canaried l = Canaried.of(left, m, rank, gap);
            Canaried r = Canaried.of(right, columns, rank, gap);
            Canaried b = Canaried.of(bias, 1, columns, 0);
            Canaried e = Canaried.of(residual, m, columns, gap);
            Joined joined = new Joined(rank > 0 ? Optional.of(l.tensor) : Optional.empty(), rank > 0 ? Optional.of(r.tensor) : Optional.empty(),
                    bias() ? Optional.of(b.tensor.select(0, 0)) : Optional.empty(), residual() ? Optional.of(e.tensor) : Optional.empty());
            if (back) {
                kernel.productBack(packed, in.tensor, out.tensor, precision, joined);
            } else {
                kernel.product(packed, in.tensor, out.tensor, precision, joined);
            }
            boolean round = precision == Precision.BF16;
            Exact exact = new Exact(m, columns).plus(round ? Exact.rounded(x) : x, round ? Exact.rounded(stored) : stored, inner, !back);
            exact = rank > 0 ? exact.plus(left, right, rank, true) : exact;
            exact = bias() ? exact.plus(bias) : exact;
            (residual() ? exact.plus(residual) : exact).matches(out.written(), toString(), slack);
            for (Canaried c : new Canaried[] {in, l, r, b, e}) {
                c.untouched();
            }
        }
    }

    private static Case plain(int m, int n, int k, int kind) {
        return new Case(m, n, k, (kind & 1) != 0, (kind & 2) != 0, (kind & 4) != 0 ? Precision.BF16 : Precision.F32, 0, false, false, 0);
    }

    @Test
    void everyTailOfRowsOutputsAndInputs() {
        FrozenKernel kernel = kernel();
        for (int s = 1; s <= 67; s++) {
            for (int kind = 0; kind < 8; kind++) {
                plain(s, 65, 18, kind).check(kernel, s);
                plain(5, Math.max(16, s), 19, kind).check(kernel, s);
                plain(7, 18, Math.max(16, s), kind).check(kernel, s);
            }
        }
    }

    @Property(tries = 300)
    void anyShapeStrideAndCompany(@ForAll @IntRange(min = 1, max = 110) int m, @ForAll @IntRange(min = 16, max = 150) int n,
            @ForAll @IntRange(min = 16, max = 150) int k, @ForAll boolean narrow, @ForAll boolean back, @ForAll Precision precision,
            @ForAll @IntRange(max = 20) int rank, @ForAll boolean bias, @ForAll boolean residual, @ForAll @IntRange(max = 9) int gap) {
        new Case(m, n, k, narrow, back, precision, rank, bias, residual, gap).check(kernel(), m + 31L * n + 977L * k);
    }

    /** A product with a low-rank term from its factors; false if it was left to the caller, untouched. */
    private static boolean low(int m, int n, int k, int rank, double scale, boolean narrow, boolean back, boolean kept, int gap) {
        DirtyWorkspace.make();
        Random random = new Random(m + 31L * n + 977L * k + rank);
        int inner = back ? n : k;
        int columns = back ? k : n;
        float[] w = Exact.random(random, n * k);
        float[] x = Exact.random(random, m * inner);
        float[] down = Exact.random(random, rank * inner);
        float[] up = Exact.random(random, columns * rank);
        float[] bias = Exact.random(random, columns);
        FrozenKernel kernel = kernel();
        FrozenKernel.Packed packed = kernel.pack((narrow ? Canaried.narrow(w, n, k, 0) : Canaried.of(w, n, k, 0)).tensor);
        Canaried in = Canaried.of(x, m, inner, gap);
        Canaried out = Canaried.of(new float[m * columns], m, columns, gap);
        Canaried scores = Canaried.of(new float[m * rank], m, rank, gap);
        Canaried b = Canaried.of(bias, 1, columns, 0);
        // Backward the factors are the transposes of what a layer keeps.
        Canaried a = back ? Canaried.of(turned(down, rank, inner), inner, rank, 0) : Canaried.of(down, rank, inner, 0);
        Canaried c = back ? Canaried.of(turned(up, columns, rank), rank, columns, 0) : Canaried.of(up, columns, rank, 0);
        FrozenKernel.LowRank term = new FrozenKernel.LowRank(back ? a.tensor.transpose(0, 1) : a.tensor,
                back ? c.tensor.transpose(0, 1) : c.tensor, scale, Optional.of(scores.tensor).filter(t -> kept));
        Joined joined = new Joined(Optional.empty(), Optional.empty(), Optional.of(b.tensor.select(0, 0)), Optional.empty());
        boolean done = back ? kernel.tryProductBack(packed, in.tensor, out.tensor, Precision.F32, term, joined)
                : kernel.tryProduct(packed, in.tensor, out.tensor, Precision.F32, term, joined);
        String what = m + " x " + n + " x " + k + " rank " + rank + " scale " + scale + (back ? " back" : "");
        if (done) {
            float[] scaled = x.clone();
            for (int i = 0; i < scaled.length; i++) {
                scaled[i] *= (float) scale;
            }
            Exact want = new Exact(m, rank).plus(scaled, down, inner, true);
            if (kept) {
                want.matches(scores.written(), what + ": scores");
            } else {
                scores.untouched();
                want.matches(separately(x, m, inner, down, rank, scale), what + ": scores by hand");
            }
            float[] left = kept ? scores.written() : separately(x, m, inner, down, rank, scale);
            new Exact(m, columns).plus(x, narrow ? Exact.rounded(w) : w, inner, !back).plus(left, up, rank, true).plus(bias)
                    .matches(out.written(), what, kept ? 0 : 1e-6);
        } else {
            out.untouched();
            scores.untouched();
        }
        for (Canaried read : new Canaried[] {in, a, c, b}) {
            read.untouched();
        }
        return done;
    }

    private static float[] turned(float[] values, int rows, int columns) {
        float[] out = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            out[i % columns * rows + i / columns] = values[i];
        }
        return out;
    }

    private static float[] separately(float[] x, int m, int inner, float[] down, int rank, double scale) {
        float[] out = new float[m * rank];
        for (int i = 0; i < m * rank; i++) {
            double sum = 0;
            for (int p = 0; p < inner; p++) {
                sum += (double) x[i / rank * inner + p] * down[i % rank * inner + p];
            }
            out[i] = (float) (scale * sum);
        }
        return out;
    }

    @Test
    void lowRankTermsMakeTheirScores() {
        for (int rank : new int[] {1, 3, 8, 9, 16, 65}) {
            for (int kind = 0; kind < 8; kind++) {
                boolean narrow = (kind & 1) != 0;
                boolean back = (kind & 2) != 0;
                boolean kept = (kind & 4) != 0;
                assertThat(low(109, back ? 1700 : 70, back ? 70 : 1700, rank, 2, narrow, back, kept, rank % 3)).isTrue();
                assertThat(low(128, back ? 704 : 48, back ? 48 : 704, rank, 1, narrow, back, kept, 0)).isTrue();
                assertThat(low(128, back ? 704 : 48, back ? 48 : 704, rank, 0, narrow, back, kept, 0)).isTrue();
            }
        }
    }

    @Test
    void lowRankTermsOfFewRowsAreLeftToTheCaller() {
        assertThat(low(3, 64, 64, 8, 2, false, false, true, 0)).isFalse();
        assertThat(low(3, 64, 64, 8, 2, false, true, true, 0)).isFalse();
    }

    @Test
    void sumsLongerThanABlockJoinEverythingOnce() {
        FrozenKernel kernel = kernel();
        for (int kind = 0; kind < 8; kind++) {
            boolean back = (kind & 2) != 0;
            new Case(23, back ? 3301 : 70, back ? 70 : 3301, (kind & 1) != 0, back, (kind & 4) != 0 ? Precision.BF16 : Precision.F32, 9, true,
                    true, 3).check(kernel, kind);
        }
    }

    @Test
    void roundedRowsThatAreTooManyForOnePass() {
        new Case(700, 16, 13_000, true, false, Precision.BF16, 5, true, true, 0).check(kernel(), 1);
    }

    @Test
    void aProductAddsToItsOwnTarget() {
        FrozenKernel kernel = kernel();
        Random random = new Random(4);
        float[] w = Exact.random(random, 80 * 1700);
        float[] x = Exact.random(random, 9 * 1700);
        float[] before = Exact.random(random, 9 * 80);
        Tensor y = Tensor.of(Backends.cpu(), before, 9, 80);
        kernel.product(kernel.pack(Tensor.of(Backends.cpu(), w, 80, 1700)), Tensor.of(Backends.cpu(), x, 9, 1700), y, Precision.F32,
                new Joined(Optional.empty(), Optional.empty(), Optional.empty(), Optional.of(y)));
        new Exact(9, 80).plus(x, w, 1700, true).plus(before).matches(y.toFloatArray(), "added");
    }

    @Test
    void packedWeightsComeBackBitForBit() {
        FrozenKernel kernel = kernel();
        for (int n : new int[] {16, 63, 64, 130}) {
            for (int k : new int[] {16, 17, 65, 128}) {
                float[] w = Exact.random(new Random(n), n * k);
                Tensor wide = Tensor.of(Backends.cpu(), w, n, k);
                Tensor turned = Tensor.of(Backends.cpu(), w, k, n).transpose(0, 1);
                for (Tensor weight : new Tensor[] {wide, wide.to(DType.BF16), turned}) {
                    FrozenKernel.Packed packed = kernel.pack(weight);
                    Tensor out = Tensor.zeros(Backends.cpu(), DType.F32, n, k);
                    packed.unpack(out);
                    assertThat(out.toFloatArray()).isEqualTo(weight.contiguous().toFloatArray());
                    Tensor same = Tensor.zeros(Backends.cpu(), weight.dtype(), n, k);
                    packed.unpack(same);
                    assertThat(same.toFloatArray()).isEqualTo(out.toFloatArray());
                    Tensor two = Tensor.zeros(Backends.cpu(), DType.F32, 2, k);
                    packed.unpackRows(new long[] {n - 1, 3}, two);
                    assertThat(two.select(0, 0).toFloatArray()).isEqualTo(out.select(0, n - 1).toFloatArray());
                    assertThat(two.select(0, 1).toFloatArray()).isEqualTo(out.select(0, 3).toFloatArray());
                    assertThat(packed.byteSize()).isBetween(n * k * (long) weight.dtype().byteSize(),
                            (n + 63L) * (k + 31) * weight.dtype().byteSize());
                }
            }
        }
    }

    @Test
    void resultsDoNotDependOnThreadsOrTime() {
        int m = 203;
        int n = 330;
        int k = 1601;
        Random random = new Random(8);
        Tensor w = Tensor.of(Backends.cpu(), Exact.random(random, n * k), n, k);
        Tensor x = Tensor.of(Backends.cpu(), Exact.random(random, m * k), m, k);
        Tensor dy = Tensor.of(Backends.cpu(), Exact.random(random, m * n), m, n);
        for (Tensor weight : new Tensor[] {w, w.to(DType.BF16)}) {
            for (Precision precision : Precision.values()) {
                float[] forward = null;
                float[] back = null;
                for (int threads : new int[] {1, 2, 2, 3, 5}) {
                    Parallel pool = new Parallel(threads);
                    try {
                        FrozenKernel kernel = Machine.gemms(() -> pool).frozen();
                        FrozenKernel.Packed packed = kernel.pack(weight);
                        Tensor y = Tensor.zeros(Backends.cpu(), DType.F32, m, n);
                        Tensor dx = Tensor.zeros(Backends.cpu(), DType.F32, m, k);
                        kernel.product(packed, x, y, precision, Joined.NONE);
                        kernel.productBack(packed, dy, dx, precision, Joined.NONE);
                        forward = forward == null ? y.toFloatArray() : forward;
                        back = back == null ? dx.toFloatArray() : back;
                        assertThat(y.toFloatArray()).isEqualTo(forward);
                        assertThat(dx.toFloatArray()).isEqualTo(back);
                    } finally {
                        pool.close();
                    }
                }
            }
        }
    }

    @Test
    void notANumberAndInfinityStayInTheirRow() {
        FrozenKernel kernel = kernel();
        for (int kind = 0; kind < 8; kind++) {
            boolean back = (kind & 2) != 0;
            Tensor w = Tensor.full(Backends.cpu(), DType.F32, 1, 35, 35).to((kind & 1) != 0 ? DType.BF16 : DType.F32);
            float[] x = new float[8 * 35];
            Arrays.fill(x, 1);
            x[2 * 35 + 34] = Float.NaN;
            x[5 * 35 + 34] = Float.POSITIVE_INFINITY;
            Tensor y = Tensor.zeros(Backends.cpu(), DType.F32, 8, 35);
            Precision precision = (kind & 4) != 0 ? Precision.BF16 : Precision.F32;
            if (back) {
                kernel.productBack(kernel.pack(w), Tensor.of(Backends.cpu(), x, 8, 35), y, precision, Joined.NONE);
            } else {
                kernel.product(kernel.pack(w), Tensor.of(Backends.cpu(), x, 8, 35), y, precision, Joined.NONE);
            }
            float[] result = y.toFloatArray();
            for (int i = 0; i < result.length; i++) {
                int row = i / 35;
                assertThat(Float.compare(result[i], row == 2 ? Float.NaN : row == 5 ? Float.POSITIVE_INFINITY : 35f)).isZero();
            }
        }
    }

    @Test
    void whatCannotBeMultipliedIsRefusedWithItsShape() {
        FrozenKernel kernel = kernel();
        Tensor w = Tensor.zeros(Backends.cpu(), DType.F32, 32, 48);
        assertThat(kernel.supports(w)).isTrue();
        assertThat(kernel.supports(w.to(DType.F16))).isFalse();
        assertThat(kernel.supports(Tensor.zeros(Backends.cpu(), DType.F32, 8, 48))).isFalse();
        assertThatThrownBy(() -> kernel.pack(w.to(DType.F16))).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("F32 and BF16");
        FrozenKernel.Packed packed = kernel.pack(w);
        Tensor x = Tensor.zeros(Backends.cpu(), DType.F32, 3, 47);
        Tensor y = Tensor.zeros(Backends.cpu(), DType.F32, 3, 32);
        assertThatThrownBy(() -> kernel.product(packed, x, y, Precision.F32, Joined.NONE)).hasMessageContaining("[3, 48]");
        Tensor good = Tensor.zeros(Backends.cpu(), DType.F32, 3, 48);
        Joined half = new Joined(Optional.of(Tensor.zeros(Backends.cpu(), DType.F32, 3, 2)), Optional.empty(), Optional.empty(), Optional.empty());
        assertThatThrownBy(() -> kernel.product(packed, good, y, Precision.F32, half)).hasMessageContaining("Give both or none");
    }
}
