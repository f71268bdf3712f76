package dev.jotune.autograd.optim;

import dev.jotune.autograd.Var;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SequencedMap;

/**
 * One parameter at one step.
 *
 * @param name      what its state is saved under; unique within a step
 * @param parameter overwritten by the optimiser
 * @param gradient  of the parameter's shape and backend; never overwritten, since gradients may share memory
 */
public record Trainable(String name, Tensor parameter, Tensor gradient) {

    /**
     * @throws IllegalArgumentException if gradient and parameter do not fit
     */
    public Trainable {
        if (!Arrays.equals(parameter.shape(), gradient.shape())) {
            throw new IllegalArgumentException("the gradient of '" + name + "' has shape "
                    + Arrays.toString(gradient.shape()) + ", the parameter " + Arrays.toString(parameter.shape())
                    + ". Pass the gradient of this very parameter.");
        }
        if (parameter.backend() != gradient.backend()) {
            throw new IllegalArgumentException("the gradient of '" + name + "' is on '" + gradient.backend().name()
                    + "', the parameter on '" + parameter.backend().name() + "'. Move one with to(backend).");
        }
    }

    /** The same parameter with another gradient. */
    public Trainable withGradient(Tensor other) {
        return new Trainable(name, parameter, other);
    }

    /**
     * Pairs named parameters with their gradients, as {@code Gradients.of(loss, List.copyOf(parameters.values()))}
     * returns them.
     */
    public static List<Trainable> of(SequencedMap<String, Var> parameters, List<Tensor> gradients) {
        if (parameters.size() != gradients.size()) {
            throw new IllegalArgumentException(gradients.size() + " gradients do not pair with " + parameters.size()
                    + " parameters. Pass one for each, in the same order.");
        }
        List<Trainable> all = new ArrayList<>();
        parameters.forEach((name, v) -> all.add(new Trainable(name, v.tensor(), gradients.get(all.size()))));
        return all;
    }
}
