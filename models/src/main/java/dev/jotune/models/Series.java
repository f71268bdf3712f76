package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.Optional;

/**
 * A batch of time series, and which of their values were observed.
 *
 * @param values {@code [B, T, channels]}; where nothing was observed, any number
 * @param observed {@code [B, T, channels]}, non-zero where a value was observed; absent if all were
 */
public record Series(Var values, Optional<Tensor> observed) {
    public Series {
        if (values.rank() != 3 || observed.isPresent() && !Arrays.equals(observed.get().shape(), values.shape())) {
            throw new IllegalArgumentException("a series needs values [B, T, channels] and a mask of the same shape, got "
                    + Arrays.toString(values.shape()) + observed.map(o -> " and " + o).orElse(""));
        }
    }

    public static Series of(Var values) {
        return new Series(values, Optional.empty());
    }

    public static Series of(Tensor values) {
        return of(Var.constant(values));
    }

    public Series withObserved(Tensor mask) {
        return new Series(values, Optional.of(mask));
    }

    /** Rows (B). */
    public long batch() {
        return values.size(0);
    }

    /** Steps of a row (T). */
    public long time() {
        return values.size(1);
    }

    /** Steps {@code from} to {@code to} (exclusive). */
    public Series slice(long from, long to) {
        return new Series(values.slice(1, from, to), observed.map(o -> o.slice(1, from, to)));
    }

    /** 1 where a value was observed and 0 elsewhere, {@code [B, T, channels]}; absent if all were. */
    public Optional<Var> weights() {
        return observed.map(o -> {
            double[] seen = o.toDoubleArray();
            double[] w = Arrays.stream(seen).map(v -> v != 0 ? 1 : 0).toArray();
            return Var.constant(Tensor.of(values.backend(), values.dtype(), w, o.shape()));
        });
    }
}
