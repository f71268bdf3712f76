package dev.jotune.tensor.kernels;

import dev.jotune.tensor.Tensor;

/**
 * The product with a vocabulary's matrix and what cross-entropy needs of the logits, in one: the logits are never stored. With
 * {@code z = hidden weight^T}, which passes through {@code softcap tanh(z / softcap)} where softcap is above 0, a row's loss is
 * {@code lse - target}.
 */
public interface VocabularyKernel extends FusedKernel {
    /**
     * Whether {@link #losses} can run these, and is faster than storing logits; otherwise the caller stores them.
     *
     * @param hidden {@code [M, C]}, any strides and type
     * @param weight {@code [V, C]}, any strides and type
     */
    boolean supports(Tensor hidden, Tensor weight);

    /**
     * Fills {@code lse_i = log sum_v e^(z_iv)} and {@code target_i = z_(i, label_i)}.
     *
     * @param hidden {@code [M, C]}
     * @param weight {@code [V, C]}: F32, BF16 or F16
     * @param labels {@code [M]}, I64, dense; the caller has checked that each is in [0, V)
     * @param softcap 0: none
     * @param lse {@code [M]}, F32, dense
     * @param target {@code [M]}, F32, dense
     */
    void losses(Tensor hidden, Tensor weight, Tensor labels, double softcap, Tensor lse, Tensor target);
}
