package dev.jotune.models.seam;

import dev.jotune.autograd.Var;

/** A weight of a model under its checkpoint path. Frozen unless full fine-tuning thaws it. */
public final class Parameter {
    private final String path;
    private Var value;

    public Parameter(String path, Var value) {
        this.path = path;
        this.value = value;
    }

    /** As in the checkpoint: {@code model.layers.0.self_attn.q_proj.weight}. */
    public String path() {
        return path;
    }

    /** The model's own value. */
    public Var base() {
        return value;
    }

    /** The value within {@code group}: an attached adapter's own copy if one has it, else the model's. */
    public Var value(Group group) {
        for (Hooks h : group.hooks().reversed()) {
            Var own = h.overrides().get(path);
            if (own != null) {
                return own;
            }
        }
        return value;
    }

    /** Replaces the model's own value, for merging and for full fine-tuning. */
    public void replace(Var v) {
        if (!java.util.Arrays.equals(v.shape(), value.shape())) {
            throw new IllegalArgumentException(path + " has shape " + java.util.Arrays.toString(value.shape()) + ", not "
                    + java.util.Arrays.toString(v.shape()));
        }
        value = v;
    }
}
