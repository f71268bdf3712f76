package dev.jotune.autograd.optim;

import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.BiConsumer;

/** What an update rule remembers of one parameter: named tensors and numbers, and how often it was updated. */
public final class Slots {
    /** The slot of the update count. */
    static final String STEP = "step";
    private static final String MASTER = "master";

    private final String parameter;
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();
    private final Map<String, Double> numbers = new LinkedHashMap<>();
    /** Saved values not yet brought to the parameter's backend; null for a parameter that started fresh. */
    private Map<String, Tensor> saved;
    private Tensor like;
    private long step;

    Slots(String parameter) {
        this.parameter = parameter;
    }

    /** Begins an update of {@code tensor}. */
    void begin(Tensor tensor) {
        if (like != null && like.backend() != tensor.backend()) {
            saved = new LinkedHashMap<>(tensors);
            numbers.forEach((k, v) -> saved.put(k, number(v)));
            tensors.clear();
            numbers.clear();
        }
        like = tensor;
        step++;
    }

    /** Whether what is remembered is of a parameter of this shape and type. */
    boolean fits(Tensor tensor) {
        return like == null || Arrays.equals(like.shape(), tensor.shape()) && type(like) == type(tensor);
    }

    /** Gives the memory back: native memory that waits for the collector would pile up as parameters come and go. */
    void free() {
        tensors.values().forEach(t -> t.storage().free());
        if (saved != null) {
            saved.values().forEach(t -> t.storage().free());
        }
    }

    void restore(String slot, Tensor value) {
        if (saved == null) {
            saved = new LinkedHashMap<>();
        }
        if (slot.equals(STEP)) {
            step = value.toLongArray()[0];
        } else {
            saved.put(slot, Scope.detach(value.copy()));
        }
    }

    void forEach(BiConsumer<String, Tensor> action) {
        action.accept(STEP, Tensor.of(Backends.reference(), new long[] {step}, 1));
        // What no update has asked for since it was restored is still to be saved.
        if (saved != null) {
            saved.forEach((k, t) -> {
                if (!tensors.containsKey(k) && !numbers.containsKey(k)) {
                    action.accept(k, t);
                }
            });
        }
        tensors.forEach(action);
        numbers.forEach((k, v) -> action.accept(k, number(v)));
    }

    private static Tensor number(double v) {
        return Tensor.of(Backends.reference(), DType.F64, new double[] {v}, 1);
    }

    private static DType type(Tensor t) {
        return Compute.type(t);
    }

    /** The name of the parameter. */
    public String parameter() {
        return parameter;
    }

    /** The number of this update of this parameter, from 1. */
    public long step() {
        return step;
    }

    /** A tensor of the parameter's shape, F64 for an F64 parameter and F32 otherwise, zero at first. */
    public Tensor tensor(String slot) {
        return tensor(slot, 0, like.shape());
    }

    /** A tensor of any shape, every element {@code initial} at first. To be overwritten in place. */
    public Tensor tensor(String slot, double initial, long... shape) {
        Tensor t = tensors.get(slot);
        if (t == null) {
            t = Scope.detach(saved == null ? Tensor.full(like.backend(), type(like), initial, shape)
                    : taken(slot, shape));
            tensors.put(slot, t);
        }
        return t;
    }

    /** A copy of the parameter in full precision, made at its first update. To be overwritten in place. */
    Tensor master() {
        Tensor t = tensors.get(MASTER);
        if (t == null) {
            t = Scope.detach(saved == null ? like.to(type(like)) : taken(MASTER, like.shape()));
            tensors.put(MASTER, t);
        }
        return t;
    }

    private Tensor taken(String slot, long[] shape) {
        Tensor t = require(slot);
        if (!Arrays.equals(t.shape(), shape) || t.dtype() != type(like)) {
            throw new IllegalArgumentException("the saved state '" + slot + "' of '" + parameter + "' is " + t
                    + ", needed is " + type(like) + Arrays.toString(shape) + ". Restore the state of this very model.");
        }
        return t.to(like.backend());
    }

    private Tensor require(String slot) {
        Tensor t = saved.remove(slot);
        if (t == null) {
            throw new IllegalArgumentException("the saved state of '" + parameter + "' has no '" + slot
                    + "'. Restore with the optimiser settings of the run that saved it.");
        }
        return t;
    }

    /** A number that is saved exactly. */
    public double number(String slot, double initial) {
        Double v = numbers.get(slot);
        if (v == null) {
            v = saved == null ? initial : require(slot).item();
            numbers.put(slot, v);
        }
        return v;
    }

    /** Overwrites a number. */
    public void setNumber(String slot, double value) {
        numbers.put(slot, value);
    }
}
