package dev.jotune.testing;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Shape;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.conformance.Case;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The second half of the conformance suite: every fused operation, forward and backward in F32 on the backend under
 * test, against its definition in F64 on the reference.
 */
public final class KernelConformance {
    private static final double TOLERANCE = 1e-5;
    private static final long SEED = 99;
    private static final Map<String, Result> WANTED = new ConcurrentHashMap<>();

    private KernelConformance() {}

    /** An operation of parameters; other tensors are made with {@link Inputs}. */
    @FunctionalInterface
    interface Operation {
        Var[] apply(Inputs in);
    }

    /** Where an operation gets its tensors: the same numbers on every backend. */
    static final class Inputs {
        private final Backend backend;
        private final DType type;
        private final boolean definition;
        final List<Var> parameters = new ArrayList<>();
        private long stream;

        private Inputs(Backend backend, DType type, boolean definition) {
            this.backend = backend;
            this.type = type;
            this.definition = definition;
        }

        /** Whether the operation's definition is asked for instead of the operation. */
        boolean definition() {
            return definition;
        }

        Backend backend() {
            return backend;
        }

        /** Standard normal numbers whose gradient is compared. */
        Var parameter(long... shape) {
            Var v = Var.parameter(normal(shape));
            parameters.add(v);
            return v;
        }

        /** A parameter whose axes 1 and 2 lie exchanged in memory, as heads do. */
        Var heads(long... shape) {
            long[] memory = shape.clone();
            memory[1] = shape[2];
            memory[2] = shape[1];
            return parameter(memory).transpose(1, 2);
        }

        Tensor normal(long... shape) {
            long s = stream++;
            return values(i -> Philox.normal(SEED, s, i), shape);
        }

        Tensor values(java.util.function.LongToDoubleFunction f, long... shape) {
            double[] v = new double[Math.toIntExact(Shape.numel(shape))];
            // Rounded to F32, so that both backends start from the same numbers.
            Arrays.setAll(v, i -> (float) f.applyAsDouble(i));
            return Tensor.of(backend, type, v, shape);
        }

        Tensor mask(int every, long... shape) {
            boolean[] v = new boolean[Math.toIntExact(Shape.numel(shape))];
            for (int i = 0; i < v.length; i++) {
                v[i] = i % every != 0;
            }
            return Tensor.of(backend, v, shape);
        }
    }

    /** All cases. */
    public static List<Case> cases() {
        List<Case> all = new ArrayList<>();
        AttentionCases.add(all);
        FusedCases.add(all);
        ScanCases.add(all);
        MixedRowsCases.add(all);
        SparseCases.add(all);
        AdamWCases.add(all);
        TailCases.add(all);
        TopKCases.add(all);
        VocabularyCases.add(all);
        return all;
    }

    /** The first case that {@code backend} fails, with what was wrong. */
    public static Optional<String> firstFailure(Backend backend, String topic) {
        for (Case c : cases()) {
            if (c.name().startsWith(topic)) {
                try {
                    c.run(backend);
                } catch (AssertionError | RuntimeException e) {
                    return Optional.of(c.name() + ": " + e.getMessage());
                }
            }
        }
        return Optional.empty();
    }

    static Case of(String name, Operation operation) {
        return new Case(name, backend -> compare(name, backend, operation));
    }

    private record Result(List<double[]> outputs, List<double[]> gradients) {}

    private static void compare(String name, Backend backend, Operation operation) {
        Result got = run(operation, new Inputs(backend, DType.F32, false));
        // What the definition says is the same for every backend, and every time.
        Result want = WANTED.computeIfAbsent(name, n -> run(operation, new Inputs(Backends.reference(), DType.F64, true)));
        for (int i = 0; i < want.outputs().size(); i++) {
            compare(name + ", output " + i, got.outputs().get(i), want.outputs().get(i));
        }
        for (int i = 0; i < want.gradients().size(); i++) {
            compare(name + ", gradient by parameter " + i, got.gradients().get(i), want.gradients().get(i));
        }
    }

    private static Result run(Operation operation, Inputs in) {
        try (Scope scope = Scope.open()) {
            Var[] outputs = operation.apply(in);
            List<Var> ys = new ArrayList<>();
            List<Var> upstream = new ArrayList<>();
            for (Var y : outputs) {
                Tensor noise = in.normal(y.shape());
                if (y.requiresGrad()) {
                    ys.add(y);
                    upstream.add(Var.constant(noise));
                }
            }
            return new Result(Arrays.stream(outputs).map(v -> v.tensor().toDoubleArray()).toList(),
                    Gradients.of(ys, upstream, in.parameters, false).stream().map(v -> v.tensor().toDoubleArray())
                    .toList());
        }
    }

    private static void compare(String what, double[] got, double[] want) {
        // Gradients that nearly cancel are measured by the numbers they are made of, which are about 1.
        double scale = 0.1;
        for (double w : want) {
            scale = Math.max(scale, Double.isInfinite(w) ? 0 : Math.abs(w));
        }
        if (got.length != want.length) {
            throw new AssertionError(what + " has " + got.length + " elements, expected " + want.length + ".");
        }
        for (int i = 0; i < want.length; i++) {
            if (!(got[i] == want[i] || Math.abs(got[i] - want[i]) <= TOLERANCE * scale)) {
                throw new AssertionError(what + ", element " + i + ": " + got[i] + ", the definition says " + want[i]
                        + " (tolerance " + TOLERANCE * scale + ").");
            }
        }
    }
}
