package dev.jotune.models.head;

import dev.jotune.models.Weights;
import dev.jotune.models.seam.StoredWeight;
import dev.jotune.tensor.Tensor;
import java.util.Optional;

/**
 * Weights under today's names, from files that call them otherwise: a base model's own file has no prefix of the base
 * model in its names, and checkpoints of TensorFlow's time call a norm's weight gamma and its bias beta.
 *
 * @param prefix of the base model within one with a head: {@code bert.}
 */
record HeadSource(Weights.Source inner, String prefix) implements Weights.Source {
    private String stored(String name) {
        String old = name.replaceFirst("(LayerNorm|layer_norm)\\.weight$", "$1.gamma").replaceFirst("(LayerNorm|layer_norm)\\.bias$", "$1.beta");
        for (String n : new String[] {name, old}) {
            if (inner.contains(n)) {
                return n;
            }
            if (n.startsWith(prefix) && inner.contains(n.substring(prefix.length()))) {
                return n.substring(prefix.length());
            }
        }
        return name;
    }

    @Override
    public boolean contains(String name) {
        return inner.contains(stored(name));
    }

    @Override
    public Tensor get(String name) {
        return inner.get(stored(name));
    }

    @Override
    public Optional<StoredWeight.Quantized> quantized(String name) {
        return inner.quantized(stored(name));
    }

    @Override
    public String origin() {
        return inner.origin();
    }
}
