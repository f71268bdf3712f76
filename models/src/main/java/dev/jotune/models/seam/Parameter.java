package dev.jotune.models.seam;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Shape;
import dev.jotune.tensor.kernels.Precision;
import java.util.Arrays;

/** A weight of a model under its checkpoint path. Frozen unless full fine-tuning thaws it. */
public final class Parameter {
    private final String path;
    private volatile Content content;
    private volatile Precision precision = Precision.F32;

    /** What a parameter holds until it is replaced; the same content may change its form, never its numbers. */
    public static final class Content {
        private volatile StoredWeight stored;
        /** What adapters were merged into to make this; itself where none were. */
        private final Content unmerged;

        private Content(StoredWeight stored) {
            this.stored = stored;
            this.unmerged = this;
        }

        private Content(StoredWeight stored, Content unmerged) {
            this.stored = stored;
            this.unmerged = unmerged;
        }
    }

    public Parameter(String path, Var value) {
        this(path, new StoredWeight.Dense(value));
    }

    public Parameter(String path, StoredWeight stored) {
        this.path = path;
        this.content = new Content(stored);
    }

    /** As in the checkpoint: {@code model.layers.0.self_attn.q_proj.weight}. */
    public String path() {
        return path;
    }

    public long[] shape() {
        return stored().shape();
    }

    /** The size of an axis. */
    public long size(int axis) {
        return stored().shape()[axis];
    }

    public long numel() {
        return Shape.numel(stored().shape());
    }

    public Backend backend() {
        return stored().backend();
    }

    /** The model's own value; one that is not held as it is (quantised, packed) is made anew at every call. */
    public Var base() {
        return stored().dense();
    }

    /** The model's own value as it is held. */
    public StoredWeight stored() {
        return content.stored;
    }

    /** The value within {@code group}: an attached adapter's own copy if one has it, else {@link #base()}. */
    public Var value(Group group) {
        return stored(group).dense();
    }

    /** The value within {@code group} as it is held: what lookups use. */
    public StoredWeight stored(Group group) {
        Var own = own(group);
        return own != null ? new StoredWeight.Dense(own) : stored();
    }

    /** Whether an adapter of {@code group} has a value of its own for this. */
    public boolean isOverridden(Group group) {
        return own(group) != null;
    }

    private Var own(Group group) {
        for (Hooks h : group.hooks().reversed()) {
            Var own = h.overrides().get(path);
            if (own != null) {
                return own;
            }
        }
        return null;
    }

    /**
     * The value within {@code group} for products. In training, and where products run in BF16, the model's own value is
     * brought into the order that the backend's kernel reads when it is first used so, and kept in that form alone.
     *
     * @param transposed whether the product's W {@code [out, in]} is this transposed
     * @param type of what it will be multiplied with
     */
    public StoredWeight projected(Group group, boolean transposed, DType type) {
        Var own = own(group);
        if (own != null) {
            return new StoredWeight.Dense(own);
        }
        Content now = content;
        if ((Recording.isOn() || precision == Precision.BF16) && type == DType.F32 && now.stored instanceof StoredWeight.Dense dense) {
            StoredWeight.Packed.of(dense, transposed).ifPresent(packed -> now.stored = packed);
        }
        return now.stored;
    }

    /** The model's own value in the checkpoint's order, brought back into it if need be: what the decoding kernel reads. */
    public StoredWeight unpacked() {
        Content now = content;
        if (now.stored instanceof StoredWeight.Packed packed) {
            now.stored = new StoredWeight.Dense(Var.constant(Scope.detach(packed.dense().tensor())));
        }
        return now.stored;
    }

    /** What is held now, for {@link #restore}. */
    public Content content() {
        return content;
    }

    /** Goes back to what was held before. */
    public void restore(Content before) {
        check(before.stored);
        content = before;
    }

    /** How exactly products read this weight and what they multiply it with. */
    public Precision precision() {
        return precision;
    }

    void setPrecision(Precision p) {
        precision = p;
    }

    /** Replaces the model's own value by what an adapter makes of it. */
    public void merge(Var v) {
        check(new StoredWeight.Dense(v));
        content = new Content(new StoredWeight.Dense(v), content.unmerged);
    }

    /** Whether adapters are merged into the model's own value. */
    public boolean isMerged() {
        return content.unmerged != content;
    }

    /** What is held but for merged adapters. */
    public Content unmergedContent() {
        return content.unmerged;
    }

    /** The model's own value but for merged adapters, as it is held. */
    public StoredWeight unmerged() {
        return content.unmerged.stored;
    }

    /** Replaces the model's own value, for full fine-tuning. */
    public void replace(Var v) {
        replace(new StoredWeight.Dense(v));
    }

    /** Replaces the model's own value, for quantising it. */
    public void replace(StoredWeight weight) {
        check(weight);
        content = new Content(weight);
    }

    private void check(StoredWeight weight) {
        if (!Arrays.equals(weight.shape(), shape())) {
            throw new IllegalArgumentException(path + " has shape " + Arrays.toString(shape()) + ", not "
                    + Arrays.toString(weight.shape()));
        }
    }
}
