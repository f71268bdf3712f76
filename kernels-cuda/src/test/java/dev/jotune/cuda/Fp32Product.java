package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.cuda.CudaProducts.Way;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.Random;

/** Operands and what they give; errors are counted in what the definition allows to lose: {@code sum |a| |b|}. */
record Fp32Product(Tensor a, Tensor b, int m, int n, int k, int batches) {
    /** @param layout bits: a, b across their rows */
    static Fp32Product of(CudaBackend d, int m, int n, int k, int layout, int batches) {
        return of(d, m, n, k, layout, batches, 0, 0);
    }

    /** Normal noise of the scales 2^aScale, 2^bScale. */
    static Fp32Product of(CudaBackend d, int m, int n, int k, int layout, int batches, int aScale, int bScale) {
        Random random = new Random(31L * m + 7L * n + k);
        Tensor a = matrix(d, random, (layout & 1) != 0, batches, m, k, aScale);
        Tensor b = matrix(d, random, (layout & 2) != 0, 0, k, n, bScale);
        return new Fp32Product(a, batches == 0 ? b : b.unsqueeze(0).expand(batches, k, n), m, n, k, batches);
    }

    private static Tensor matrix(CudaBackend d, Random random, boolean across, int batches, int rows, int columns, int scale) {
        float[] x = new float[Math.max(1, batches) * rows * columns];
        for (int i = 0; i < x.length; i++) {
            x[i] = (float) Math.scalb(random.nextGaussian(), scale);
        }
        Tensor t = across ? Tensor.of(d, x, Math.max(1, batches), columns, rows).transpose(1, 2)
                : Tensor.of(d, x, Math.max(1, batches), rows, columns);
        return batches == 0 ? t.squeeze(0) : t;
    }

    Tensor empty(CudaBackend d, boolean across) {
        Tensor t = across ? Tensor.full(d, DType.F32, Double.NaN, Math.max(1, batches), n, m).transpose(1, 2)
                : Tensor.full(d, DType.F32, Double.NaN, Math.max(1, batches), m, n);
        return batches == 0 ? t.squeeze(0) : t;
    }

    /** Of each element the error over {@code sum |a| |b|}; before: what lay there. */
    double[] errors(Tensor out, double[] before) {
        double[] got = out.toDoubleArray();
        double[] x = a.toDoubleArray();
        double[] w = b.toDoubleArray();
        for (int i = 0; i < got.length; i++) {
            int row = i / n;
            double want = before[i];
            double size = Math.abs(want);
            for (int l = 0; l < k; l++) {
                double p = x[row * k + l] * w[l * n + i % n];
                want += p;
                size += Math.abs(p);
            }
            got[i] = Math.abs(got[i] - want) / size;
        }
        return got;
    }

    /** A kernel: how numbers are taken, and the rung. */
    record Kind(Fp32Precision precision, Way way) {}

    static double[] run(CudaBackend d, Kind kind, Fp32Product p, boolean outAcross) {
        Tensor out = p.empty(d, outAcross);
        System.setProperty(Fp32Precision.PROPERTY, kind.precision.toString());
        assertThat(new CudaProducts(d, kind.way).tryMultiply(p.a, p.b, out, false)).as(kind.toString()).isTrue();
        return p.errors(out, new double[(int) out.numel()]);
    }

    static double worst(double[] errors) {
        return Arrays.stream(errors).anyMatch(Double::isNaN) ? Double.NaN : Arrays.stream(errors).max().orElseThrow();
    }

    static double meanSquare(double[] errors) {
        return Arrays.stream(errors).map(e -> e * e).average().orElseThrow();
    }

    /**
     * What rounding does, in shares of {@code sum |a| |b|}: two operands to 11 bits, 2^-11 each and their product; or products of pieces left out,
     * 2^-23 at most. Then additions of F32, of which none loses more than 2^-24 of that sum, K of them in a tensor core's loop or K / 16 behind it.
     */
    static double allowed(Kind kind, int k) {
        return kind.precision == Fp32Precision.TF32 ? 0x1.01p-10 + (k + 2) * 0x1p-24 : 0x1p-23 + (k / 16 + 20) * 0x1p-24;
    }
}
