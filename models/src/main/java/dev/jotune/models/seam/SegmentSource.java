package dev.jotune.models.seam;

import dev.jotune.autograd.ops.Attention;
import java.util.List;

/** Seam 2: adds key/value segments to attentions, seen by every query, before the text's own keys. */
public interface SegmentSource {
    /**
     * The segments for one attention, with batch size 1 (shared by the rows of the group).
     *
     * @param site which attention asks
     */
    List<Attention.Segment> segments(AttentionSite site, Pass pass);

    /** How far the text's positions move: the number of positions that the segments stand for. */
    long positions();
}
