package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.FrozenKernel.Joined;
import dev.jotune.tensor.kernels.Precision;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Frozen products in one pass on tensor cores, against F64: what is rounded, and that nothing else is. */
class CudaFrozenTest {
    private static final long M = 136;
    private static final long OUT = 264;
    private static final long IN = 328;
    private static final long RANK = 16;
    private CudaBackend device;
    private FrozenKernel kernel;

    @BeforeEach
    void device() {
        device = CudaDevices.shared();
        kernel = device.kernel(FrozenKernel.class).orElseThrow();
    }

    private Tensor normal(long stream, long... shape) {
        Tensor t = Tensor.empty(device, DType.F32, shape);
        device.normal(t, 7, stream);
        return t;
    }

    /** The largest error relative to the sum of magnitudes of an element's terms. */
    private double error(boolean back, Precision precision, boolean terms, boolean residual) {
        Tensor w = normal(1, OUT, IN).to(DType.BF16);
        long inner = back ? OUT : IN;
        long n = back ? IN : OUT;
        Tensor x = normal(2, M, inner);
        Tensor left = normal(3, M, RANK);
        Tensor right = normal(4, RANK, n).transpose(0, 1);
        Tensor bias = normal(5, n);
        Tensor rest = normal(6, M, n);
        Tensor y = Tensor.empty(device, DType.F32, M, n);
        Joined joined = new Joined(Optional.of(left).filter(t -> terms), Optional.of(right).filter(t -> terms), Optional.of(bias).filter(t -> terms),
                Optional.of(rest).filter(t -> residual));
        if (back) {
            kernel.productBack(kernel.pack(w), x, y, precision, joined);
        } else {
            kernel.product(kernel.pack(w), x, y, precision, joined);
        }
        double[] a = (precision == Precision.BF16 ? x.to(DType.BF16) : x).toDoubleArray();
        double[] b = (back ? w : w.transpose(0, 1)).toDoubleArray();
        double[] l = left.toDoubleArray();
        double[] r = right.toDoubleArray();
        double[] extra = bias.toDoubleArray();
        double[] before = rest.toDoubleArray();
        double[] got = y.toDoubleArray();
        double worst = 0;
        for (int i = 0; i < got.length; i++) {
            int row = (int) (i / n);
            int column = (int) (i % n);
            double want = (terms ? extra[column] : 0) + (residual ? before[i] : 0);
            double size = Math.abs(want);
            for (int k = 0; k < inner; k++) {
                double term = a[(int) (row * inner + k)] * b[(int) (k * n + column)];
                want += term;
                size += Math.abs(term);
            }
            for (int k = 0; k < RANK && terms; k++) {
                double term = l[(int) (row * RANK + k)] * r[(int) (column * RANK + k)];
                want += term;
                size += Math.abs(term);
            }
            worst = Math.max(worst, Double.isNaN(got[i]) ? Double.POSITIVE_INFINITY : Math.abs(got[i] - want) / size);
        }
        return worst;
    }

    /** Against rounded activations only sums in F32 are off, and of the low-rank term 2^-16 of its part. */
    @Test
    void inBf16OnlyActivationsAreRounded() {
        for (boolean back : new boolean[] {false, true}) {
            assertThat(error(back, Precision.BF16, false, false)).isLessThan(4e-7);
            assertThat(error(back, Precision.BF16, true, true)).isLessThan(2e-6);
        }
    }

    @Test
    void inF32NothingIs() {
        for (boolean back : new boolean[] {false, true}) {
            assertThat(error(back, Precision.F32, false, true)).isLessThan(4e-7);
            assertThat(error(back, Precision.F32, true, false)).isLessThan(2e-6);
        }
    }

    @Test
    void allOfItIsOneProduct() {
        org.junit.jupiter.api.Assumptions.assumeFalse(FakeCuda.isReal());
        error(false, Precision.BF16, true, true);
        FakeCuda.forget();
        error(false, Precision.BF16, true, true);
        assertThat(FakeCuda.launches().stream().filter(l -> l.startsWith("gemm"))).hasSize(1);
        assertThat(FakeCuda.launches().stream().filter(l -> l.startsWith("pieces"))).as("left, right, bias").hasSize(3);
    }
}
