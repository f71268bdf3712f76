package dev.jotune.autograd;

import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/**
 * An operation with a kernel of its own and a definition in terms of primitives (DESIGN section 3).
 *
 * <p>The kernel computes values and first derivatives; the definition is what tests compare with, what runs where a
 * backend has no kernel, and what is differentiated when a derivative is asked for that will be differentiated again.
 */
public final class Fused {
    private Fused() {}

    /** Gradients from tensors; entries for inputs that are not needed may be null. */
    @FunctionalInterface
    public interface Backward {
        Tensor[] apply(Tensor[] upstream, boolean[] needed);
    }

    /**
     * As the longer form, of an operation that says nothing of what it reads.
     */
    public static Var[] record(String name, Var[] inputs, Tensor[] outputs, Backward backward,
            Function<Var[], Var[]> definition) {
        return record(name, inputs, outputs, Reads.UNKNOWN, backward, definition);
    }

    /**
     * Records a kernel's result.
     *
     * @param outputs what the kernel computed
     * @param reads what {@code backward} reads; it takes inputs from their {@link Var}s when it runs
     * @param backward first derivatives; an upstream entry is null where nothing arrived
     * @param definition the same function of the same inputs in terms of primitives
     */
    public static Var[] record(String name, Var[] inputs, Tensor[] outputs, Reads reads, Backward backward,
            Function<Var[], Var[]> definition) {
        return Node.record(name, inputs, outputs, reads, (up, needed) -> {
            if (Recording.isOn()) {
                return throughDefinition(definition, inputs, up, needed);
            }
            Tensor[] upstream = new Tensor[up.length];
            for (int i = 0; i < up.length; i++) {
                upstream[i] = up[i] == null ? null : up[i].tensor();
            }
            Tensor[] g = backward.apply(upstream, needed);
            return Arrays.stream(g).map(t -> t == null ? null : Var.constant(t)).toArray(Var[]::new);
        });
    }

    private static Var[] throughDefinition(Function<Var[], Var[]> definition, Var[] inputs, Var[] up,
            boolean[] needed) {
        Var[] outputs = definition.apply(inputs);
        List<Integer> arrived = java.util.stream.IntStream.range(0, up.length).filter(i -> up[i] != null).boxed()
                .toList();
        // An input given twice gets its whole gradient once.
        List<Integer> wanted = java.util.stream.IntStream.range(0, needed.length)
                .filter(i -> needed[i] && Arrays.asList(inputs).indexOf(inputs[i]) == i).boxed().toList();
        List<Var> grads = Gradients.upTo(arrived.stream().map(i -> outputs[i]).toList(),
                arrived.stream().map(i -> up[i]).toList(), wanted.stream().map(i -> inputs[i]).toList(), true);
        Var[] result = new Var[inputs.length];
        for (int k = 0; k < wanted.size(); k++) {
            result[wanted.get(k)] = grads.get(k);
        }
        return result;
    }
}
