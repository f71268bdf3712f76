package dev.jotune.autograd;

import dev.jotune.tensor.Tensor;
import java.util.Arrays;

/**
 * Operations that overwrite an operand's memory, for results that nobody else holds. They differentiate like any
 * other: only operations whose derivative does not need the overwritten value may have made it, which holds for
 * products, sums and everything element-wise.
 */
public final class InPlace {
    private InPlace() {}

    /**
     * {@code sum + a b^T}, written over {@code sum}: saves a tensor of its size and two passes over it.
     *
     * @param sum {@code [.., N]}, made for the caller alone; not used afterwards
     * @param a {@code [.., K]} with the leading sizes of sum
     * @param b {@code [N, K]}
     */
    public static Var addMatmul(Var sum, Var a, Var b) {
        long n = sum.size(-1);
        long k = a.size(-1);
        if (b.rank() != 2 || b.size(0) != n || b.size(1) != k || sum.tensor().numel() / Math.max(1, n) != a.tensor().numel() / Math.max(1, k)) {
            throw new IllegalArgumentException("addMatmul needs sum [.., N], a [.., K] and b [N, K], got " + Arrays.toString(sum.shape())
                    + ", " + Arrays.toString(a.shape()) + " and " + Arrays.toString(b.shape()));
        }
        boolean fits = sum.tensor().isContiguous() && sum.dtype() == Types.of(sum, a, b);
        if (sum.requiresGrad() && sum.node() == null) {
            throw new IllegalArgumentException("addMatmul would overwrite a leaf: only what was computed may be consumed");
        }
        if (!fits) {
            return sum.add(a.reshape(-1, k).matmul(b.transpose(0, 1)).reshape(sum.shape()));
        }
        Tensor rows = a.tensor().reshape(-1, k);
        Tensor out = sum.tensor();
        Types.backend("addMatmul", sum, a, b).matmul(rows, b.tensor().transpose(0, 1), out.reshape(-1, n), true);
        Reads reads = Reads.mask((b.requiresGrad() ? 2 : 0) | (a.requiresGrad() ? 4 : 0));
        return Node.record1("add_matmul", new Var[] {sum, a, b}, out, reads, (up, needed) -> {
            Var g = up[0].reshape(-1, n);
            return new Var[] {
                needed[0] ? up[0] : null,
                needed[1] ? g.matmul(b).reshape(a.shape()) : null,
                needed[2] ? g.transpose(0, 1).matmul(a.reshape(-1, k)) : null};
        });
    }
}
