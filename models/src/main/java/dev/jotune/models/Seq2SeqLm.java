package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seq2seq.SourceDecoder;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.Optional;

/**
 * An encoder-decoder: a source is encoded once, and a decoder that attends to it writes the target.
 *
 * <p>Its attentions are, in this order: each layer of the encoder (bidirectional), then for each layer of the decoder
 * its own (causal) and the one to the source (cross). Virtual tokens may stand at {@code encoder.embed} and
 * {@code decoder.embed}.
 */
public interface Seq2SeqLm extends Backbone {
    /** V, the logits of a position. */
    int vocabularySize();

    /**
     * The token that every target begins with.
     *
     * @throws ModelException if the configuration names none
     */
    int decoderStartToken();

    /**
     * The token that fills rows.
     *
     * @throws ModelException if the configuration names none
     */
    int padToken();

    /** Reads a source. A speech model takes its features {@code [B, mels, frames]} in place of embeddings. */
    Encoded encode(EncoderInput source, Pass pass);

    /**
     * The final states {@code [B, n + T, C]} of the target's tokens.
     *
     * @param target tokens or embeddings; positions, where the model has any, count on from the cache by default
     * @param source of as many rows as the target, or of one
     * @param cache appended to, if present; recording is then off. It keeps the keys and values of the source from its
     *     first pass on: later passes read them, whatever {@code source} is, and {@link DecoderCache#reorder} moves them along
     */
    Hidden decode(DecoderInput target, Encoded source, Pass pass, Optional<DecoderCache> cache);

    /** Next-token logits {@code [B, T, V]} of states {@code [B, T, C]}. */
    Var logits(Var states, Pass pass);

    /**
     * The mean cross-entropy of labels {@code [B, T]} under the logits of {@code states [B, T, C]}, position by position;
     * -100 where nothing is to be learnt.
     */
    Var loss(Var states, Tensor labels, Pass pass);

    /** A cache for {@code batch} rows. */
    DecoderCache newCache(long batch, long capacity);

    /**
     * What the decoder reads to write {@code labels [B, T]}: the start token, then the labels but the last; the pad token
     * stands for -100.
     */
    default Tensor shiftRight(Tensor labels) {
        long[] ids = labels.toLongArray();
        int time = Math.toIntExact(labels.size(1));
        long[] shifted = new long[ids.length];
        for (int i = 0; i < ids.length; i++) {
            shifted[i] = i % time == 0 ? decoderStartToken() : ids[i - 1] == -100 ? padToken() : ids[i - 1];
        }
        return Tensor.of(labels.backend(), shifted, labels.shape());
    }

    /** {@link #loss(EncoderInput, DecoderInput, Tensor, Pass)} of the decoder reading the labels shifted right. */
    default Var loss(EncoderInput source, Tensor labels, Pass pass) {
        return loss(source, DecoderInput.of(shiftRight(labels)), labels, pass);
    }

    /**
     * The mean cross-entropy of {@code labels [B, T]} given the source and what the decoder reads, as transformers computes
     * it: label t belongs to position t of {@code target}. Virtual tokens carry no label.
     */
    default Var loss(EncoderInput source, DecoderInput target, Tensor labels, Pass pass) {
        if (labels.rank() != 2 || labels.size(0) != target.batch() || labels.size(1) != target.time()) {
            throw new IllegalArgumentException("labels of shape " + Arrays.toString(labels.shape()) + " do not fit a target of "
                    + target.batch() + " rows with " + target.time() + " tokens. Give one label for each token.");
        }
        return loss(decode(target, encode(source, pass), pass, Optional.empty()).text(), labels, pass);
    }

    /**
     * The decoder given a source: a language model like any other, which generates, scores and combines as those do.
     *
     * @param source of one row, or of as many as will be decoded
     */
    default CausalLm given(Encoded source) {
        return new SourceDecoder(this, source);
    }
}
