package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.tensor.Tensor;
import java.util.Optional;

/**
 * What a decoder reads: token ids or their embeddings.
 *
 * @param ids I64 {@code [B, T]}
 * @param embeds {@code [B, T, C]}, instead of ids
 * @param mask {@code [B, T]}, non-zero where there is a token and zero at padding
 * @param positions I64 {@code [B, T]}, counted within the text: what is virtual or prefixed is added by the model.
 *     By default they count on from the cache, over padding too.
 * @param branches where a row holds several continuations of one text; positions are then given
 */
public record DecoderInput(Optional<Tensor> ids, Optional<Var> embeds, Optional<Tensor> mask, Optional<Tensor> positions,
        Optional<Branches> branches) {
    public DecoderInput {
        if (ids.isPresent() == embeds.isPresent()) {
            throw new IllegalArgumentException("give either token ids or embeddings");
        }
    }

    /** One text a row. */
    public DecoderInput(Optional<Tensor> ids, Optional<Var> embeds, Optional<Tensor> mask, Optional<Tensor> positions) {
        this(ids, embeds, mask, positions, Optional.empty());
    }

    public static DecoderInput of(Tensor ids) {
        return new DecoderInput(Optional.of(ids), Optional.empty(), Optional.empty(), Optional.empty());
    }

    public static DecoderInput of(Tensor ids, Tensor mask) {
        return new DecoderInput(Optional.of(ids), Optional.empty(), Optional.of(mask), Optional.empty());
    }

    public static DecoderInput of(Var embeds) {
        return new DecoderInput(Optional.empty(), Optional.of(embeds), Optional.empty(), Optional.empty());
    }

    public DecoderInput withMask(Tensor m) {
        return new DecoderInput(ids, embeds, Optional.of(m), positions, branches);
    }

    public DecoderInput withPositions(Tensor p) {
        return new DecoderInput(ids, embeds, mask, Optional.of(p), branches);
    }

    /**
     * The same tokens as continuations of one text.
     *
     * @throws IllegalArgumentException if they do not cover the row, or positions were not given
     */
    public DecoderInput withBranches(Branches b) {
        if (b.time() != time() || positions.isEmpty()) {
            throw new IllegalArgumentException("branches of " + b.time() + " columns do not fit a row of " + time() + " tokens with"
                    + (positions.isEmpty() ? "out" : "") + " positions. Give a position for each token, and branches for all of them.");
        }
        return new DecoderInput(ids, embeds, mask, positions, Optional.of(b));
    }

    /** Rows (B). */
    public long batch() {
        return ids.map(t -> t.size(0)).orElseGet(() -> embeds.get().size(0));
    }

    /** Tokens of a row (T). */
    public long time() {
        return ids.map(t -> t.size(1)).orElseGet(() -> embeds.get().size(1));
    }
}
