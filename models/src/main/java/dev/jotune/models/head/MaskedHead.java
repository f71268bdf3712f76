package dev.jotune.models.head;

import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.models.Encoder;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.MaskedLm;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import java.util.stream.IntStream;

/** A masked language model: {@code logits = E norm(act(W h + b)) + c}, E the embedding table unless untied. */
final class MaskedHead extends HeadedEncoder implements MaskedLm {
    private final LinearLayer dense;
    private final String activation;
    private final Norm norm;
    private final LinearLayer decoder;

    MaskedHead(Encoder base, LinearLayer dense, String activation, Norm norm, LinearLayer decoder) {
        super(base);
        this.dense = dense;
        this.activation = activation;
        this.norm = norm;
        this.decoder = decoder;
    }

    @Override
    public int vocabularySize() {
        return (int) decoder.out();
    }

    @Override
    public Var logits(Var hidden, Pass pass) {
        Var x = Activations.byName(activation, dense.forward(hidden, pass));
        return decoder.forward(norm.forward(x, pass), pass);
    }

    @Override
    public Var loss(EncoderInput input, Tensor labels, Pass pass) {
        Var states = forward(input, pass).text();
        Tensor targets = labels.to(backend()).contiguous().reshape(labels.numel());
        long[] label = targets.toLongArray();
        long[] learnt = IntStream.range(0, label.length).filter(i -> label[i] != CrossEntropy.IGNORE_INDEX).asLongStream().toArray();
        if (!pass.isUniform() || learnt.length == 0) {
            return CrossEntropy.apply(logits(states, pass).reshape(label.length, -1), targets);
        }
        // The head is as wide as the vocabulary: it runs only where there is something to learn.
        Var rows = Lookup.gather(states.reshape(label.length, -1), Tensor.of(backend(), learnt, learnt.length));
        long[] there = new long[learnt.length];
        for (int i = 0; i < there.length; i++) {
            there[i] = label[(int) learnt[i]];
        }
        return CrossEntropy.apply(logits(rows, pass), Tensor.of(backend(), there, there.length));
    }
}
