package dev.jotune.models.vit;

import dev.jotune.autograd.Var;
import dev.jotune.models.Hidden;
import dev.jotune.models.ImageClassifier;
import dev.jotune.models.ProblemType;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import java.util.List;
import java.util.Optional;

/** A Vision Transformer with a linear classifier on the class token's state. */
public final class ViTClassifier extends ViT implements ImageClassifier {
    private final LinearLayer classifier;

    ViTClassifier(ViTConfig config, Weights w, Seams seams, Backend backend, DType computeType) {
        super(config, w, seams, backend, computeType);
        classifier = w.linear("classifier", config.labels().names().size(), config.hiddenSize(), true);
    }

    @Override
    public List<String> labels() {
        return config().labels().names();
    }

    @Override
    public Optional<ProblemType> problemType() {
        return config().labels().problemType();
    }

    /** Reads the state itself: a pooler in the checkpoint would be left over from another training. */
    @Override
    public Var logits(Hidden hidden, Pass pass) {
        return classifier.forward(hidden.text().select(1, 0), pass);
    }
}
