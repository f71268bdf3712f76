package dev.jotune.peft.train;

import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.ProblemType;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.seam.Pass;

/** Seam 6: what is minimised. */
@FunctionalInterface
public interface Objective {
    /** The mean cross-entropy of the labels given the tokens before them. */
    Objective CAUSAL_LM = (model, batch, pass) -> model.as(CausalLm.class).loss(batch.input(), batch.labels(), pass);

    /** The mean cross-entropy of the texts' classes. */
    Objective CLASSIFICATION = (model, batch, pass) -> model.as(SequenceClassifier.class).loss(batch.texts(), batch.categories(),
            ProblemType.SINGLE_LABEL_CLASSIFICATION, pass);

    /**
     * A scalar, the mean over whatever {@link #weight} counts. A run may also ask for it before its first step, to warm up;
     * nothing is learnt from that.
     *
     * @param pass which adapters run, and the noise of this step
     */
    Var loss(Backbone model, Batch batch, Pass pass);

    /**
     * How much a batch weighs beside the others of an accumulated step, so that small batches add up to exactly the
     * large one: by default the number of its labels. A batch of weight 0 is passed over.
     */
    default double weight(Batch batch) {
        return batch.labelCount();
    }
}
