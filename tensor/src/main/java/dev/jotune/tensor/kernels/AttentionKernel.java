package dev.jotune.tensor.kernels;

import dev.jotune.tensor.Tensor;
import java.util.List;
import java.util.Optional;

/**
 * Attention as a fold over key/value segments (DESIGN section 2, seam 2):
 * {@code o = sum_s p_s v_s}, {@code p_s = exp(score_s - lse)}, {@code lse = log sum_s exp(score_s)}, with
 * {@code score = softcap(scale q k^T) + bias} where visible and -infinity elsewhere, s running over the keys of all
 * segments. A query that sees no key gives o = 0 and lse = -infinity, and has no gradient.
 */
public interface AttentionKernel extends FusedKernel {
    /**
     * What a query may see of a segment.
     *
     * @param causal query t sees key s only if {@code s <= t + offset}
     * @param offset keys that lie before the first query, for causal masks and windows
     * @param window if positive, query t sees only keys {@code s > t + offset - window}
     * @param keyMask BOOL {@code [B or 1, S]}, true = visible
     * @param bias added to the scaled (and capped) scores: {@code [B or 1, H or 1, T or 1, S]}
     */
    record Mask(boolean causal, long offset, long window, Optional<Tensor> keyMask, Optional<Tensor> bias) {
        /** Every query sees every key. */
        public static final Mask NONE = new Mask(false, 0, 0, Optional.empty(), Optional.empty());
    }

    /**
     * Keys {@code [B or 1, G, S, D]} and values {@code [B or 1, G, S, Dv]}; batch size 1 means shared by all rows.
     * Query head h reads key/value head {@code h / (H / G)}.
     */
    record Segment(Tensor key, Tensor value, Mask mask) {}

    /**
     * One attention: queries {@code [B, H, T, D]}, any strides.
     *
     * @param scale factor of {@code q k^T}, usually {@code 1 / sqrt(D)}
     * @param softcap c &gt; 0: scores become {@code c tanh(score / c)}; 0: none
     * @param precision how exactly the operands of the products are read, probabilities and gradients included
     */
    record Problem(Tensor query, List<Segment> segments, double scale, double softcap, Precision precision) {
        /** With products to the accuracy of what is stored. */
        public Problem(Tensor query, List<Segment> segments, double scale, double softcap) {
            this(query, segments, scale, softcap, Precision.F32);
        }
    }

    /** Fills {@code out [B, H, T, Dv]}, whose features are neighbours, and the dense {@code lse [B, H, T]}. */
    void forward(Problem problem, Tensor out, Tensor lse);

    /**
     * Fills the gradients that are present. {@code dKey.get(i)} and {@code dValue.get(i)} have the shapes of segment
     * i's key and value, summed over the batch where the segment is shared. The features of all gradients are neighbours.
     *
     * @param dOut gradient by out, {@code [B, H, T, Dv]}
     * @param dLse gradient by lse, {@code [B, H, T]}, if any
     */
    void backward(Problem problem, Tensor out, Tensor lse, Tensor dOut, Optional<Tensor> dLse,
            Optional<Tensor> dQuery, List<Optional<Tensor>> dKey, List<Optional<Tensor>> dValue);

    /** Whether this kernel computes this problem (types, sizes, biases that need a gradient). */
    boolean supports(Problem problem);
}
