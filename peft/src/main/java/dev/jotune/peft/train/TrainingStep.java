package dev.jotune.peft.train;

import dev.jotune.autograd.optim.GradientTransform;
import dev.jotune.autograd.optim.TrainableSelector;
import dev.jotune.models.Backbone;
import dev.jotune.models.SequenceClassifier;
import java.util.Optional;

/**
 * Seam 6, the training step's exchangeable parts; clipping, optimiser and schedule are of {@link TrainOptions}.
 *
 * @param name of the combination: a run goes on only under the same name
 * @param objective what is minimised
 * @param selector what trains at a step; only its gradients are computed
 * @param transform of the gradients, before clipping; it may keep state, so make one for each run
 * @param descent another way down than along gradients; transform, clipping and optimiser are then not used
 */
public record TrainingStep(String name, Objective objective, TrainableSelector selector,
        Optional<GradientTransform> transform, Optional<Descent.Factory> descent) {

    /** Along gradients. */
    public TrainingStep(String name, Objective objective, TrainableSelector selector, Optional<GradientTransform> transform) {
        this(name, objective, selector, transform, Optional.empty());
    }

    /** Cross-entropy, everything trains, gradients as they are. */
    public static TrainingStep causalLm() {
        return of("causal_lm", Objective.CAUSAL_LM);
    }

    /** Cross-entropy of classes, everything trains, gradients as they are. */
    public static TrainingStep classification() {
        return of("sequence_classification", Objective.CLASSIFICATION);
    }

    /** What a model of its kind is trained with when nothing else is said. */
    public static TrainingStep of(Backbone model) {
        return model instanceof SequenceClassifier ? classification() : causalLm();
    }

    /** Another objective. */
    public static TrainingStep of(String name, Objective objective) {
        return new TrainingStep(name, objective, TrainableSelector.all(), Optional.empty());
    }

    /** An objective named by its own text, as records have one with all that they were made of. */
    public static TrainingStep of(Objective objective) {
        return of(objective.toString(), objective);
    }

    /** This with another selector, named after both. */
    public TrainingStep select(TrainableSelector which) {
        return new TrainingStep(name + ", " + which, objective, which, transform, descent);
    }

    /** This with a transform of the gradients, named after both. */
    public TrainingStep transform(GradientTransform how) {
        return new TrainingStep(name + ", " + how, objective, selector, Optional.of(how), descent);
    }

    /** This with another way down, named after both. */
    public TrainingStep descend(Descent.Factory how) {
        return new TrainingStep(name + ", " + how, objective, selector, transform, Optional.of(how));
    }
}
