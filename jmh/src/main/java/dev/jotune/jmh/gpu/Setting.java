package dev.jotune.jmh.gpu;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Locale;

/**
 * Where a row runs, and how large.
 *
 */
record Setting(Backend backend, Size size) {
    enum Size {
        FULL,
        /** What an emulator computes in seconds: it shows that everything works, its times say nothing. */
        TINY,
        /** As {@link #FULL}, each row once, on a device that computes nothing. */
        ASKED;

        static Size of(String name) {
            return valueOf(name.toUpperCase(Locale.ROOT));
        }

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** More than twice the second-level cache of an H100. */
    private static final long BEYOND_CACHE = 120L << 20;
    private static final int MOST_SETS = 64;
    private static final long SEED = 2024;

    boolean tiny() {
        return size == Size.TINY;
    }

    long size(long full, long small) {
        return tiny() ? small : full;
    }

    /** Sets of {@code bytes} each that a cache does not hold. */
    int sets(long bytes) {
        return tiny() ? 2 : size == Size.ASKED ? 1 : Math.clamp((BEYOND_CACHE + bytes - 1) / bytes, 1, MOST_SETS);
    }

    /** Normal noise of a deviation; zeros would run faster than what anybody computes with. */
    Tensor noise(DType type, double deviation, long stream, long... shape) {
        try (Scope scope = Scope.open()) {
            Tensor wide = Tensor.empty(backend, DType.F32, shape);
            backend.normal(wide, SEED, stream);
            if (deviation != 1) {
                backend.map(Program.of(Expr.input(0).times(deviation)), new Tensor[] {wide}, new Tensor[] {wide});
            }
            return scope.keep(wide.to(type));
        }
    }

    /** Memory with NaN in every element, so that what is not written shows. */
    Tensor poisoned(DType type, long... shape) {
        return Tensor.full(backend, type, Double.NaN, shape);
    }

    void poison(Tensor t) {
        backend.fill(t, Double.NaN);
    }

    /** Whether an element is not a number: a sum over all of them is none then either. */
    static boolean hasNaN(Tensor t) {
        try (Scope _ = Scope.open()) {
            Tensor flat = t.contiguous().reshape(1, t.numel());
            Tensor sum = Tensor.empty(t.backend(), DType.F32, 1, 1);
            t.backend().reduce(Reduction.SUM, flat, sum);
            return Double.isNaN(sum.item());
        }
    }

    /** The same numbers in F32 on the CPU. */
    static Tensor here(Tensor t) {
        return t.contiguous().to(Backends.cpu()).to(DType.F32);
    }

    /** {@code ||out - reference|| / ||reference||}; NaN if a number is missing. */
    static double error(Tensor out, Tensor reference) {
        double[] x = here(out).toDoubleArray();
        double[] y = here(reference).toDoubleArray();
        if (x.length != y.length) {
            throw new IllegalArgumentException("a result of " + x.length + " numbers cannot be compared with " + y.length
                    + ". Compare the same slice.");
        }
        double difference = 0;
        double norm = 0;
        for (int i = 0; i < x.length; i++) {
            difference += (x[i] - y[i]) * (x[i] - y[i]);
            norm += y[i] * y[i];
        }
        return Math.sqrt(difference / norm);
    }

    /** What rounding to a stored type allows: two thirds of its last place, and as much again for what is rounded on the way. */
    static double tolerance(DType type) {
        return switch (type) {
            case BF16 -> 1e-2;
            case F16 -> 2e-3;
            default -> 2e-5;
        };
    }

    /** Waits until the device has done what it was asked for. */
    void finish(Tensor any) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment one = arena.allocate(Long.BYTES);
            Tensor element = any;
            while (element.rank() > 0) {
                element = element.select(0, 0);
            }
            backend.read(element, one);
            assert one.get(ValueLayout.JAVA_BYTE, 0) == one.get(ValueLayout.JAVA_BYTE, 0);
        }
    }
}
