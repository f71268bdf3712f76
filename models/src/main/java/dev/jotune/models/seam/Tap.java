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
     * @param adapter what else the tap's adapter hangs on the model
     */
    record At(Pass pass, Optional<Var> read, Hooks adapter) {
        /**
         * Where the adapter's own virtual tokens of an embedding site stand among the positions of an activation behind it; empty
         * where it has none, or where a cache holds them.
         */
        public Optional<Run> ownTokens(String site) {
            Group group = pass.groups().getFirst();
            long first = pass.before() - group.virtualTokens(site);
            for (Hooks h : group.hooks()) {
                VirtualTokens tokens = h.virtualTokens().get(site);
                if (h == adapter) {
                    return tokens == null || pass.before() == 0 ? Optional.empty() : Optional.of(new Run(first, first + tokens.count()));
                }
                first += tokens == null ? 0 : tokens.count();
            }
            throw new IllegalStateException("the adapter '" + adapter.name() + "' is not among those of its own rows");
        }
    }

    /** Positions {@code [from, to)}. */
    record Run(long from, long to) {}

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
