package dev.jotune.models.seam;

import dev.jotune.autograd.Var;
import java.util.Optional;
import java.util.function.Function;

/**
 * Seam 4: embedding rows before the input's own. They may depend on the text behind them, each row of the batch having its
 * own, and may be made anew before every block.
 */
public interface VirtualTokens {
    /** How many rows. */
    long count();

    /**
     * The rows, {@code [count, C]} for the whole group or {@code [B, count, C]}, before the first pass over a text; the cache
     * holds them afterwards.
     *
     * @param text the embedded text behind them
     * @param pass the pass of the adapter's group alone
     */
    Var rows(Text text, Pass pass);

    /**
     * What takes their place before block {@code layer}, 1 or more, of the shapes of {@link #rows}; empty: what the blocks
     * before have made of them.
     *
     * @param text the states of the text that this block reads
     */
    default Optional<Var> rows(int layer, Text text, Pass pass) {
        return Optional.empty();
    }

    /** Whether the rows depend on the text behind them. */
    default boolean readText() {
        return false;
    }

    /** Whether there are {@link #rows(int, Text, Pass)}, for which a model must have a place. */
    default boolean areLayered() {
        return false;
    }

    /**
     * The text that virtual tokens stand before.
     *
     * @param states {@code [B, T, C]}, the rows of the adapter's group
     * @param instruction {@code [B, T]}, 1 at the tokens that the rows may depend on and 0 elsewhere: what is known before
     *     anything is written
     */
    record Text(Var states, Var instruction) {}

    /** The first {@code count} rows of a table {@code [at least count, C]} that is computed for every pass. */
    static VirtualTokens of(long count, Function<Pass, Var> table) {
        return new VirtualTokens() {
            @Override
            public long count() {
                return count;
            }

            @Override
            public Var rows(Text text, Pass pass) {
                Var all = table.apply(pass);
                return all.size(0) == count ? all : all.slice(0, 0, count);
            }
        };
    }
}
