package dev.jotune.models.seam;

import dev.jotune.autograd.Var;
import java.util.function.Function;

/** Seam 4: embedding rows before the input's own. */
public interface VirtualTokens {
    /** How many rows. */
    long count();

    /** The rows, {@code [count, C]}. */
    Var rows(Pass pass);

    /** The first {@code count} rows of a table {@code [at least count, C]} that is computed for every pass. */
    static VirtualTokens of(long count, Function<Pass, Var> table) {
        return new VirtualTokens() {
            @Override
            public long count() {
                return count;
            }

            @Override
            public Var rows(Pass pass) {
                Var all = table.apply(pass);
                return all.size(0) == count ? all : all.slice(0, 0, count);
            }
        };
    }
}
