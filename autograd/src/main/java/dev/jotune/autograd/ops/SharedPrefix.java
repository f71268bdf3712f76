package dev.jotune.autograd.ops;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention.Noise;
import dev.jotune.autograd.ops.Attention.Result;
import dev.jotune.autograd.ops.Attention.Rows;
import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.Precision;
import java.util.ArrayList;
import java.util.List;

/**
 * Attention where rows have runs of keys in common: Hydragen (Juravsky et al., arXiv 2402.05099). The keys that rows do not
 * share are attended to as ever. A shared run is attended to once, by the queries {@code [b, H, T, D]} of its b rows as if
 * they were the text {@code [1, H, b T, D]}. Both give (o, lse), which merge as all segments do, so the result is that of
 * the concatenated keys. Runs of neighbouring rows are one level of a tree of prefixes; a level is merged at once.
 */
final class SharedPrefix {
    private SharedPrefix() {}

    static Result attend(Var query, List<Segment> segments, double scale, double softcap, Precision precision) {
        List<Segment> own = segments.stream().filter(s -> s.rows().isEmpty()).toList();
        Result all = own.isEmpty() ? null : Attention.attend(query, own, scale, softcap, Noise.NONE, precision);
        for (List<Segment> level : levels(segments)) {
            Result one = level(query, level, scale, softcap, precision);
            all = all == null ? one : AttentionDefinition.merge(all, one);
        }
        return all;
    }

    /** The shared runs, such that within a level rows ascend and no row has two. */
    private static List<List<Segment>> levels(List<Segment> segments) {
        List<List<Segment>> levels = new ArrayList<>();
        for (Segment s : segments) {
            if (s.rows().isEmpty()) {
                continue;
            }
            List<Segment> free = null;
            for (List<Segment> level : levels) {
                if (level.getLast().rows().get().last() <= s.rows().get().first()) {
                    free = level;
                    break;
                }
            }
            if (free == null) {
                free = new ArrayList<>();
                levels.add(free);
            }
            free.add(s);
        }
        return levels;
    }

    private static Result level(Var query, List<Segment> level, double scale, double softcap, Precision precision) {
        List<Var> out = new ArrayList<>();
        List<Var> lse = new ArrayList<>();
        long at = 0;
        for (Segment s : level) {
            Rows rows = s.rows().get();
            addNothing(query, s, at, rows.first(), out, lse);
            Result part = together(query.slice(0, rows.first(), rows.last()), s, scale, softcap, precision);
            out.add(part.out());
            lse.add(part.lse());
            at = rows.last();
        }
        addNothing(query, level.getFirst(), at, query.size(0), out, lse);
        return out.size() == 1 ? new Result(out.getFirst(), lse.getFirst())
                : new Result(Var.concat(0, out.toArray(Var[]::new)), Var.concat(0, lse.toArray(Var[]::new)));
    }

    private static Result together(Var query, Segment s, double scale, double softcap, Precision precision) {
        long rows = query.size(0);
        long heads = query.size(1);
        long time = query.size(2);
        Var asOne = query.transpose(0, 1).reshape(1, heads, rows * time, query.size(3));
        Result r = Attention.attend(asOne, List.of(new Segment(s.key(), s.value(), s.visible())), scale, softcap, Noise.NONE,
                precision);
        return new Result(r.out().reshape(heads, rows, time, s.value().size(3)).transpose(0, 1),
                r.lse().reshape(heads, rows, time).transpose(0, 1));
    }

    /** For rows without a run at this level: output 0 and log-sum-exp -infinity. */
    private static void addNothing(Var query, Segment s, long from, long to, List<Var> out, List<Var> lse) {
        if (from < to) {
            Tensor q = query.tensor();
            out.add(Var.constant(Tensor.zeros(q.backend(), q.dtype(), to - from, q.size(1), q.size(2), s.value().size(3))));
            lse.add(Var.constant(Tensor.full(q.backend(), q.dtype(), Double.NEGATIVE_INFINITY, to - from, q.size(1), q.size(2))));
        }
    }
}
