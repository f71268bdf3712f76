package dev.jotune.autograd.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.AdamWKernel;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Whole training steps: gradients, transforms, update. */
class OptimTrainingTest {

    static List<Backend> backends() {
        return Backends.all();
    }

    /** Least squares whose solution is known: y = x w + b. */
    @ParameterizedTest
    @MethodSource("backends")
    void leastSquaresIsSolved(Backend backend) {
        float[] xs = new float[32 * 3];
        float[] ys = new float[32];
        float[] truth = {0.5f, -2, 1.25f};
        for (int i = 0; i < ys.length; i++) {
            ys[i] = 0.75f;
            for (int j = 0; j < 3; j++) {
                xs[3 * i + j] = (float) Math.sin(i * 1.7 * (j + 1) + j);
                ys[i] += xs[3 * i + j] * truth[j];
            }
        }
        Var x = Var.constant(Tensor.of(backend, xs, 32, 3));
        Var y = Var.constant(Tensor.of(backend, ys, 32, 1));
        LinkedHashMap<String, Var> parameters = new LinkedHashMap<>();
        parameters.put("w", Var.parameter(Tensor.zeros(backend, DType.F32, 3, 1)));
        parameters.put("b", Var.parameter(Tensor.zeros(backend, DType.F32, 1)));
        int total = 400;
        Optimizer optimizer = new AdamW(0)
                .with(Schedules.byName("linear", Map.of("base_lr", 0.1, "warmup", 10, "total", total)))
                .after(GradientTransforms.clipByNorm(1));
        double loss = Double.NaN;
        for (int i = 0; i < total; i++) {
            try (Scope _ = Scope.open()) {
                Var error = x.matmul(parameters.get("w")).add(parameters.get("b")).sub(y).square().mean();
                loss = error.item();
                optimizer.step(parameters, Gradients.of(error, List.copyOf(parameters.values())));
            }
        }
        assertThat(loss).isLessThan(1e-5);
        assertThat(parameters.get("w").tensor().toFloatArray()).containsExactly(truth, within(0.01f));
        assertThat(parameters.get("b").tensor().item()).isCloseTo(0.75, within(0.01));
    }

    /** The formula in {@link AdamWKernel}'s documentation, in doubles. */
    private static final AdamWKernel PLAIN = (parameter, gradient, m, v, lr, beta1, beta2, eps, decay, step) -> {
        double[] p = parameter.toDoubleArray();
        double[] g = gradient.toDoubleArray();
        double[] m1 = m.toDoubleArray();
        double[] v1 = v.toDoubleArray();
        for (int i = 0; i < p.length; i++) {
            m1[i] = beta1 * m1[i] + (1 - beta1) * g[i];
            v1[i] = beta2 * v1[i] + (1 - beta2) * g[i] * g[i];
            double mean = m1[i] / (1 - Math.pow(beta1, step));
            p[i] = p[i] * (1 - lr * decay) - lr * mean / (Math.sqrt(v1[i] / (1 - Math.pow(beta2, step))) + eps);
        }
        overwrite(parameter, p);
        overwrite(m, m1);
        overwrite(v, v1);
    };

    private static void overwrite(Tensor t, double[] values) {
        t.copyFrom(Tensor.of(t.backend(), t.dtype(), values, t.shape()));
    }

    private static Backend withKernel(Backend backend) {
        return (Backend) Proxy.newProxyInstance(Backend.class.getClassLoader(), new Class<?>[] {Backend.class},
                (proxy, method, arguments) -> {
                    if (method.getName().equals("kernel")) {
                        return arguments[0] == AdamWKernel.class ? Optional.of(PLAIN) : Optional.empty();
                    }
                    try {
                        return method.invoke(backend, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
    }

    private static Tensor train(Backend backend) {
        Optimizer optimizer = new AdamW(0.9, 0.99, 1e-3, 0.2, false).with(step -> 0.1 / (1 + step));
        Tensor p = Tensor.of(backend, new float[] {1, -2, 3, 0.5f, 4, -1}, 2, 3);
        for (int i = 0; i < 5; i++) {
            Tensor g = Tensor.of(backend, new float[] {i, 1, -i, 0.1f, -0.2f, 3}, 3, 2).transpose(0, 1);
            optimizer.step(List.of(new Trainable("p", p, g)));
        }
        return p;
    }

    @Test
    void aBackendsKernelAndTheDefinitionAgree() {
        Tensor expected = train(Backends.reference());
        assertThat(train(withKernel(Backends.reference())).toDoubleArray())
                .containsExactly(expected.toDoubleArray(), within(1e-6));
        for (Backend backend : Backends.all()) {
            assertThat(train(backend).toDoubleArray()).as(backend.name())
                    .containsExactly(expected.toDoubleArray(), within(1e-5));
        }
    }
}
