package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.SegmentSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The segments of prefix tuning, cut out of P.
 *
 * @param table gives {@code P [n, 2 L G D]}
 * @param n virtual tokens
 * @param columns where P has the keys of each attention; -1 for one without a prefix
 * @param moved the only input whose positions begin at n; absent: every one
 */
record PrefixSegments(Table table, int n, long[] columns, Optional<String> moved) implements SegmentSource {
    @Override
    public List<List<Attention.Segment>> segments(List<AttentionSite> sites, Pass pass) {
        Var p = table.value();
        List<List<Attention.Segment>> out = new ArrayList<>();
        for (int i = 0; i < columns.length; i++) {
            long at = columns[i];
            AttentionSite s = sites.get(i);
            out.add(at < 0 ? List.of()
                    : List.of(new Attention.Segment(part(p, at, s), part(p, at + width(s), s), Attention.Visible.ALL)));
        }
        return out;
    }

    @Override
    public boolean isFixed() {
        return true;
    }

    /** Columns {@code at .. at + G D} of P as {@code [1, G, n, D]}. */
    private Var part(Var p, long at, AttentionSite s) {
        return p.slice(1, at, at + width(s)).reshape(1, n, s.groups(), s.headDim()).transpose(1, 2);
    }

    @Override
    public long positions() {
        return n;
    }

    @Override
    public long positions(String site) {
        return moved.isEmpty() || moved.get().equals(site) ? n : 0;
    }

    /** G D: the numbers in a key. */
    static long width(AttentionSite s) {
        return (long) s.groups() * s.headDim();
    }

    /** Gives {@code P [n, 2 L G D]}. */
    interface Table {
        Var value();
    }
}
