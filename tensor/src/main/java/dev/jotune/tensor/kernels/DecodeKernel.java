package dev.jotune.tensor.kernels;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.QuantizedMatrix;
import java.util.List;
import java.util.Optional;

/**
 * One token of each of some texts through a decoder like Llama, all of it: the loop that generation spends its time in. What is
 * read, where and in which order is worked out once; a step then reads the weights as they are stored and makes
 * nothing new.
 *
 * <p>Definition: the model's forward pass over a cache. With {@code n(x) = w x / sqrt(mean(x^2) + eps)}, for each layer
 * <pre>
 *     h += O attention(rotate(Q n(h)), prefix + keys, prefix + values)
 *     h += D (silu(G n(h)) U n(h))
 * </pre>
 * and then the logits {@code H n(h)}, where each of the linear maps may have low-rank terms beside its weight.
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

    /**
     * {@code s (x A^T) B^T} beside a weight: an adapter.
     *
     * @param down A {@code [R, in]}, F32 with dense rows
     * @param up B {@code [out, R]}, likewise
     * @param scale s
     */
    record LowRank(Tensor down, Tensor up, double scale) {}

    /** {@code x W^T + b} and the terms of adapters. */
    record Linear(Weight weight, Optional<Tensor> bias, List<LowRank> terms) {
        public Linear(Weight weight, Optional<Tensor> bias) {
            this(weight, bias, List.of());
        }
    }

    /**
     * Keys and values, as they enter attention, that every query sees beside those in the cache: a tuned prefix.
     *
     * @param keys {@code [1, G, P, D]}, F32 with dense rows
     * @param values likewise
     */
    record Prefix(Tensor keys, Tensor values) {}

    /**
     * One block.
     *
     * @param attentionNorm {@code [C]}
     * @param queryNorm {@code [D]}, of each head before rotation
     * @param keyNorm as queryNorm
     * @param mlpNorm {@code [C]}
     * @param window if positive, how many keys of the cache a query sees, its own included
     * @param prefixes seen before the cache
     */
    record Layer(Tensor attentionNorm, Linear query, Linear key, Linear value, Optional<Tensor> queryNorm, Optional<Tensor> keyNorm,
            Linear output, Tensor mlpNorm, Linear gate, Linear up, Linear down, int window, List<Prefix> prefixes) {
        public Layer(Tensor attentionNorm, Linear query, Linear key, Linear value, Optional<Tensor> queryNorm, Optional<Tensor> keyNorm,
                Linear output, Tensor mlpNorm, Linear gate, Linear up, Linear down, int window) {
            this(attentionNorm, query, key, value, queryNorm, keyNorm, output, mlpNorm, gate, up, down, window, List.of());
        }

        /** Its linear maps, in the order of the computation. */
        public List<Linear> maps() {
            return List.of(query, key, value, output, gate, up, down);
        }
    }

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

    /**
     * What is asked of steps beside a model.
     *
     * @param rows texts (B)
     * @param padded whether some begin behind padding
     * @param lowRank whether there are low-rank terms
     * @param prefixed whether there are prefixes
     */
    record Use(int rows, boolean padded, boolean lowRank, boolean prefixed) {}

    /** Why it is not for this use; empty if it is. Asked before anything of a model is touched. */
    Optional<String> obstacle(Use use);

    /** Why it does not compute this model, as the end of a sentence; empty if it does. */
    Optional<String> obstacle(Model model);

    /** Prepares steps of so many texts. Weights are read where they lie, so they may not move; their numbers may change. */
    Steps prepare(Model model, int rows);

    /** Steps of some texts; not for use by several threads at once. */
    interface Steps extends AutoCloseable {
        /**
         * Reads the token that follows those in the cache, of each text.
         *
         * @param tokens [B]
         * @param length tokens in the cache before, padding included
         * @param padding [2 B] tokens {@code padding[2 b]} to {@code padding[2 b + 1]}, exclusive, of the cache's row b are not seen
         * @param cos of the tokens' angles, {@code [B, rotary / 2]}
         * @param sin likewise
         * @param keys for each layer {@code [B, G, capacity, D]} with room at {@code length}, where these tokens' go
         * @param values likewise
         * @param logits [B][V] takes the logits after the tokens
         */
        void step(int[] tokens, int length, int[] padding, float[] cos, float[] sin, Tensor[] keys, Tensor[] values, float[][] logits);

        /** Gives the working memory back. */
        @Override
        void close();
    }
}
