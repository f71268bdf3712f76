package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.Attention.Noise;
import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.Precision;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Attention of F32 numbers whose products may be rounded goes to tensor cores, with its derivative; what may not be rounded does not. */
class RoundedAttentionTest {
    private static final long TIME = 20;
    /**
     * Two operands rounded to 8 bits put scores of about 1 off by about 2^-8, a probability by as much of itself, the sum of products
     * with numbers that are rounded too by 2^-7 of the sum's norm; a gradient reads two such sums.
     */
    private static final double TOLERANCE = 1.0 / 64;

    private static Var parameter(Backend b, DType type, int stream, long... shape) {
        double[] v = new double[(int) (shape[0] * shape[1] * shape[2] * shape[3])];
        Arrays.setAll(v, i -> (float) Philox.normal(5, stream, i));
        return Var.parameter(Tensor.of(b, type, v, shape));
    }

    /** out and the gradients of its sum of squares. */
    private static List<double[]> run(Backend b, DType type, Precision precision, long time) {
        try (Scope scope = Scope.open()) {
            Var q = parameter(b, type, 0, 2, 4, time, 16);
            List<Var> inputs = new ArrayList<>(List.of(q));
            for (int i = 0; i < 2; i++) {
                inputs.add(parameter(b, type, 2 * i + 1, i == 0 ? 1 : 2, 2, TIME, 16));
                inputs.add(parameter(b, type, 2 * i + 2, i == 0 ? 1 : 2, 2, TIME, 16));
            }
            Var out = Attention.attend(q, List.of(new Segment(inputs.get(1), inputs.get(2), Visible.ALL),
                    new Segment(inputs.get(3), inputs.get(4), Visible.causal(TIME - time))), 0.25, 0, Noise.NONE, precision).out();
            List<double[]> all = new ArrayList<>(List.of(out.tensor().toDoubleArray()));
            Gradients.of(out.mul(out).sum(), inputs).forEach(g -> all.add(g.toDoubleArray()));
            return all;
        }
    }

    private static double distance(double[] got, double[] want) {
        double off = 0;
        double size = 0;
        for (int i = 0; i < want.length; i++) {
            off += (got[i] - want[i]) * (got[i] - want[i]);
            size += want[i] * want[i];
        }
        return Math.sqrt(off / size);
    }

    private static boolean usedTensorCores() {
        return FakeCuda.launches().stream().anyMatch(launch -> launch.contains("mma"));
    }

    @Test
    void forwardAndBackwardAreOffByWhatRoundingExplains() {
        CudaBackend device = CudaDevices.shared();
        List<double[]> want = run(Backends.reference(), DType.F64, Precision.F32, TIME);
        FakeCuda.forget();
        List<double[]> got = run(device, DType.F32, Precision.BF16, TIME);
        assertThat(FakeCuda.isReal() || usedTensorCores()).isTrue();
        for (int i = 0; i < want.size(); i++) {
            assertThat(distance(got.get(i), want.get(i))).as("result " + i).isPositive().isLessThan(TOLERANCE);
        }
    }

    @Test
    void oneTokenOverKeysInF32ReadsThemAsTheyAre() {
        CudaBackend device = CudaDevices.shared();
        FakeCuda.forget();
        List<double[]> got = run(device, DType.F32, Precision.BF16, 1);
        assertThat(FakeCuda.isReal() || !usedTensorCores()).isTrue();
        assertThat(distance(got.getFirst(), run(Backends.reference(), DType.F64, Precision.F32, 1).getFirst())).isLessThan(1e-5);
    }
}
