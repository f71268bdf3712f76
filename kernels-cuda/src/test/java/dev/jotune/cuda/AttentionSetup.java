package dev.jotune.cuda;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.autograd.ops.AttentionDefinition;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Shape;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.AttentionKernel;
import dev.jotune.tensor.kernels.AttentionKernel.Mask;
import dev.jotune.tensor.kernels.AttentionKernel.Problem;
import dev.jotune.tensor.kernels.AttentionKernel.Segment;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * One attention in 16-bit numbers, run by a kernel and by the definition in F64 on the same numbers.
 *
 * @param type of queries, keys, values and dOut
 * @param out of the results
 * @param heads H
 * @param groups G
 * @param times T
 * @param width D
 * @param valueWidth Dv
 * @param inside whether heads lie inside positions in memory, as projections leave them
 */
record AttentionSetup(String name, DType type, DType out, long batch, long heads, long groups, long times, long width, long valueWidth,
        double cap, boolean inside, List<Keys> segments) {
    /**
     * Products of rounded numbers are exact in F32, so the log-sum-exp is off by F32's sums and the exponential's 2^-22 only. Results are
     * off by what rounding probabilities or their gradients to 8 bits (11 in F16) leaves, 2^-9 of each, hence of the sum of their
     * magnitudes; by the norm of all numbers, in which errors of many terms cancel, 2^-7 has room for results that are rounded as well.
     */
    private static final double LSE_TOLERANCE = 2e-5;
    private static final double TOLERANCE = 1.0 / 128;
    private static final long SEED = 7;
    private static final Map<AttentionSetup, List<double[]>> WANTED = new ConcurrentHashMap<>();

    /** A segment's keys, of its own for each row of the batch or shared. */
    record Keys(boolean shared, long count, boolean causal, long offset, long window, boolean masked) {
        static Keys prefix(long count) {
            return new Keys(true, count, false, 0, 0, false);
        }

        static Keys own(long count) {
            return new Keys(false, count, false, 0, 0, false);
        }

        static Keys causal(long count, long offset) {
            return new Keys(false, count, true, offset, 0, false);
        }

        Keys window(long size) {
            return new Keys(shared, count, causal, offset, size, masked);
        }

        /** Some of them hidden, of each row others. */
        Keys hidden() {
            return new Keys(shared, count, causal, offset, window, true);
        }
    }

    @Override
    public String toString() {
        return name + " " + type + " B" + batch + " H" + heads + " G" + groups + " T" + times + " D" + width + "," + valueWidth;
    }

    /** With results in the operands' type. */
    AttentionSetup narrow() {
        return new AttentionSetup(name, type, type, batch, heads, groups, times, width, valueWidth, cap, inside, segments);
    }

    private double scale() {
        return 1 / Math.sqrt(width);
    }

    /** Standard normal numbers, rounded to {@link #type}, so that both sides start from the same. */
    private Tensor normal(Backend b, DType stored, int stream, long... shape) {
        double[] v = new double[Math.toIntExact(Shape.numel(shape))];
        Arrays.setAll(v, i -> Philox.normal(SEED, stream, i));
        Tensor rounded = Tensor.of(Backends.reference(), DType.F64, v, shape).to(type).to(DType.F64);
        return Tensor.of(b, stored, rounded.toDoubleArray(), shape);
    }

    private Tensor operand(Backend b, DType stored, int stream, long rows, long heads, long positions, long features) {
        return inside ? normal(b, stored, stream, rows, positions, heads, features).transpose(1, 2)
                : normal(b, stored, stream, rows, heads, positions, features);
    }

    private Tensor query(Backend b, DType stored) {
        return operand(b, stored, 0, batch, heads, times, width);
    }

    private Tensor key(Backend b, DType stored, int i) {
        Keys s = segments.get(i);
        return operand(b, stored, 2 * i + 1, s.shared ? 1 : batch, groups, s.count, width);
    }

    private Tensor value(Backend b, DType stored, int i) {
        Keys s = segments.get(i);
        return operand(b, stored, 2 * i + 2, s.shared ? 1 : batch, groups, s.count, valueWidth);
    }

    private Tensor dOut(Backend b, DType stored) {
        return operand(b, stored, 100, batch, heads, times, valueWidth);
    }

    private Tensor dLse(Backend b, DType stored) {
        return normal(b, stored, 101, batch, heads, times);
    }

    private Optional<Tensor> mask(Backend b, Keys s) {
        if (!s.masked) {
            return Optional.empty();
        }
        int rows = s.shared ? 1 : Math.toIntExact(batch);
        boolean[] seen = new boolean[rows * Math.toIntExact(s.count)];
        for (int i = 0; i < seen.length; i++) {
            seen[i] = i % 3 != 1;
        }
        return Optional.of(Tensor.of(b, seen, rows, s.count));
    }

    /** out, lse and, if wanted, the gradients by query, keys and values, as the definition has them. */
    private List<double[]> wanted() {
        return WANTED.computeIfAbsent(this, s -> {
            Backend b = Backends.reference();
            try (Scope scope = Scope.open()) {
                List<Var> inputs = new ArrayList<>(List.of(Var.parameter(query(b, DType.F64))));
                List<Attention.Segment> all = new ArrayList<>();
                for (int i = 0; i < segments.size(); i++) {
                    Keys k = segments.get(i);
                    inputs.add(Var.parameter(key(b, DType.F64, i)));
                    inputs.add(Var.parameter(value(b, DType.F64, i)));
                    all.add(new Attention.Segment(inputs.get(2 * i + 1), inputs.get(2 * i + 2),
                            new Visible(k.causal, k.offset, k.window, mask(b, k), Optional.empty())));
                }
                Attention.Result r = AttentionDefinition.attend(inputs.getFirst(), all, scale(), cap);
                List<double[]> wanted = new ArrayList<>(List.of(r.out().tensor().toDoubleArray(), r.lse().tensor().toDoubleArray()));
                Gradients.of(List.of(r.out(), r.lse()), List.of(Var.constant(dOut(b, DType.F64)), Var.constant(dLse(b, DType.F64))), inputs, false)
                        .forEach(g -> wanted.add(g.tensor().toDoubleArray()));
                return wanted;
            }
        });
    }

    private Tensor result(Backend b, Tensor like, long features) {
        long[] s = like.shape();
        return inside ? Tensor.empty(b, out, s[0], s[2], s[1], features).transpose(1, 2) : Tensor.empty(b, out, s[0], s[1], s[2], features);
    }

    /** What was wrong, if anything, with what {@code kernel} computes on {@code b}. */
    List<String> problems(Backend b, AttentionKernel kernel, boolean gradients) {
        try (Scope scope = Scope.open()) {
            Tensor q = query(b, type);
            List<Segment> all = new ArrayList<>();
            for (int i = 0; i < segments.size(); i++) {
                Keys k = segments.get(i);
                all.add(new Segment(key(b, type, i), value(b, type, i), new Mask(k.causal, k.offset, k.window, mask(b, k), Optional.empty())));
            }
            Problem problem = new Problem(q, all, scale(), cap);
            if (!kernel.supports(problem)) {
                return List.of(this + " is not supported");
            }
            Tensor o = result(b, q, valueWidth);
            Tensor lse = Tensor.empty(b, DType.F32, batch, heads, times);
            kernel.forward(problem, o, lse);
            List<Tensor> got = new ArrayList<>(List.of(o, lse));
            if (gradients) {
                Tensor dQuery = result(b, q, width);
                got.add(dQuery);
                List<Optional<Tensor>> dKey = new ArrayList<>();
                List<Optional<Tensor>> dValue = new ArrayList<>();
                for (Segment s : all) {
                    dKey.add(Optional.of(result(b, s.key(), width)));
                    dValue.add(Optional.of(result(b, s.value(), valueWidth)));
                    got.add(dKey.getLast().get());
                    got.add(dValue.getLast().get());
                }
                kernel.backward(problem, o, lse, dOut(b, type), Optional.of(dLse(b, DType.F32)), Optional.of(dQuery), dKey, dValue);
            }
            List<double[]> want = wanted();
            List<String> problems = new ArrayList<>();
            for (int i = 0; i < got.size(); i++) {
                check(i, got.get(i).toDoubleArray(), want.get(i)).ifPresent(problems::add);
            }
            return problems;
        }
    }

    private Optional<String> check(int result, double[] got, double[] want) {
        String what = result == 0 ? "out" : result == 1 ? "lse" : result == 2 ? "dQuery" : (result % 2 == 1 ? "dKey " : "dValue ") + (result - 3) / 2;
        double off = 0;
        double size = 0;
        for (int i = 0; i < want.length; i++) {
            if (got[i] == want[i]) {
                continue;
            }
            boolean far = result == 1 && Math.abs(got[i] - want[i]) > LSE_TOLERANCE * Math.max(1, Math.abs(want[i]));
            if (Double.isInfinite(want[i]) || !Double.isFinite(got[i]) || far) {
                return Optional.of(String.format(Locale.ROOT, "%s: %s, element %d: %s instead of %s", this, what, i, got[i], want[i]));
            }
            off += (got[i] - want[i]) * (got[i] - want[i]);
        }
        for (double w : want) {
            size += Double.isInfinite(w) ? 0 : w * w;
        }
        // Where all gradients cancel, as those of a query that sees one key, they are measured by the numbers they are made of.
        double error = Math.sqrt(off / Math.max(size, 1e-4 * Math.max(1, want.length)));
        return error <= TOLERANCE ? Optional.empty() : Optional.of(String.format(Locale.ROOT, "%s: %s is off by %.2g of its norm",
                this, what, error));
    }
}
