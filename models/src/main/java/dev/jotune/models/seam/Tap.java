package dev.jotune.models.seam;

import dev.jotune.autograd.Var;
import java.util.Optional;

/** Seam 3: reads or replaces a named activation. */
@FunctionalInterface
public interface Tap {
    /**
     * What else a tap sees.
     *
     * @param pass the pass of this adapter's group alone
     * @param read what the part read whose output the activation is; present at every {@code *.out}
     */
    record At(Pass pass, Optional<Var> read) {}

    /**
     * @param name one of {@link Seams#taps}
     * @param activation the rows of this adapter's group
     * @return the activation to go on with, of the same shape
     */
    Var apply(String name, Var activation, At at);

    /**
     * What this tap adds, where it does nothing else: {@code [features]}, flattened, the same at every token of every row.
     * Then merging folds it into the bias of the layer that reads the activation, {@code b' = b + W shift}.
     */
    default Optional<Var> shift() {
        return Optional.empty();
    }
}
