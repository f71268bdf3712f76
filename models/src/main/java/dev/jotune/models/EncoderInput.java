package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.tensor.Tensor;
import java.util.Optional;

/**
 * What a text encoder reads: token ids or their embeddings.
 *
 * @param ids I64 {@code [B, T]}
 * @param embeds {@code [B, T, C]}, instead of ids: word embeddings only, the model adds positions and the rest
 * @param mask {@code [B, T]}, non-zero where there is a token and zero at padding
 * @param tokenTypes I64 {@code [B, T]}: which text of a pair; by default 0
 * @param positions I64 {@code [B, T]}; by default as the model counts them
 */
public record EncoderInput(Optional<Tensor> ids, Optional<Var> embeds, Optional<Tensor> mask, Optional<Tensor> tokenTypes,
        Optional<Tensor> positions) {
    public EncoderInput {
        if (ids.isPresent() == embeds.isPresent()) {
            throw new IllegalArgumentException("give either token ids or embeddings");
        }
    }

    public static EncoderInput of(Tensor ids) {
        return new EncoderInput(Optional.of(ids), Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty());
    }

    public static EncoderInput of(Tensor ids, Tensor mask) {
        return of(ids).withMask(mask);
    }

    public static EncoderInput of(Var embeds) {
        return new EncoderInput(Optional.empty(), Optional.of(embeds), Optional.empty(), Optional.empty(), Optional.empty());
    }

    public EncoderInput withMask(Tensor m) {
        return new EncoderInput(ids, embeds, Optional.of(m), tokenTypes, positions);
    }

    public EncoderInput withTokenTypes(Tensor t) {
        return new EncoderInput(ids, embeds, mask, Optional.of(t), positions);
    }

    public EncoderInput withPositions(Tensor p) {
        return new EncoderInput(ids, embeds, mask, tokenTypes, Optional.of(p));
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
