package dev.jotune.models.head;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.models.Encoder;
import dev.jotune.models.Hidden;
import dev.jotune.models.ProblemType;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import java.util.List;
import java.util.Optional;

/** A classifier of texts: {@code logits = V act(W h_0 + b) + c}, h_0 the first token's state. */
final class ClassifierHead extends HeadedEncoder implements SequenceClassifier {
    private final LinearLayer dense;
    private final HeadNames names;
    private final HeadShape shape;
    private final LinearLayer classifier;
    private final Labels labels;
    private final List<String> fresh;

    ClassifierHead(Encoder base, LinearLayer dense, LinearLayer classifier, HeadNames names, HeadShape shape, Labels labels,
            List<String> fresh) {
        super(base);
        this.dense = dense;
        this.classifier = classifier;
        this.names = names;
        this.shape = shape;
        this.labels = labels;
        this.fresh = List.copyOf(fresh);
    }

    @Override
    public List<String> labels() {
        return labels.names();
    }

    @Override
    public Optional<ProblemType> problemType() {
        return labels.problemType();
    }

    @Override
    public List<String> freshModules() {
        return fresh;
    }

    @Override
    public Var logits(Hidden hidden, Pass pass) {
        Var first = Noise.dropout(firstToken(hidden, pass), shape.dropoutBefore(), pass, "classifier.in");
        Var x = Activations.byName(names.denseActivation(), dense.forward(first, pass));
        return classifier.forward(Noise.dropout(x, shape.dropoutAfter(), pass, "classifier.out"), pass);
    }
}
