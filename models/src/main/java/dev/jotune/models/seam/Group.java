package dev.jotune.models.seam;

import java.util.List;
import java.util.Objects;

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

    /** What stands before the input of these rows at an embedding site, in its order. */
    public List<VirtualTokens> tokensAt(String site) {
        return hooks.stream().map(h -> h.virtualTokens().get(site)).filter(Objects::nonNull).toList();
    }

    /** Virtual tokens that stand before the input of these rows at an embedding site. */
    public long virtualTokens(String site) {
        return tokensAt(site).stream().mapToLong(VirtualTokens::count).sum();
    }

    /** Whether what stands before the input of these rows depends on it, see {@link VirtualTokens#readText}. */
    public boolean readsText(String site) {
        return tokensAt(site).stream().anyMatch(VirtualTokens::readText);
    }

    /** Positions taken by segments that precede the input of these rows at an embedding site. */
    public long segmentPositions(String site) {
        return hooks.stream().flatMap(h -> h.segments().stream()).mapToLong(s -> s.positions(site)).sum();
    }

    /** What the adapters of these rows add to an attention after all keys, in the order of application. */
    public List<AttentionStep> steps(AttentionSite site) {
        return hooks.stream().flatMap(h -> h.segments().stream()).flatMap(s -> s.step(site).stream()).toList();
    }

    /** Positions taken by segments that precede the text of these rows. */
    public long segmentPositions() {
        return hooks.stream().flatMap(h -> h.segments().stream()).mapToLong(SegmentSource::positions).sum();
    }
}
