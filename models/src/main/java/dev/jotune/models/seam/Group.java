package dev.jotune.models.seam;

import java.util.List;

/**
 * Rows of a batch that run under the same adapters.
 *
 * @param rows row numbers, ascending; empty means all rows
 * @param hooks what is attached, in the order of application
 */
public record Group(List<Integer> rows, List<Hooks> hooks) {
    /** All rows under {@code hooks}. */
    public static Group all(List<Hooks> hooks) {
        return new Group(List.of(), List.copyOf(hooks));
    }

    /** Virtual tokens that precede the text of these rows. */
    public long virtualTokens() {
        return hooks.stream().flatMap(h -> h.virtualTokens().stream()).mapToLong(VirtualTokens::count).sum();
    }

    /** Positions taken by segments that precede the text of these rows. */
    public long segmentPositions() {
        return hooks.stream().flatMap(h -> h.segments().stream()).mapToLong(SegmentSource::positions).sum();
    }
}
