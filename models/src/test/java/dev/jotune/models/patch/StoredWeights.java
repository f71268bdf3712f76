package dev.jotune.models.patch;

import dev.jotune.models.Weights;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.util.LinkedHashMap;
import java.util.Map;

/** The weights of a golden case, to be changed before a model is made of them. */
record StoredWeights(Map<String, Tensor> tensors) implements Weights.Source {
    static final StoredWeights NONE = new StoredWeights(Map.of());

    static StoredWeights of(Golden.Case golden) {
        Map<String, Tensor> out = new LinkedHashMap<>();
        Golden.arrays(golden.file("model.safetensors")).forEach((name, a) ->
                out.put(name, Tensor.of(Backends.reference(), DType.F32, a.values(), a.shape())));
        return new StoredWeights(out);
    }

    StoredWeights without(String prefix) {
        Map<String, Tensor> out = new LinkedHashMap<>(tensors);
        out.keySet().removeIf(n -> n.startsWith(prefix));
        return new StoredWeights(out);
    }

    StoredWeights with(String name, Tensor t) {
        Map<String, Tensor> out = new LinkedHashMap<>(tensors);
        out.put(name, t);
        return new StoredWeights(out);
    }

    StoredWeights renamed(String prefix, String to) {
        Map<String, Tensor> out = new LinkedHashMap<>();
        tensors.forEach((n, t) -> out.put(n.startsWith(prefix) ? to + n.substring(prefix.length()) : n, t));
        return new StoredWeights(out);
    }

    @Override
    public boolean contains(String name) {
        return tensors.containsKey(name);
    }

    @Override
    public Tensor get(String name) {
        return tensors.get(name);
    }

    @Override
    public String origin() {
        return "the golden weights";
    }
}
