package dev.jotune.tensor.kernels;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.QuantizedMatrix;
import java.util.List;
import java.util.Optional;

/**
 * One token of one text through a decoder like Llama, all of it: the loop that generation spends its time in. What is
 * read, where and in which order is worked out once; a step then reads the weights as they are stored and makes
 * nothing new.
 *
 * <p>Definition: the model's forward pass over a cache. With {@code n(x) = w x / sqrt(mean(x^2) + eps)}, for each layer
 * <pre>
 *     h += O attention(rotate(Q n(h)), keys, values)
 *     h += D (silu(G n(h)) U n(h))
 * </pre>
 * and then the logits {@code H n(h)}.
 */
public interface DecodeKernel extends FusedKernel {
    /** A weight {@code [out, in]} as it is stored: one of the two. */
    record Weight(Optional<Tensor> dense, Optional<QuantizedMatrix> quantized) {
        public static Weight of(Tensor dense) {
            return new Weight(Optional.of(dense), Optional.empty());
        }

        public static Weight of(QuantizedMatrix matrix) {
            return new Weight(Optional.empty(), Optional.of(matrix));
        }
    }

    /** {@code x W^T + b}. */
    record Linear(Weight weight, Optional<Tensor> bias) {}

    /**
     * One block.
     *
     * @param attentionNorm {@code [C]}
     * @param queryNorm {@code [D]}, of each head before rotation
     * @param keyNorm as queryNorm
     * @param mlpNorm {@code [C]}
     * @param window if positive, how many keys a query sees, its own included
     */
    record Layer(Tensor attentionNorm, Linear query, Linear key, Linear value, Optional<Tensor> queryNorm, Optional<Tensor> keyNorm,
            Linear output, Tensor mlpNorm, Linear gate, Linear up, Linear down, int window) {}

    /**
     * The decoder.
     *
     * @param embedding {@code [V, C]}
     * @param embeddingScale factor of what is looked up
     * @param norm before the head, {@code [C]}
     * @param head {@code [V, C]}
     * @param heads query heads (H)
     * @param groups key/value heads (G)
     * @param headDim features of a head (D)
     * @param rotary features of a head that turn, in halves
     */
    record Model(Weight embedding, double embeddingScale, List<Layer> layers, Tensor norm, Linear head, int heads, int groups, int headDim,
            int rotary, double eps, double attentionScale) {}

    /** Whether it computes this model. */
    boolean supports(Model model);

    /** Prepares steps. Weights are read where they lie, so they may not move; their numbers may change. */
    Steps prepare(Model model);

    /** Steps of one text; not for use by several threads at once. */
    interface Steps extends AutoCloseable {
        /**
         * Reads the token that follows those in the cache.
         *
         * @param length tokens in the cache before
         * @param cos of the token's angles, {@code [rotary / 2]}
         * @param sin likewise
         * @param keys for each layer {@code [1, G, capacity, D]} in F32 with room at {@code length}, where this token's go
         * @param values likewise
         * @param logits [V] takes the logits after the token
         */
        void step(int token, int length, float[] cos, float[] sin, Tensor[] keys, Tensor[] values, float[] logits);

        /** Gives the working memory back. */
        @Override
        void close();
    }
}
