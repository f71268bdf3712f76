package dev.jotune.kernels.x86;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.kernels.x86.gemm.DirtyWorkspace;
import dev.jotune.kernels.x86.gemm.Gemms;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Matrix;
import dev.jotune.tensor.cpu.simd.Parallel;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

/** Products of matrices as they come against sums in double, with canaries around every buffer. */
class DenseProductsTest {
    private static Gemms gemms() {
        return Machine.gemms(Parallel::shared);
    }

    private static Matrix matrix(Tensor t) {
        return new Matrix(t.address(), t.dtype(), t.stride(0), t.stride(1));
    }

    /** An operand, stored by columns if {@code turned}; values are {@code [rows, columns]}. */
    private static Canaried operand(float[] values, int rows, int columns, boolean turned, boolean narrow, int gap) {
        float[] stored = values;
        if (turned) {
            stored = new float[values.length];
            for (int i = 0; i < values.length; i++) {
                stored[i % columns * rows + i / columns] = values[i];
            }
        }
        int r = turned ? columns : rows;
        int c = turned ? rows : columns;
        return narrow ? Canaried.narrow(stored, r, c, gap) : Canaried.of(stored, r, c, gap);
    }

    private static boolean check(Gemms gemms, int m, int n, int k, boolean aTurned, boolean bTurned, boolean aNarrow, boolean bNarrow,
            boolean add, int gap) {
        Random random = new Random(m + 67L * n + 6700L * k);
        float[] a = Exact.random(random, m * k);
        float[] b = Exact.random(random, k * n);
        float[] before = Exact.random(random, m * n);
        a = aNarrow ? Exact.rounded(a) : a;
        b = bNarrow ? Exact.rounded(b) : b;
        Canaried left = operand(a, m, k, aTurned, aNarrow, gap);
        Canaried right = operand(b, k, n, bTurned, bNarrow, gap);
        Canaried out = Canaried.of(before, m, n, gap);
        Tensor x = aTurned ? left.tensor.transpose(0, 1) : left.tensor;
        Tensor w = bTurned ? right.tensor.transpose(0, 1) : right.tensor;
        DirtyWorkspace.make();
        boolean done = gemms.matmul(m, n, k, matrix(x), matrix(w), out.tensor.address(), out.tensor.stride(0), add);
        String what = m + " x " + n + " x " + k + (aTurned ? " A turned" : "") + (bTurned ? " B turned" : "") + (add ? " added" : "");
        if (done) {
            Exact exact = new Exact(m, n).plus(a, b, k, false);
            (add ? exact.plus(before) : exact).matches(out.written(), what);
        } else {
            out.untouched();
        }
        left.untouched();
        right.untouched();
        return done;
    }

    @Test
    void everyTailInEveryLayout() {
        Gemms gemms = gemms();
        int done = 0;
        for (int s = 1; s <= 67; s++) {
            for (int layout = 0; layout < 8; layout++) {
                boolean aTurned = (layout & 1) != 0;
                boolean bTurned = (layout & 2) != 0;
                boolean add = (layout & 4) != 0;
                done += check(gemms, s, 70, 66, aTurned, bTurned, false, false, add, 0) ? 1 : 0;
                done += check(gemms, 101, s, 66, aTurned, bTurned, false, false, add, 0) ? 1 : 0;
                done += check(gemms, 101, 70, s, aTurned, bTurned, false, false, add, 0) ? 1 : 0;
            }
        }
        assertThat(done).as("products that were not left to the caller").isGreaterThan(1000);
    }

    @Property(tries = 300)
    void anyShapeStrideAndType(@ForAll @IntRange(min = 1, max = 150) int m, @ForAll @IntRange(min = 1, max = 150) int n,
            @ForAll @IntRange(min = 1, max = 150) int k, @ForAll boolean aTurned, @ForAll boolean bTurned, @ForAll boolean aNarrow,
            @ForAll boolean bNarrow, @ForAll boolean add, @ForAll @IntRange(max = 9) int gap) {
        check(gemms(), m, n, k, aTurned, bTurned, aNarrow, bNarrow, add, gap);
    }

    @Test
    void fewColumnsByManyRows() {
        Gemms gemms = gemms();
        for (int n = 1; n <= 9; n++) {
            for (int layout = 0; layout < 8; layout++) {
                boolean aTurned = (layout & 1) != 0;
                boolean bTurned = (layout & 2) != 0;
                boolean add = (layout & 4) != 0;
                assertThat(check(gemms, 107, n, 701, aTurned, bTurned, false, false, add, n % 3)).isTrue();
                assertThat(check(gemms, 97, n, 1664, aTurned, bTurned, false, false, add, 0)).isTrue();
                assertThat(check(gemms, 113, n, 3302, aTurned, bTurned, false, false, add, 0)).isTrue();
            }
        }
    }

    @Test
    void longSums() {
        Gemms gemms = gemms();
        for (int layout = 0; layout < 8; layout++) {
            assertThat(check(gemms, 40, 33, 3300, (layout & 1) != 0, (layout & 2) != 0, false, false, (layout & 4) != 0, 1)).isTrue();
        }
        assertThat(check(gemms, 40, 33, 6400, false, true, false, true, true, 2)).isTrue();
        assertThat(check(gemms, 40, 33, 3300, false, true, true, true, false, 0)).isTrue();
    }

    @Test
    void halfPrecisionIsLeftToTheCaller() {
        Gemms gemms = gemms();
        Canaried a = Canaried.of(new float[64 * 64], 64, 64, 0);
        Canaried out = Canaried.of(new float[64 * 64], 64, 64, 0);
        Tensor b = a.tensor.to(DType.F16);
        assertThat(gemms.matmul(64, 64, 64, matrix(a.tensor), matrix(b), out.tensor.address(), 64, false)).isFalse();
        out.untouched();
    }
}
