package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Transforms one after the other; the state of link i is named {@code i.<name>}. */
record TransformChain(List<GradientTransform> links) implements GradientTransform {

    TransformChain {
        links = List.copyOf(links);
    }

    @Override
    public List<Trainable> apply(long step, List<Trainable> trainables) {
        List<Trainable> current = trainables;
        for (GradientTransform link : links) {
            if (current.isEmpty()) {
                return current;
            }
            current = link.apply(step, current);
        }
        return current;
    }

    @Override
    public Map<String, Tensor> state() {
        Map<String, Tensor> all = new LinkedHashMap<>();
        for (int i = 0; i < links.size(); i++) {
            String prefix = i + ".";
            links.get(i).state().forEach((name, t) -> all.put(prefix + name, t));
        }
        return all;
    }

    @Override
    public void restore(Map<String, Tensor> state) {
        int taken = 0;
        for (int i = 0; i < links.size(); i++) {
            Map<String, Tensor> own = StateNames.below(state, i + ".");
            links.get(i).restore(own);
            taken += own.size();
        }
        if (taken != state.size()) {
            throw new IllegalArgumentException("the saved state " + state.keySet() + " has entries for more than the "
                    + links.size() + " gradient transforms of this chain. Build the chain as the run did.");
        }
    }
}
