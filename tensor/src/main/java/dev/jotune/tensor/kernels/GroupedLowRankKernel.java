package dev.jotune.tensor.kernels;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Low-rank terms of a batch whose rows use different adapters, as when many of them are served at once (Punica, arXiv 2310.18547).
 * Definition: {@code y_i += s_g (x_i A_g^T) B_g^T} for each row i with {@code g = rows_i}, in F32. Adapters lie where they lie and have
 * ranks of their own. With all factors transposed it is the way back: {@code dx_i += s_g (dy_i B_g) A_g}.
 */
public interface GroupedLowRankKernel extends FusedKernel {
    /** Numbers at whose multiples lines of scores begin, as kernels read them. */
    int SCORES = 16;

    /**
     * One adapter, as a product reads it.
     *
     * @param down A {@code [R, in]}, F32, BF16 or F16; any strides
     * @param up B {@code [out, R]}; any strides
     * @param scale s
     */
    record Factors(Tensor down, Tensor up, double scale) {
        /** For {@code dx_i += s (dy_i B) A}. */
        public Factors transposed() {
            return new Factors(up.transpose(0, 1), down.transpose(0, 1), scale);
        }

        /** R. */
        public long rank() {
            return down.size(0);
        }
    }

    /** Which rows have which adapter, as the kernel wants to read it; for this batch and these tensors only. */
    interface Plan {
        /** The largest rank of all adapters. */
        long rank();
    }

    /** Whether {@link #plan} takes these adapters. */
    boolean supports(List<Factors> adapters);

    /**
     * Brings to the device what the product needs to know.
     *
     * @param adapters of equal in and out, and all A of one type, and all B
     * @param rows for each row of x its adapter's number, negative for none
     */
    Plan plan(List<Factors> adapters, int[] rows);

    /**
     * Adds the terms to {@code y}.
     *
     * @param x {@code [M, in]}, any floating type but F64
     * @param scores {@code [M, R]} made by {@link #scores} with the plan's rank: gets {@code s_g x_i A_g^T}, in rows that have an adapter
     * @param y {@code [M, out]}, F32; none: only the scores are wanted
     */
    void add(Plan plan, Tensor x, Optional<Tensor> scores, Optional<Tensor> y);

    /**
     * Gradients of all factors, sums over each adapter's rows: {@code dA_g [R, in] = sum_i back_i^T x_i}, and the transposed
     * {@code dB_g [out, R] = sum_i dy_i^T scores_i} as {@code [R, out]}. Overwrites both.
     *
     * @param x {@code [M, in]} F32
     * @param dy {@code [M, out]} F32
     * @param scores what {@link #add} left; one of {@link #scores}
     * @param back the same of the way back: {@code s_g dy_i B_g}
     * @return for each adapter dA, then for each the transposed dB
     */
    List<Tensor> gradients(Plan plan, Tensor x, Tensor dy, Tensor scores, Tensor back);

    /** The same of rows that all have one adapter of this rank. */
    List<Tensor> gradients(Tensor x, Tensor dy, Tensor scores, Tensor back);

    /** Room for the scores of rows, {@code [M, R]}, whose lines kernels may read up to a multiple of {@link #SCORES}. */
    static Tensor scores(Backend backend, long rows, long rank) {
        return Tensor.empty(backend, DType.F32, rows, (rank + SCORES - 1) / SCORES * SCORES).slice(1, 0, rank);
    }

    /** @throws IllegalArgumentException if the adapters' shapes are not of one map, or a row's adapter is none of them */
    static void check(List<Factors> adapters, int[] rows) {
        long in = adapters.getFirst().down().size(1);
        long out = adapters.getFirst().up().size(0);
        for (Factors f : adapters) {
            if (f.down().rank() != 2 || f.up().rank() != 2 || f.down().size(1) != in || f.up().size(0) != out || f.up().size(1) != f.rank()) {
                throw new IllegalArgumentException("Among adapters of a map from " + in + " to " + out + " came " + f.down() + " and " + f.up()
                        + ". Give A [R, " + in + "] and B [" + out + ", R].");
            }
        }
        if (Arrays.stream(rows).anyMatch(g -> g >= adapters.size())) {
            throw new IllegalArgumentException("A row has adapter " + Arrays.stream(rows).max().getAsInt() + " of " + adapters.size()
                    + ". Number them from 0.");
        }
    }
}
