package dev.jotune.models.seam;

import java.util.List;

/**
 * A weight that the field knows as one parameter of a module and that lies here in layers of their own: transformers keeps the experts
 * of a mixture in two tensors {@code [E, out, in]}. PEFT's {@code target_parameters} names weights so.
 *
 * @param module the module's path there, {@code model.layers.0.mlp.experts}
 * @param name of the parameter, {@code gate_up_proj}
 * @param experts for each of the E experts the layers whose outputs, one after the other, are its out
 */
public record Stack(String module, String name, List<List<LinearLayer>> experts) {
    /** A weight {@code [out, in]} of one layer. */
    public static Stack of(String module, LinearLayer layer) {
        return new Stack(module, "weight", List.of(List.of(layer)));
    }

    public long in() {
        return experts.getFirst().getFirst().in();
    }

    public long out() {
        return experts.getFirst().stream().mapToLong(LinearLayer::out).sum();
    }

    /** Whether {@code layer} is a part of one of several experts. */
    public boolean isExpert(LinearLayer layer) {
        return experts.size() > 1 && experts.stream().anyMatch(e -> e.contains(layer));
    }
}
