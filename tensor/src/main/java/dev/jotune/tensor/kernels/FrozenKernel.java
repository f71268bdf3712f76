package dev.jotune.tensor.kernels;

import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.Optional;

/**
 * Products with a weight that does not change: it is brought once into the order that the kernel reads, and both
 * {@code y = x W^T} and {@code dx = dy W} read that one copy.
 */
public interface FrozenKernel extends FusedKernel {
    /** A weight {@code [out, in]} in the kernel's own order. Immutable; read by any thread. */
    interface Packed {
        /** Outputs. */
        long rows();

        /** Inputs. */
        long columns();

        /** Bytes it takes. */
        long byteSize();

        /** The weight {@code [out, in]} where it lies, if packing left it as it was; only to be read. */
        default Optional<Tensor> stored() {
            return Optional.empty();
        }

        /** The weight as it was, exactly: fills {@code out [out, in]}, F32 or the type it was packed from. */
        void unpack(Tensor out);

        /**
         * Single rows of the weight, exactly: fills {@code out [ids, in]}, F32. What a table needs that is also the
         * head of its model.
         */
        default void unpackRows(long[] ids, Tensor out) {
            try (Scope scope = Scope.open()) {
                Tensor all = Tensor.empty(out.backend(), out.dtype(), rows(), columns());
                unpack(all);
                for (int i = 0; i < ids.length; i++) {
                    out.slice(0, i, i + 1).copyFrom(all.slice(0, ids[i], ids[i] + 1));
                }
            }
        }
    }

    /**
     * What joins a product on its way out, each in the pass that writes it: {@code y + left right^T + bias}, then
     * the residual.
     *
     * @param left {@code [M, R]}, of any strides as {@code right} too: a low-rank term, as R more steps of the inner sum
     * @param right {@code [N, R]}; both or none
     * @param bias {@code [N]}
     * @param residual {@code [M, N]}, rows contiguous
     */
    record Joined(Optional<Tensor> left, Optional<Tensor> right, Optional<Tensor> bias, Optional<Tensor> residual) {
        /** The product alone. */
        public static final Joined NONE = new Joined(Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty());
    }

    /**
     * A low-rank term of which a kernel makes the scores too: {@code s (x A^T) B^T}.
     *
     * @param down A {@code [R, K]} F32, of any strides as {@code up} too
     * @param up B {@code [N, R]} F32
     * @param scores {@code [M, R]} F32, rows contiguous: gets {@code s x A^T}
     */
    record LowRank(Tensor down, Tensor up, double scale, Optional<Tensor> scores) {}

    /** Whether a weight of this type and shape {@code [out, in]} is worth packing here. */
    boolean supports(Tensor weight);

    /** Packs {@code weight [out, in]}: F32, BF16 or F16 of any strides, kept in as many bytes. */
    Packed pack(Tensor weight);

    /** {@code y [M, out] = x [M, in] W^T} and what joins it; F32, rows of x and y contiguous. */
    void product(Packed weight, Tensor x, Tensor y, Precision precision, Joined joined);

    /** {@code dx [M, in] = dy [M, out] W} and what joins it; F32, rows of dy and dx contiguous. */
    void productBack(Packed weight, Tensor dy, Tensor dx, Precision precision, Joined joined);

    /**
     * {@link #product} with a low-rank term whose scores this kernel makes too, where it can do that and it costs less than making
     * them before; x may be read for them as for the product: rounded in BF16.
     *
     * @param joined no low-rank term
     * @return false if nothing was done
     */
    default boolean tryProduct(Packed weight, Tensor x, Tensor y, Precision precision, LowRank term, Joined joined) {
        return false;
    }

    /** The same of {@link #productBack}: {@code dx = dy W + s (dy A^T) B^T}, with A the transposed B of the way there, and B its A. */
    default boolean tryProductBack(Packed weight, Tensor dy, Tensor dx, Precision precision, LowRank term, Joined joined) {
        return false;
    }
}
