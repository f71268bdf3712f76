package dev.jotune.autograd;

import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.CommonOps_DDRM;

/** The inverse of square matrices, computed in double precision on the host. */
public final class Inverse {
    private Inverse() {}

    /**
     * {@code a [.., N, N] -> a^-1}; {@code dA = -A^-T dY A^-T}.
     *
     * @throws ArithmeticException naming the first matrix that is singular
     */
    public static Var apply(Var a) {
        int rank = a.rank();
        if (rank < 2 || a.size(-1) != a.size(-2)) {
            throw new IllegalArgumentException("an inverse needs square matrices [.., N, N], got " + Arrays.toString(a.shape()));
        }
        Tensor value = Tensor.of(a.backend(), a.dtype(), inverted(a), a.shape());
        Var[] out = new Var[1];
        out[0] = Node.record1("inverse", new Var[] {a}, value, Reads.UNKNOWN, (up, needed) -> {
            Var t = (Recording.isOn() ? out[0] : Var.constant(value)).transpose(rank - 2, rank - 1);
            return new Var[] {t.matmul(up[0]).matmul(t).neg()};
        });
        return out[0];
    }

    private static double[] inverted(Var a) {
        int n = Math.toIntExact(a.size(-1));
        double[] all = a.tensor().toDoubleArray();
        for (int from = 0; from < all.length; from += n * n) {
            DMatrixRMaj m = DMatrixRMaj.wrap(n, n, Arrays.copyOfRange(all, from, from + n * n));
            if (!CommonOps_DDRM.invert(m)) {
                throw new ArithmeticException("matrix " + from / (n * n) + " of " + Arrays.toString(a.shape())
                        + " is singular and has no inverse. Its numbers have become too large, or are not numbers.");
            }
            System.arraycopy(m.data, 0, all, from, n * n);
        }
        return all;
    }
}
