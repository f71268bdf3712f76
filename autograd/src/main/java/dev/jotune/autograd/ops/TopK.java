package dev.jotune.autograd.ops;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.kernels.TopKKernel;
import java.util.Arrays;
import java.util.Optional;

/** The largest elements of rows, and where they stand: a choice, so nothing flows back through it. */
public final class TopK {
    private static final Expr X = Expr.input(0);
    private static final Expr CHOSEN = new Expr.Iota().eq(Expr.rowInput(1));
    /** A NaN equals nothing, itself included. */
    private static final Program WITHOUT_NAN = Program.of(Expr.select(X.eq(X), X, Expr.of(Double.NEGATIVE_INFINITY)));
    private static final Program VALUE = Program.of(Expr.select(CHOSEN, X, Expr.of(0)).rowSum());
    private static final Program REST = Program.of(Expr.select(CHOSEN, Expr.of(Double.NEGATIVE_INFINITY), X));

    private TopK() {}

    /**
     * What was found.
     *
     * @param values {@code [.., k]}, largest first
     * @param places {@code [.., k]}, I64: where they stand in their row
     */
    public record Result(Tensor values, Tensor places) {}

    /**
     * The k largest elements of each row, of equals the first first. A NaN is never chosen. Where a row has fewer elements above
     * -infinity, the rest are -infinity at place 0.
     *
     * @param x {@code [.., n]}, floating
     * @throws IllegalArgumentException if k is not in 1 to n
     */
    public static Result of(Tensor x, int k) {
        if (x.rank() < 1 || !x.dtype().isFloating() || k < 1 || k > x.size(-1)) {
            throw new IllegalArgumentException("The " + k + " largest elements of " + x + " do not exist. Give floating rows [.., n] "
                    + "and k in 1 to n.");
        }
        Optional<TopKKernel> kernel = x.backend().kernel(TopKKernel.class);
        if (kernel.isEmpty() || x.dtype() != DType.F32) {
            return definition(x, k);
        }
        long[] shape = shape(x, k);
        Result r = new Result(Tensor.empty(x.backend(), DType.F32, shape), Tensor.empty(x.backend(), DType.I64, shape));
        kernel.get().topK(x.contiguous(), r.values, r.places);
        return r;
    }

    /** k times the largest, which then becomes -infinity. */
    public static Result definition(Tensor x, int k) {
        Backend backend = x.backend();
        Tensor rest = Tensor.empty(backend, x.dtype(), x.shape());
        backend.map(WITHOUT_NAN, new Tensor[] {x}, new Tensor[] {rest});
        Result r = new Result(Tensor.empty(backend, x.dtype(), shape(x, k)), Tensor.empty(backend, DType.I64, shape(x, k)));
        Tensor best = Tensor.empty(backend, DType.I64, Arrays.copyOf(x.shape(), x.rank() - 1));
        for (int i = 0; i < k; i++) {
            backend.argmax(rest, best);
            backend.copy(best.unsqueeze(-1), r.places.slice(-1, i, i + 1));
            Tensor[] in = {rest, best.unsqueeze(-1)};
            backend.map(VALUE, in, new Tensor[] {r.values.slice(-1, i, i + 1)});
            backend.map(REST, in, new Tensor[] {rest});
        }
        return r;
    }

    private static long[] shape(Tensor x, int k) {
        long[] shape = x.shape();
        shape[shape.length - 1] = k;
        return shape;
    }
}
