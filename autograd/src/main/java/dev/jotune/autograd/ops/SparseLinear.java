package dev.jotune.autograd.ops;

import dev.jotune.autograd.Fused;
import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.Reads;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.SparseKernel;
import dev.jotune.tensor.kernels.SparsePattern;
import java.util.Arrays;
import java.util.Optional;

/** The linear map of a sparse matrix S {@code [out, in]}; neither S nor its gradient is ever formed densely. */
public final class SparseLinear {
    private SparseLinear() {}

    /**
     * {@code y = x S^T}.
     *
     * @param x {@code [.., in]}
     * @param values the numbers of S, {@code [K]}
     * @param pattern where they stand
     */
    public static Var apply(Var x, Var values, SparsePattern pattern) {
        if (x.rank() < 1 || x.size(-1) != pattern.columns() || values.rank() != 1 || values.size(0) != pattern.size()) {
            throw new IllegalArgumentException("a sparse map needs x [.., in] and values [K], got " + Arrays.toString(x.shape()) + " and "
                    + Arrays.toString(values.shape()) + " for a matrix [" + pattern.rows() + ", " + pattern.columns() + "] of "
                    + pattern.size() + " numbers");
        }
        Optional<SparseKernel> kernel = x.backend().kernel(SparseKernel.class);
        if (kernel.isEmpty() || x.dtype() != DType.F32 || values.dtype() != DType.F32) {
            return definition(x, values, pattern);
        }
        long[] shape = x.shape();
        shape[shape.length - 1] = pattern.rows();
        Tensor y = Tensor.empty(x.backend(), DType.F32, pattern.rows(), rows(x.tensor()));
        kernel.get().product(pattern, values.tensor().contiguous(), featuresFirst(x.tensor()), y);
        Reads reads = x.requiresGrad() ? values.requiresGrad() ? Reads.inputs(0, 1) : Reads.inputs(1) : Reads.inputs(0);
        return Fused.record("sparse_linear", new Var[] {x, values}, new Tensor[] {y.transpose(0, 1).reshape(shape)}, reads, (up, needed) -> {
            Tensor dy = featuresFirst(up[0]);
            Tensor dx = null;
            if (needed[0]) {
                dx = Tensor.empty(dy.backend(), DType.F32, pattern.columns(), dy.size(1));
                kernel.get().product(pattern.transposed(), values.tensor().contiguous(), dy, dx);
                dx = dx.transpose(0, 1).reshape(x.shape());
            }
            Tensor dValues = needed[1] ? Tensor.empty(dy.backend(), DType.F32, pattern.size()) : null;
            if (needed[1]) {
                kernel.get().products(pattern, dy, featuresFirst(x.tensor()), dValues);
            }
            return new Tensor[] {dx, dValues};
        }, in -> new Var[] {definition(in[0], in[1], pattern)})[0];
    }

    /** Number by number: columns of x gathered, scaled, and added up in rows of y. */
    public static Var definition(Var x, Var values, SparsePattern pattern) {
        long[] shape = x.shape();
        shape[shape.length - 1] = pattern.rows();
        Var features = x.reshape(rows(x.tensor()), pattern.columns()).transpose(0, 1);
        Var terms = Lookup.gather(features, ids(x, pattern.columnIds())).mul(values.reshape(-1, 1));
        return Lookup.scatterAdd(terms, ids(x, pattern.rowIds()), pattern.rows()).transpose(0, 1).reshape(shape);
    }

    /** S itself, {@code [out, in]}. */
    public static Var dense(Var values, SparsePattern pattern) {
        long[] at = pattern.rowIds();
        long[] column = pattern.columnIds();
        Arrays.setAll(at, k -> at[k] * pattern.columns() + column[k]);
        return Lookup.scatterAdd(values.reshape(-1, 1), ids(values, at), (long) pattern.rows() * pattern.columns())
                .reshape(pattern.rows(), pattern.columns());
    }

    private static Tensor ids(Var like, long[] values) {
        return Tensor.of(like.backend(), values, values.length);
    }

    private static long rows(Tensor t) {
        return t.numel() / Math.max(1, t.size(-1));
    }

    /** {@code [.., n] -> [n, M]}, dense. */
    private static Tensor featuresFirst(Tensor t) {
        return t.reshape(rows(t), t.size(-1)).transpose(0, 1).contiguous();
    }
}
