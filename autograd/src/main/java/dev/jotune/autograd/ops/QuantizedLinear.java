package dev.jotune.autograd.ops;

import dev.jotune.autograd.Fused;
import dev.jotune.autograd.Reads;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.quant.Dequantize;
import dev.jotune.tensor.quant.QuantizedMatrix;
import java.util.Arrays;
import java.util.Optional;

/**
 * The affine map over a frozen weight that stays quantised: {@code y = x W^T} forward, {@code dx = dy W} backward.
 * A few rows of x meet W in a kernel that widens it in registers. For more, and backward, W is widened a few rows at a time
 * into memory that is used again; it never exists as a whole and the tape holds nothing of it.
 */
public final class QuantizedLinear {
    /** Numbers of W that exist at a time: 4 MB in F32, which the cache next to memory holds. */
    private static final long BLOCK_ELEMENTS = 1L << 20;

    private QuantizedLinear() {}

    /**
     * {@code y = x W^T}.
     *
     * @param x {@code [.., in]}
     * @param weight {@code [out, in]}
     */
    public static Var apply(Var x, QuantizedMatrix weight) {
        if (x.rank() < 1 || x.size(-1) != weight.columns()) {
            throw new IllegalArgumentException("linear needs x [.., in] and weight [out, in], got " + Arrays.toString(x.shape())
                    + " and [" + weight.rows() + ", " + weight.columns() + "] in " + weight.format());
        }
        long[] shape = x.shape();
        shape[shape.length - 1] = weight.rows();
        DType type = computeType(x);
        Tensor y = Tensor.empty(x.backend(), type, shape);
        product(rows(x.tensor()), weight, rows(y));
        return Fused.record("quantized_linear", new Var[] {x}, new Tensor[] {y}, Reads.NOTHING, (up, needed) -> {
            Tensor dx = Tensor.empty(x.backend(), type, x.shape());
            productBack(rows(up[0]), weight, rows(dx));
            return new Tensor[] {dx};
        }, in -> new Var[] {definition(in[0], weight)})[0];
    }

    /** {@link Linear} over the widened weight. */
    public static Var definition(Var x, QuantizedMatrix weight) {
        return Linear.apply(x, Var.constant(Dequantize.all(weight, x.backend(), computeType(x))));
    }

    /**
     * Rows of a quantised table by index: {@code out[.., :] = table[ids[..], :]}. A frozen table: no gradient.
     *
     * @throws IndexOutOfBoundsException naming the id that is not a row
     */
    public static Var lookup(QuantizedMatrix table, Tensor ids, Backend backend, DType type) {
        long[] shape = Arrays.copyOf(ids.shape(), ids.rank() + 1);
        shape[ids.rank()] = table.columns();
        Tensor out = Tensor.empty(backend, type, shape);
        Tensor rows = rows(out);
        long[] id = ids.toLongArray();
        for (int i = 0; i < id.length; i++) {
            if (id[i] < 0 || id[i] >= table.rows()) {
                throw new IndexOutOfBoundsException("Index " + i + " is row " + id[i] + " of a table of " + table.rows() + " rows");
            }
            Dequantize.rows(table, id[i], rows.slice(0, i, i + 1));
        }
        return Var.constant(out);
    }

    private static DType computeType(Var x) {
        return x.dtype() == DType.F64 ? DType.F64 : DType.F32;
    }

    private static Tensor rows(Tensor t) {
        return t.reshape(t.numel() / Math.max(1, t.size(-1)), t.size(-1));
    }

    /** What is done with rows {@code from .. from + n} of W, widened to {@code w [n, in]}. */
    private interface Use {
        void run(Tensor w, long from);
    }

    private static void widened(QuantizedMatrix weight, Tensor like, Use use) {
        long size = Math.clamp(BLOCK_ELEMENTS / Math.max(1, weight.columns()), 1, Math.max(1, weight.rows()));
        try (Scope scope = Scope.open()) {
            Tensor memory = Tensor.empty(like.backend(), like.dtype(), size, weight.columns());
            for (long from = 0; from < weight.rows(); from += size) {
                Tensor w = memory.slice(0, 0, Math.min(size, weight.rows() - from));
                Dequantize.rows(weight, from, w);
                use.run(w, from);
            }
        }
    }

    /** {@code y [M, out] = x [M, in] W^T}. */
    static void product(Tensor x, QuantizedMatrix weight, Tensor y) {
        Optional<QuantizedProductKernel> kernel = y.backend().kernel(QuantizedProductKernel.class);
        boolean narrow = x.dtype() == DType.F32 && y.dtype() == DType.F32 && x.stride(1) == 1 && y.stride(1) == 1;
        if (narrow && kernel.isPresent() && kernel.get().supports(weight, x.size(0))) {
            kernel.get().product(x, weight, y);
            return;
        }
        widened(weight, y, (w, from) ->
                y.backend().matmul(x, w.transpose(0, 1), y.slice(1, from, from + w.size(0)), false));
    }

    /** {@code dx [M, in] = dy [M, out] W}. */
    static void productBack(Tensor dy, QuantizedMatrix weight, Tensor dx) {
        widened(weight, dx, (w, from) ->
                dx.backend().matmul(dy.slice(1, from, from + w.size(0)), w, dx, from > 0));
    }
}
