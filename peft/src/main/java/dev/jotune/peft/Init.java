package dev.jotune.peft;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.function.Supplier;

/** How a trainable tensor starts. Noise comes from Philox, element by element from (seed, stream). */
@FunctionalInterface
public interface Init {
    Tensor make(Backend backend, DType type, long seed, long stream, long... shape);

    /** All zero. */
    Init ZEROS = (b, t, seed, stream, shape) -> Tensor.zeros(b, t, shape);

    /** The same number everywhere. */
    static Init constant(double value) {
        return (b, t, seed, stream, shape) -> Tensor.full(b, t, value, shape);
    }

    /** Normal with mean 0. */
    static Init normal(double std) {
        return (b, t, seed, stream, shape) -> {
            Tensor x = Tensor.empty(b, t, shape);
            b.normal(x, seed, stream);
            return scaled(x, std, 0);
        };
    }

    /** Uniform in [-bound, bound). */
    static Init uniform(double bound) {
        return (b, t, seed, stream, shape) -> {
            Tensor x = Tensor.empty(b, t, shape);
            b.uniform(x, seed, stream);
            return scaled(x, 2 * bound, -bound);
        };
    }

    /** Kaiming uniform with a = sqrt(5), as torch's Linear starts: uniform within 1 / sqrt(fan in). */
    Init KAIMING = (b, t, seed, stream, shape) -> uniform(1 / Math.sqrt(shape[shape.length - 1])).make(b, t, seed, stream, shape);

    /** A copy of {@code values}. */
    static Init copyOf(Tensor values) {
        return (b, t, seed, stream, shape) -> Tensor.empty(b, t, shape).copyFrom(values);
    }

    /** A copy of what is computed when it starts; nothing is computed for an adapter that is loaded. */
    static Init of(Supplier<Tensor> values) {
        return (b, t, seed, stream, shape) -> copyOf(values.get()).make(b, t, seed, stream, shape);
    }

    private static Tensor scaled(Tensor x, double factor, double shift) {
        var e = dev.jotune.tensor.expr.Expr.input(0).times(factor).plus(shift);
        x.backend().map(dev.jotune.tensor.expr.Program.of(e), new Tensor[] {x}, new Tensor[] {x});
        return x;
    }
}
