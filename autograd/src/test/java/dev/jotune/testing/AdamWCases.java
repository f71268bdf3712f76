package dev.jotune.testing;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.AdamWKernel;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.conformance.Case;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** A backend's AdamW step against the formula in doubles; a backend without one has nothing to be wrong. */
final class AdamWCases {
    private static final double LR = 0.01;
    private static final double BETA1 = 0.9;
    private static final double BETA2 = 0.99;
    private static final double EPS = 1e-6;
    private static final double DECAY = 0.1;
    private static final int STEPS = 3;

    private AdamWCases() {}

    static void add(List<Case> all) {
        for (int n : IntStream.concat(IntStream.rangeClosed(1, 67), IntStream.of(1000, 70000)).toArray()) {
            all.add(new Case("adamW/" + n, b -> b.kernel(AdamWKernel.class).ifPresent(k -> steps(b, k, n))));
        }
    }

    private static void steps(Backend b, AdamWKernel kernel, int n) {
        double[] p = normal(0, n);
        double[] m = new double[n];
        double[] v = new double[n];
        Tensor parameter = Tensor.of(b, DType.F32, p, n);
        Tensor first = Tensor.zeros(b, DType.F32, n);
        Tensor second = Tensor.zeros(b, DType.F32, n);
        for (int t = 1; t <= STEPS; t++) {
            double[] g = normal(t, n);
            kernel.step(parameter, Tensor.of(b, DType.F32, g, n), first, second, LR, BETA1, BETA2, EPS, DECAY, t);
            for (int i = 0; i < n; i++) {
                m[i] = BETA1 * m[i] + (1 - BETA1) * g[i];
                v[i] = BETA2 * v[i] + (1 - BETA2) * g[i] * g[i];
                double step = m[i] / (1 - Math.pow(BETA1, t)) / (Math.sqrt(v[i] / (1 - Math.pow(BETA2, t))) + EPS);
                p[i] = p[i] * (1 - LR * DECAY) - LR * step;
            }
            compare("parameter after step " + t, parameter, p);
            compare("first moment after step " + t, first, m);
            compare("second moment after step " + t, second, v);
        }
    }

    private static double[] normal(long stream, int n) {
        double[] x = new double[n];
        Arrays.setAll(x, i -> (float) Philox.normal(5, stream, i));
        return x;
    }

    private static void compare(String what, Tensor got, double[] want) {
        double[] values = got.toDoubleArray();
        for (int i = 0; i < want.length; i++) {
            if (!(Math.abs(values[i] - want[i]) <= 2e-6 * Math.max(1, Math.abs(want[i])))) {
                throw new AssertionError(what + ", element " + i + ": " + values[i] + ", expected " + want[i] + ".");
            }
        }
    }
}
