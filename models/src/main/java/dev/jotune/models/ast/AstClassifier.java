package dev.jotune.models.ast;

import dev.jotune.autograd.Var;
import dev.jotune.models.AudioClassifier;
import dev.jotune.models.Hidden;
import dev.jotune.models.ProblemType;
import dev.jotune.models.Weights;
import dev.jotune.models.head.Norm;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import java.util.List;
import java.util.Optional;

/** An Audio Spectrogram Transformer with a classifier: a norm and a linear layer on what stands for the sound. */
public final class AstClassifier extends Ast implements AudioClassifier {
    private final Norm norm;
    private final LinearLayer dense;

    AstClassifier(AstConfig config, Weights w, Seams seams, Backend backend, DType computeType) {
        super(config, w, seams, backend, computeType);
        norm = Norm.of("classifier.layernorm", config.hiddenSize(), config.layerNormEps(), w);
        dense = w.linear("classifier.dense", config.labels().names().size(), config.hiddenSize(), true);
    }

    @Override
    public List<String> labels() {
        return config().labels().names();
    }

    @Override
    public Optional<ProblemType> problemType() {
        return config().labels().problemType();
    }

    @Override
    public Var logits(Hidden hidden, Pass pass) {
        return dense.forward(norm.forward(features(hidden, pass), pass), pass);
    }
}
