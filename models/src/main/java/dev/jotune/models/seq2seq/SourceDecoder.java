package dev.jotune.models.seq2seq;

import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Encoded;
import dev.jotune.models.Hidden;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Optional;

/**
 * The decoder of an encoder-decoder given a source, as a language model over the target's tokens.
 *
 * @param model whose decoder it is
 * @param source what it attends to: one row, or as many as are decoded
 */
public record SourceDecoder(Seq2SeqLm model, Encoded source) implements CausalLm {
    @Override
    public Seams seams() {
        return model.seams();
    }

    @Override
    public EmbeddingSite input() {
        return seams().embeddings().get("decoder.embed");
    }

    @Override
    public String modelType() {
        return model.modelType();
    }

    @Override
    public int vocabularySize() {
        return model.vocabularySize();
    }

    @Override
    public int hiddenSize() {
        return model.hiddenSize();
    }

    @Override
    public int layers() {
        return model.layers();
    }

    @Override
    public int contextLength() {
        return model.contextLength();
    }

    @Override
    public Backend backend() {
        return model.backend();
    }

    @Override
    public DType computeType() {
        return model.computeType();
    }

    @Override
    public Hidden forward(DecoderInput input, Pass pass, Optional<DecoderCache> cache) {
        return model.decode(input, source, pass, cache);
    }

    @Override
    public Var logits(Var hidden, Pass pass) {
        return model.logits(hidden, pass);
    }

    @Override
    public Var loss(DecoderInput input, Tensor labels, Pass pass) {
        Hidden hidden = forward(input, pass, Optional.empty());
        long n = hidden.virtualTokens();
        long time = labels.size(1);
        // The state before each label: with virtual tokens the last of them predicts the first label.
        Var states = n > 0 ? hidden.states().slice(1, n - 1, n - 1 + time) : hidden.states().slice(1, 0, time - 1);
        return model.loss(states, n > 0 ? labels : labels.slice(1, 1, time), pass);
    }

    @Override
    public void setCheckpointing(boolean on) {
        model.setCheckpointing(on);
    }

    @Override
    public DecoderCache newCache(long batch, long capacity) {
        return model.newCache(batch, capacity);
    }
}
