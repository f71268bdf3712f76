package dev.jotune.testing;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Shape;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/**
 * Compares gradients with central differences, in F64 on the reference backend.
 *
 * <p>An output of any shape becomes a scalar by a product with fixed noise, so that no error can hide in a sum. The
 * step is {@code 1e-5}: the formula's own error is then near 1e-10 times the third derivative.
 */
public final class FiniteDifference {
    private static final double STEP = 1e-5;
    private static final double TOLERANCE = 2e-6;
    private static final long SEED = 20260;

    private FiniteDifference() {}

    /** An F64 tensor of standard normal numbers on the reference backend. */
    public static Tensor normal(long stream, long... shape) {
        return values(i -> Philox.normal(SEED, stream, i), shape);
    }

    /** An F64 tensor of numbers in [low, high). */
    public static Tensor uniform(long stream, double low, double high, long... shape) {
        return values(i -> low + (high - low) * Philox.uniformDouble(SEED, stream, i), shape);
    }

    private static Tensor values(java.util.function.LongToDoubleFunction f, long... shape) {
        double[] v = new double[Math.toIntExact(Shape.numel(shape))];
        Arrays.setAll(v, f::applyAsDouble);
        return Tensor.of(Backends.reference(), DType.F64, v, shape);
    }

    /** Fails if a gradient of {@code f} by an input is not what differences of {@code f} say. */
    public static void check(Function<List<Var>, Var> f, Tensor... inputs) {
        try (Scope scope = Scope.open()) {
            compare(f, inputs);
        }
    }

    /** As {@link #check}, and the same for the gradients themselves: first and second derivatives. */
    public static void checkTwice(Function<List<Var>, Var> f, Tensor... inputs) {
        check(f, inputs);
        check(vars -> {
            Var loss = scalar(f.apply(vars), 1000);
            if (!loss.requiresGrad()) {
                return loss;
            }
            List<Var> gradients = Gradients.differentiable(loss, vars);
            Var sum = loss.scalarLike(0);
            for (int i = 0; i < gradients.size(); i++) {
                sum = sum.add(scalar(gradients.get(i), 2000 + i));
            }
            return sum;
        }, inputs);
    }

    private static Var scalar(Var out, long stream) {
        return out.mul(Var.constant(normal(stream, out.shape()))).sum();
    }

    private static void compare(Function<List<Var>, Var> f, Tensor... inputs) {
        List<Var> parameters = Arrays.stream(inputs).map(Var::parameter).toList();
        Var loss = scalar(f.apply(parameters), 1);
        if (loss.dtype() != DType.F64) {
            throw new AssertionError("The result is " + loss.dtype() + ", not F64. Differences would be noise.");
        }
        List<Tensor> analytic = loss.requiresGrad() ? Gradients.of(loss, parameters)
                : parameters.stream().map(p -> Tensor.zeros(Backends.reference(), DType.F64, p.shape())).toList();
        for (int k = 0; k < inputs.length; k++) {
            double[] got = analytic.get(k).toDoubleArray();
            double[] expected = differences(f, inputs, k);
            double scale = 1;
            for (double e : expected) {
                scale = Math.max(scale, Math.abs(e));
            }
            for (int i = 0; i < got.length; i++) {
                if (!(Math.abs(got[i] - expected[i]) <= TOLERANCE * scale)) {
                    throw new AssertionError("The gradient by input " + k + " " + inputs[k] + " at element " + i + " is "
                            + got[i] + ", differences say " + expected[i] + " (tolerance " + TOLERANCE * scale + ").");
                }
            }
        }
    }

    private static double[] differences(Function<List<Var>, Var> f, Tensor[] inputs, int k) {
        double[] at = inputs[k].toDoubleArray();
        double[] slope = new double[at.length];
        for (int i = 0; i < at.length; i++) {
            slope[i] = (value(f, inputs, k, at, i, STEP) - value(f, inputs, k, at, i, -STEP)) / (2 * STEP);
        }
        return slope;
    }

    private static double value(Function<List<Var>, Var> f, Tensor[] inputs, int k, double[] at, int i, double step) {
        try (Scope scope = Scope.open()) {
            double[] moved = at.clone();
            moved[i] += step;
            List<Var> vars = new ArrayList<>(Arrays.stream(inputs).map(Var::parameter).toList());
            vars.set(k, Var.parameter(Tensor.of(Backends.reference(), DType.F64, moved, inputs[k].shape())));
            return Recording.on(() -> scalar(f.apply(vars), 1)).item();
        }
    }
}
