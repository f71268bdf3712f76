package dev.jotune.models;

import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;

/** A model as tuning methods see it: places to plug into, and its size. What it computes is for its kind to say. */
public interface Backbone {
    /** Where methods plug in. */
    Seams seams();

    /** The {@code model_type} of its configuration. */
    String modelType();

    /** C, of the first embedding input. */
    int hiddenSize();

    /** L. */
    int layers();

    /** The most positions it was made for, virtual ones included. */
    int contextLength();

    Backend backend();

    /** F32, or F64 for checking on the reference backend. */
    DType computeType();

    /** Recomputes each block in the backward pass instead of storing its activations: memory for one more forward. */
    void setCheckpointing(boolean on);

    /**
     * This model as one of its kinds.
     *
     * @throws ModelException if it is not of that kind
     */
    default <T extends Backbone> T as(Class<T> kind) {
        if (!kind.isInstance(this)) {
            throw new ModelException("a " + modelType() + " model (" + getClass().getSimpleName() + ") cannot serve as "
                    + kind.getSimpleName() + ". Load a checkpoint of that kind.");
        }
        return kind.cast(this);
    }
}
