package dev.jotune.models.seam;

import dev.jotune.autograd.Var;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Shape;
import dev.jotune.tensor.kernels.Precision;
import java.util.Arrays;

/** A weight of a model under its checkpoint path. Frozen unless full fine-tuning thaws it. */
public final class Parameter {
    private final String path;
    private StoredWeight stored;
    private Precision precision = Precision.F32;

    public Parameter(String path, Var value) {
        this(path, new StoredWeight.Dense(value));
    }

    public Parameter(String path, StoredWeight stored) {
        this.path = path;
        this.stored = stored;
    }

    /** As in the checkpoint: {@code model.layers.0.self_attn.q_proj.weight}. */
    public String path() {
        return path;
    }

    public long[] shape() {
        return stored.shape();
    }

    /** The size of an axis. */
    public long size(int axis) {
        return stored.shape()[axis];
    }

    public long numel() {
        return Shape.numel(stored.shape());
    }

    public Backend backend() {
        return stored.backend();
    }

    /** The model's own value; a quantised one is widened to F32 anew at every call. */
    public Var base() {
        return stored.dense();
    }

    /** The model's own value as it is held. */
    public StoredWeight stored() {
        return stored;
    }

    /** The value within {@code group}: an attached adapter's own copy if one has it, else {@link #base()}. */
    public Var value(Group group) {
        return stored(group).dense();
    }

    /** The value within {@code group} as it is held: what products and lookups use. */
    public StoredWeight stored(Group group) {
        for (Hooks h : group.hooks().reversed()) {
            Var own = h.overrides().get(path);
            if (own != null) {
                return new StoredWeight.Dense(own);
            }
        }
        return stored;
    }

    /** How exactly products read this weight and what they multiply it with. */
    public Precision precision() {
        return precision;
    }

    void setPrecision(Precision p) {
        precision = p;
    }

    /** Replaces the model's own value, for merging and for full fine-tuning. */
    public void replace(Var v) {
        replace(new StoredWeight.Dense(v));
    }

    /** Replaces the model's own value, for quantising it and for going back to what {@link #stored()} was. */
    public void replace(StoredWeight weight) {
        if (!Arrays.equals(weight.shape(), stored.shape())) {
            throw new IllegalArgumentException(path + " has shape " + Arrays.toString(stored.shape()) + ", not "
                    + Arrays.toString(weight.shape()));
        }
        stored = weight;
    }
}
