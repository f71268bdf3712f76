package dev.jotune.models.seam;

import java.util.List;
import java.util.Optional;

/**
 * An activation that taps may hold.
 *
 * <p>Names follow one rule for all families: {@code [tower.]embed}, {@code [tower.]layers.N.[part]}, {@code [tower.]final}, where
 * {@code tower} is {@code encoder}, {@code decoder}, {@code text} or {@code vision} in models that have several, and
 * {@code layers.N} alone is the stream as block N leaves it. What a part adds to the stream is {@code part.out}; its taps see
 * what the part read as well.
 *
 * @param kind which sizes stand before the features
 * @param features the sizes behind them: C, or heads and the features of a head
 * @param reader the linear layer that reads this activation and nothing else, its features flattened, if there is one
 */
public record TapSite(String name, Kind kind, List<Long> features, Optional<LinearLayer> reader) {
    /** What an activation has a value for. */
    public enum Kind {
        /** {@code [B, T, features]}; with further sizes between where a row is more than one sequence. */
        TOKENS,
        /** {@code [B, features]}: one value for a row, whatever its length. */
        ROWS,
        /** Shown only: what a tap returns is not used. */
        SHOWN
    }

    /** The last size. */
    public long width() {
        return features.getLast();
    }
}
