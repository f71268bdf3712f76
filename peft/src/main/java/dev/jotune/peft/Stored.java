package dev.jotune.peft;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** The tensors of an adapter file being loaded: each is checked as it is asked for, and what nobody asks for is known. */
final class Stored {
    private final Map<String, Tensor> tensors;
    private final Set<String> read = new HashSet<>();

    Stored(Map<String, Tensor> tensors) {
        this.tensors = tensors;
    }

    boolean holds(String key) {
        return tensors.containsKey(key);
    }

    boolean holdsRows(String key, long n) {
        return holds(key) && tensors.get(key).rank() > 0 && tensors.get(key).size(0) == n;
    }

    boolean holdsAnyOf(String prefix) {
        return tensors.keySet().stream().anyMatch(k -> k.startsWith(prefix));
    }

    /** Finite floating numbers. */
    Tensor numbers(String key, long... shape) {
        Tensor t = found(key, shape);
        if (!t.dtype().isFloating()) {
            throw new AdapterException("the adapter's tensor " + key + " has type " + t.dtype() + ", expected a floating type. "
                    + "Save the adapter again as F32.");
        }
        double[] values = t.toDoubleArray();
        for (int i = 0; i < values.length; i++) {
            if (!Double.isFinite(values[i])) {
                throw new AdapterException("the adapter's tensor " + key + " holds " + values[i] + " at element " + i
                        + ". Its training went wrong: use an earlier checkpoint.");
            }
        }
        return t;
    }

    /** Whole numbers {@code [bounds, n]} of any type, for PEFT on Windows writes floats; row i lies in {@code [0, bounds[i])}. */
    long[][] integers(String key, long[] bounds, long n) {
        double[] flat = found(key, bounds.length, n).to(DType.F64).toDoubleArray();
        long[][] out = new long[bounds.length][Math.toIntExact(n)];
        for (int i = 0; i < flat.length; i++) {
            int row = (int) (i / n);
            if (!(flat[i] >= 0 && flat[i] < bounds[row] && flat[i] == Math.rint(flat[i]))) {
                throw new AdapterException("the adapter's tensor " + key + " holds " + flat[i] + " in row " + row
                        + ", expected whole numbers from 0 to " + (bounds[row] - 1) + ". Was it made for another base model?");
            }
            out[row][(int) (i % n)] = (long) flat[i];
        }
        return out;
    }

    private Tensor found(String key, long... shape) {
        Tensor t = tensors.get(key);
        if (t == null) {
            throw new AdapterException("the adapter file lacks the tensor " + key + " of shape " + Arrays.toString(shape)
                    + ". Its adapter_config.json and its tensors do not belong together.");
        }
        read.add(key);
        if (!Arrays.equals(t.shape(), shape)) {
            throw new AdapterException("the adapter's tensor " + key + " has shape " + Arrays.toString(t.shape())
                    + ", this model and configuration ask for " + Arrays.toString(shape)
                    + ". Was it made for another base model?");
        }
        return t;
    }

    /** Tensors that nothing asked for. */
    Set<String> unread() {
        Set<String> rest = new TreeSet<>(tensors.keySet());
        rest.removeAll(read);
        return rest;
    }
}
