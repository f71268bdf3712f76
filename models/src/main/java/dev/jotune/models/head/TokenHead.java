package dev.jotune.models.head;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.models.Encoder;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.TokenClassifier;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import java.util.List;

/** A classifier of tokens: one linear layer on each state. */
final class TokenHead extends HeadedEncoder implements TokenClassifier {
    private final LinearLayer classifier;
    private final double dropout;
    private final Labels labels;

    TokenHead(Encoder base, LinearLayer classifier, double dropout, Labels labels) {
        super(base);
        this.classifier = classifier;
        this.dropout = dropout;
        this.labels = labels;
    }

    @Override
    public List<String> labels() {
        return labels.names();
    }

    @Override
    public Var logits(Var hidden, Pass pass) {
        return classifier.forward(Noise.dropout(hidden, dropout, pass, "classifier.in"), pass);
    }

    @Override
    public Var loss(EncoderInput input, Tensor targets, Pass pass) {
        Var logits = logits(forward(input, pass).text(), pass);
        return CrossEntropy.apply(logits.reshape(targets.numel(), -1),
                targets.to(backend()).contiguous().reshape(targets.numel()));
    }
}
