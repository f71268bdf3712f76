package dev.jotune.models.seam;

import dev.jotune.autograd.ops.Attention;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Seam 2: adds key/value segments to attentions, seen by every query, before the text's own keys; or steps after them. */
public interface SegmentSource {
    /**
     * The segments for each attention, with batch size 1 (shared by the rows of the group) or that of the group (each row
     * its own). Asked once a pass, so what all attentions have in common is computed once.
     *
     * @param sites the model's attentions
     * @param pass the pass of this source's group alone
     * @return a list for each of {@code sites}, in their order
     */
    List<List<Attention.Segment>> segments(List<AttentionSite> sites, Pass pass);

    /** Whether the segments are the same at every pass until the adapter is trained on, so that they may be made once for many passes. */
    default boolean isFixed() {
        return false;
    }

    /** What this source adds to an attention that is no run of keys merged with the others; by default nothing. */
    default Optional<AttentionStep> step(AttentionSite site) {
        return Optional.empty();
    }

    /** A source of steps alone, which stand for no positions. */
    static SegmentSource ofSteps(Map<AttentionSite, AttentionStep> steps) {
        Map<AttentionSite, AttentionStep> own = Map.copyOf(steps);
        return new SegmentSource() {
            @Override
            public List<List<Attention.Segment>> segments(List<AttentionSite> sites, Pass pass) {
                return sites.stream().map(s -> List.<Attention.Segment>of()).toList();
            }

            @Override
            public Optional<AttentionStep> step(AttentionSite site) {
                return Optional.ofNullable(own.get(site));
            }

            @Override
            public long positions() {
                return 0;
            }
        };
    }

    /** How far the text's positions move: the number of positions that the segments stand for. */
    long positions();

    /**
     * How far the input at one embedding site moves, where a model has several. By default as far as any; a source that
     * serves only one stack moves that one.
     */
    default long positions(String site) {
        return positions();
    }
}
