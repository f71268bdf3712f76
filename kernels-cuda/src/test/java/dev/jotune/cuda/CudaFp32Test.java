package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.jotune.cuda.CudaProducts.Way;
import dev.jotune.cuda.Fp32Product.Kind;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.conformance.BackendConformance;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Products of F32 on tensor cores against sums in F64: rounded to TF32, and in pieces no less exact than F32 itself; edges, specials, choices. */
class CudaFp32Test extends OwnDevice {
    private static final Set<Way> GROUPS = EnumSet.of(Way.WGMMA_128, Way.WGMMA_256, Way.WGMMA_PAIRS);

    @AfterEach
    void asItWas() {
        System.clearProperty(Fp32Precision.PROPERTY);
        System.clearProperty(CudaProducts.PROPERTY);
    }

    static Stream<Kind> kinds() {
        return Stream.of(Way.PLAIN, Way.MMA_SMALL, Way.MMA_MEDIUM, Way.MMA_LARGE, Way.WGMMA_128, Way.WGMMA_256, Way.WGMMA_PAIRS)
                .flatMap(w -> Stream.of(new Kind(Fp32Precision.TF32, w), new Kind(Fp32Precision.BF16X6, w)))
                // The sizes of pieces are two, and warp groups have none.
                .filter(k -> k.precision() == Fp32Precision.TF32 || k.way() == Way.PLAIN || k.way() == Way.MMA_SMALL || k.way() == Way.MMA_LARGE);
    }

    static Stream<Kind> roundedKinds() {
        return kinds().filter(k -> k.precision() == Fp32Precision.TF32);
    }

    private void check(Kind kind, Fp32Product p, boolean outAcross) {
        assertThat(Fp32Product.worst(Fp32Product.run(device, kind, p, outAcross))).as(kind + " " + p).isLessThan(Fp32Product.allowed(kind, p.k()));
    }

    private void assumeFor(Kind kind) {
        if (GROUPS.contains(kind.way())) {
            assumeTrue(device.chip() == 90, "needs compute capability 9.0");
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void everyLayoutHasItsNumbers(Kind kind) {
        assumeFor(kind);
        for (int layout = 0; layout < 8; layout++) {
            check(kind, Fp32Product.of(device, 72, 136, 88, layout, 0), layout >= 4);
        }
    }

    /** One less and one more than tiles, steps and chunks; lines that begin anywhere are copied number by number. */
    @ParameterizedTest
    @MethodSource("kinds")
    void everyEdgeHasItsNumbers(Kind kind) {
        assumeFor(kind);
        for (int[] s : new int[][] {{1, 4, 4}, {64, 64, 32}, {65, 260, 36}, {127, 256, 128}, {129, 40, 100}, {33, 47, 51}, {9, 9, 1},
                {257, 20, 164}}) {
            check(kind, Fp32Product.of(device, s[0], s[1], s[2], 0, 0), false);
            check(kind, Fp32Product.of(device, s[0], s[1], s[2], 2, 0), false);
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void batchesSumsOnTopAndHalvesAsResults(Kind kind) {
        assumeFor(kind);
        Fp32Product p = Fp32Product.of(device, 40, 72, 52, 2, 3);
        System.setProperty(Fp32Precision.PROPERTY, kind.precision().toString());
        Tensor out = Tensor.full(device, DType.F32, 0.5, 3, 40, 72);
        assertThat(new CudaProducts(device, kind.way()).tryMultiply(p.a(), p.b(), out, true)).isTrue();
        double[] before = new double[3 * 40 * 72];
        Arrays.fill(before, 0.5);
        assertThat(Fp32Product.worst(p.errors(out, before))).isLessThan(Fp32Product.allowed(kind, 52));
        Tensor half = Tensor.empty(device, DType.BF16, 3, 40, 72);
        assertThat(new CudaProducts(device, kind.way()).tryMultiply(p.a(), p.b(), half, false)).isTrue();
        assertThat(Fp32Product.worst(p.errors(half, new double[before.length]))).isLessThan(Fp32Product.allowed(kind, 52) + 0x1p-8);
        Tensor four = p.a().unsqueeze(0).expand(2, 3, 40, 52);
        Tensor out4 = Tensor.empty(device, DType.F32, 2, 3, 40, 72);
        assertThat(new CudaProducts(device, kind.way()).tryMultiply(four, p.b().unsqueeze(0).expand(2, 3, 52, 72), out4, false)).isTrue();
        assertThat(Fp32Product.worst(p.errors(out4.select(0, 1), new double[before.length]))).isLessThan(Fp32Product.allowed(kind, 52));
    }

    /** 1 + 2^-11 + 2^-12 is nearer to 1 + 2^-10 than to 1, which cutting bits off would give. */
    @ParameterizedTest
    @MethodSource("roundedKinds")
    void numbersAreRoundedToTheNearest(Kind kind) {
        assumeFor(kind);
        System.setProperty(Fp32Precision.PROPERTY, "tf32");
        Tensor a = Tensor.full(device, DType.F32, 1 + 0x1p-11 + 0x1p-12, 16, 16);
        Tensor out = Tensor.empty(device, DType.F32, 16, 16);
        assertThat(new CudaProducts(device, kind.way()).tryMultiply(a, Tensor.full(device, DType.F32, 1, 16, 16), out, false)).isTrue();
        assertThat(out.toDoubleArray()).containsOnly(16 * (1 + 0x1p-10));
    }

    /**
     * Pieces lose nothing where numbers are tiny, huge or subnormal: they are no less exact than sums in F32, whose kernel computes the same
     * product. From 2^104 on they are left to that sum element by element.
     */
    @ParameterizedTest
    @CsvSource({"0, 0", "-100, 100", "100, -100", "-75, -70", "-140, 60", "-130, 120", "50, 45", "110, -90", "-110, -30"})
    void piecesAreAsExactAsF32WhateverTheMagnitude(int aScale, int bScale) {
        for (int k : new int[] {16, 64, 500}) {
            Fp32Product p = Fp32Product.of(device, 40, 48, k, 2, 0, aScale, bScale);
            double[] pieces = Fp32Product.run(device, new Kind(Fp32Precision.BF16X6, Way.MMA_SMALL), p, false);
            Tensor plain = p.empty(device, false);
            System.clearProperty(Fp32Precision.PROPERTY);
            device.matmul(p.a(), p.b(), plain, false);
            // What is subnormal is rounded to multiples of 2^-149, by both alike.
            double last = 0x1p-149 / Math.scalb(k * 0.5, aScale + bScale);
            double[] f32 = p.errors(plain, new double[40 * 48]);
            // What is left to that sum is the same sum, maybe in another order.
            assertThat(Math.sqrt(Fp32Product.meanSquare(pieces))).as("K = %d", k)
                    .isLessThanOrEqualTo(1.1 * Math.sqrt(Fp32Product.meanSquare(f32)) + last);
            if (Boolean.getBoolean("jotune.print")) {
                System.out.printf("2^%d 2^%d K %d: rms %.2e, F32 %.2e; worst %.2e, F32 %.2e%n", aScale, bScale, k,
                        Math.sqrt(Fp32Product.meanSquare(pieces)), Math.sqrt(Fp32Product.meanSquare(f32)), Fp32Product.worst(pieces),
                        Fp32Product.worst(f32));
            }
        }
    }

    /** Infinities, what is no number, and what pieces are too short for. */
    @Test
    void specialNumbersComeOutAsTheDefinitionHasThem() {
        float[] special = {Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NaN, Float.MAX_VALUE, -3e38f, 2e31f, Float.MIN_VALUE, -0.0f};
        int m = 24;
        int n = 20;
        int k = 36;
        float[] x = new float[m * k];
        float[] w = new float[k * n];
        Random random = new Random(5);
        for (int i = 0; i < x.length; i++) {
            x[i] = (float) random.nextGaussian();
        }
        for (int i = 0; i < w.length; i++) {
            w[i] = (float) random.nextGaussian();
        }
        for (int i = 0; i < special.length; i++) {
            x[(3 * i) * k + 5 * i % k] = special[i];
        }
        // Infinity times zero, and infinities of both signs in a sum.
        Arrays.fill(w, 0, n / 2, 0);
        w[7 * n + 3] = Float.NEGATIVE_INFINITY;
        w[8 * n + 3] = Float.POSITIVE_INFINITY;
        Tensor a = Tensor.of(device, x, m, k);
        Tensor b = Tensor.of(device, w, k, n);
        Tensor out = Tensor.empty(device, DType.F32, m, n);
        System.setProperty(Fp32Precision.PROPERTY, "bf16x6");
        assertThat(new CudaProducts(device, Way.MMA_SMALL).tryMultiply(a, b, out, false)).isTrue();
        double[] got = out.toDoubleArray();
        int strange = 0;
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                float sum = 0;
                double size = 0;
                for (int l = 0; l < k; l++) {
                    sum = Math.fma(x[i * k + l], w[l * n + j], sum);
                    size += Math.abs((double) x[i * k + l] * w[l * n + j]);
                }
                if (Float.isFinite(sum)) {
                    assertThat(got[i * n + j]).as("%d, %d", i, j).isCloseTo(sum, org.assertj.core.data.Offset.offset(size * k * 0x1p-24));
                } else {
                    strange++;
                    assertThat(got[i * n + j]).as("%d, %d", i, j).isEqualTo(Double.valueOf(sum));
                }
            }
        }
        assertThat(strange).isGreaterThan(40);
    }

    @Test
    void theSettingChoosesThem() {
        assumeFalse(FakeCuda.isReal());
        Fp32Product p = Fp32Product.of(device, 72, 136, 256, 2, 0);
        Fp32Product across = Fp32Product.of(device, 72, 136, 256, 0, 0);
        Tensor out = p.empty(device, false);
        assertThat(names(device, p, out)).as("by default exact").containsExactly("gemm");
        System.setProperty(Fp32Precision.PROPERTY, "ieee");
        assertThat(names(device, p, out)).containsExactly("gemm");
        System.setProperty(Fp32Precision.PROPERTY, "TF32");
        assertThat(names(device, p, out)).containsExactly("gemm_wgmma");
        assertThat(names(device, across, out)).as("copying b would cost more").containsExactly("gemm_mma_f32");
        System.setProperty(Fp32Precision.PROPERTY, "bf16x6");
        assertThat(names(device, p, out)).containsExactly("gemm_mma_f32");
        configure("capability=80");
        CudaBackend older = device(UnaryOperator.identity());
        System.setProperty(Fp32Precision.PROPERTY, "tf32");
        Fp32Product there = Fp32Product.of(older, 72, 136, 256, 2, 0);
        assertThat(names(older, there, there.empty(older, false))).containsExactly("gemm_mma_f32");
        System.setProperty(Fp32Precision.PROPERTY, "exact");
        assertThatThrownBy(() -> device.matmul(p.a(), p.b(), out, false)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("is 'exact'. Use one of [ieee, tf32, bf16x6].");
    }

    private static List<String> names(CudaBackend d, Fp32Product p, Tensor out) {
        FakeCuda.forget();
        d.matmul(p.a(), p.b(), out, false);
        return FakeCuda.launches().stream().map(l -> l.split(" ")[0]).toList();
    }

    /** An operand across the inner axis that many lines meet is copied; its columns may begin anywhere. */
    @Test
    void whatLiesAcrossIsCopiedWhereThatPays() {
        assumeFalse(FakeCuda.isReal());
        System.setProperty(Fp32Precision.PROPERTY, "tf32");
        Fp32Product p = Fp32Product.of(device, 520, 132, 257, 2, 0);
        Fp32Product across = new Fp32Product(p.a(), p.b().contiguous(), 520, 132, 257, 0);
        Tensor out = across.empty(device, false);
        assertThat(names(device, across, out)).as("rows of a cannot be read in chunks, too few columns meet them").contains("gemm_mma_f32");
        Fp32Product even = Fp32Product.of(device, 520, 132, 256, 0, 0);
        out = even.empty(device, false);
        assertThat(names(device, even, out)).endsWith("gemm_wgmma").hasSize(2);
        assertThat(Fp32Product.worst(even.errors(out, new double[520 * 132])))
                .isLessThan(Fp32Product.allowed(new Kind(Fp32Precision.TF32, Way.AUTO), 256));
    }

    /** Every product of the conformance suite, in pieces. */
    @TestFactory
    Stream<DynamicTest> piecesConform() {
        FakeCuda.install();
        return BackendConformance.cases().stream().filter(c -> c.name().startsWith("matmul")).map(c -> DynamicTest.dynamicTest(c.name(), () -> {
            System.setProperty(CudaProducts.PROPERTY, "mma-small");
            System.setProperty(Fp32Precision.PROPERTY, "bf16x6");
            c.run(device(UnaryOperator.identity()));
        }));
    }
}
