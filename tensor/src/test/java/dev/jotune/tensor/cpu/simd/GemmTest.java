package dev.jotune.tensor.cpu.simd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.tensor.DType;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class GemmTest {
    private final Random random = new Random(7);

    @AfterEach
    void free() {
        Buf.freeAll();
    }

    @Test
    void everyTailOfEveryDimensionInEveryLayout() {
        for (int i = 1; i <= 67; i++) {
            for (int layout = 0; layout < 4; layout++) {
                check(i, 37, 33, layout, DType.F32, DType.F32, i % 2 == 0);
                check(37, i, 33, layout, DType.F32, DType.F32, i % 2 == 1);
                check(5, i, 35, layout, DType.F32, DType.F32, i % 2 == 0);
                check(7, 70, i, layout, DType.F32, DType.F32, i % 2 == 1);
                check(35, 66, i, layout, DType.F32, DType.F32, i % 2 == 0);
                check(1, 19, i, layout, DType.F32, DType.F32, i % 2 == 1);
            }
        }
    }

    @Test
    void narrowStorageIsWidened() {
        DType[] types = {DType.F32, DType.BF16, DType.F16};
        for (DType a : types) {
            for (DType b : types) {
                for (int layout = 0; layout < 4; layout++) {
                    for (int m : new int[] {1, 2, 3, 7, 45}) {
                        check(m, 29, 83, layout, a, b, m % 2 == 0);
                        check(m, 67, 32, layout, a, b, m % 2 == 1);
                        check(m, 2, 65, layout, a, b, m % 2 == 1);
                    }
                }
            }
        }
    }

    @Test
    void largeProductsAreBlockedAndShared() {
        check(130, 131, 2100, 0, DType.F32, DType.F32, false);
        check(130, 131, 2100, 1, DType.F32, DType.F32, true);
        check(500, 70, 300, 1, DType.F32, DType.BF16, false);
        check(301, 1600, 67, 3, DType.F32, DType.F32, true);
        check(2500, 16, 1100, 1, DType.F32, DType.F32, false);
        check(1, 3001, 513, 1, DType.F32, DType.BF16, false);
        check(4, 2001, 700, 0, DType.F32, DType.F32, true);
    }

    @Test
    void emptyInnerDimensionGivesZerosOrLeavesTheTarget() {
        Buf c = Buf.random(12, random);
        Buf before = c.copy();
        Matrix none = Matrix.f32(c.address(), 1);
        Gemm.run(3, 4, 0, none, none, c.address(), 4, true);
        for (int i = 0; i < 12; i++) {
            assertThat(c.get(i)).isEqualTo(before.get(i));
        }
        Gemm.run(3, 3, 0, none, none, c.address(), 4, false);
        for (int i = 0; i < 12; i++) {
            assertThat(c.get(i)).isEqualTo(i % 4 == 3 ? before.get(i) : 0f);
        }
        Gemm.run(0, 3, 2, none, none, c.address(), 4, false);
        Gemm.run(3, 0, 2, none, none, c.address(), 4, false);
        c.assertCanaries();
    }

    @Test
    void batchedProductsTakeAnyAddresses() {
        int count = 13;
        int m = 9;
        int n = 21;
        int k = 17;
        Buf a = Buf.random(count * m * k, random);
        Buf b = Buf.random(2 * n * k, random);
        Buf c = Buf.empty(count * m * n);
        long[] as = new long[count];
        long[] bs = new long[count];
        long[] cs = new long[count];
        for (int i = 0; i < count; i++) {
            as[i] = a.address((long) i * m * k);
            bs[i] = b.address((long) i % 2 * n * k);
            cs[i] = c.address((long) i * m * n);
        }
        Gemm.batched(count, m, n, k, as, Matrix.f32(0, k), bs, Matrix.f32(0, k).transpose(), cs, n, false);
        for (int i = 0; i < count; i++) {
            for (int r = 0; r < m; r++) {
                for (int j = 0; j < n; j++) {
                    double sum = 0;
                    for (int p = 0; p < k; p++) {
                        sum += (double) a.get((i * m + r) * k + p) * b.get((i % 2 * n + j) * k + p);
                    }
                    assertThat((double) c.get((i * m + r) * n + j)).isCloseTo(sum, within(1e-4));
                }
            }
        }
        c.assertCanaries();
    }

    @Test
    void integersAreRefused() {
        Matrix ints = new Matrix(0, DType.I32, 1, 1);
        assertThatThrownBy(() -> Gemm.run(1, 1, 1, ints, ints, 0, 1, false))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("I32").hasMessageContaining("Convert");
    }

    private static org.assertj.core.data.Offset<Double> within(double value) {
        return org.assertj.core.data.Offset.offset(value);
    }

    // Layouts: 0 = NN, 1 = NT, 2 = TN, 3 = both with gaps between columns.
    private void check(int m, int n, int k, int layout, DType at, DType bt, boolean add) {
        int pad = 3;
        long[] aStrides = layout == 2 ? new long[] {1, m + pad} : layout == 3
                ? new long[] {2L * k + 1, 2} : new long[] {k + pad, 1};
        long[] bStrides = layout == 1 ? new long[] {1, k + pad} : layout == 3
                ? new long[] {3L * n + 1, 3} : new long[] {n + pad, 1};
        Buf a = Buf.random((int) ((m - 1) * aStrides[0] + (k - 1) * aStrides[1] + 1), random);
        Buf b = Buf.random((int) ((k - 1) * bStrides[0] + (n - 1) * bStrides[1] + 1), random);
        Buf aStored = stored(a, at);
        Buf bStored = stored(b, bt);
        int crs = n + pad;
        Buf c = Buf.empty((m - 1) * crs + n);
        double[] expected = new double[m * n];
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                if (add) {
                    c.set((long) i * crs + j, i - j);
                    expected[i * n + j] = i - j;
                }
                for (int p = 0; p < k; p++) {
                    expected[i * n + j] += (double) a.get(i * aStrides[0] + p * aStrides[1])
                            * b.get(p * bStrides[0] + j * bStrides[1]);
                }
            }
        }
        Gemm.run(m, n, k, new Matrix(aStored.address(), at, aStrides[0], aStrides[1]),
                new Matrix(bStored.address(), bt, bStrides[0], bStrides[1]), c.address(), crs, add);
        double tolerance = 3e-6 * Math.sqrt(k) * 4 + 1e-5;
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < crs; j++) {
                if (j < n) {
                    double error = Math.abs(c.get((long) i * crs + j) - expected[i * n + j]);
                    if (!(error <= tolerance)) {
                        throw new AssertionError("m=%d n=%d k=%d layout=%d %s x %s add=%b: C[%d,%d] = %s, expected %s"
                                .formatted(m, n, k, layout, at, bt, add, i, j, c.get((long) i * crs + j),
                                        expected[i * n + j]));
                    }
                } else if (i < m - 1 && !c.untouched((long) i * crs + j)) {
                    throw new AssertionError("m=%d n=%d k=%d layout=%d: wrote beyond row %d".formatted(m, n, k, layout, i));
                }
            }
        }
        c.assertCanaries();
    }

    private static Buf stored(Buf values, DType type) {
        return switch (type) {
            case BF16 -> values.toBf16();
            case F16 -> values.toF16();
            default -> values;
        };
    }
}
