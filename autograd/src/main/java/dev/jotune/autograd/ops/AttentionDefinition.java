package dev.jotune.autograd.ops;

import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention.Noise;
import dev.jotune.autograd.ops.Attention.Result;
import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import java.util.Arrays;
import java.util.List;

/** Attention over segments in terms of primitives: one segment at a time, then merged. */
public final class AttentionDefinition {
    private static final Expr X = Expr.input(0);
    private static final Expr MINUS_INFINITY = Expr.of(Double.NEGATIVE_INFINITY);

    /** The largest score, or 0 where nothing is visible, so that exp(-infinity - it) is 0 and not NaN. */
    private static Expr safeMax() {
        Expr max = X.rowMax().detach();
        return Expr.select(max.gt(MINUS_INFINITY), max, Expr.of(0));
    }

    private static final Expr WEIGHTS = X.minus(safeMax()).exp();
    private static final Expr TOTAL = WEIGHTS.rowSum();
    private static final Expr SAFE_TOTAL = Expr.select(TOTAL.gt(Expr.of(0)), TOTAL, Expr.of(1));
    private static final MapOp PROBABILITIES = MapOp.of("segment_softmax", 1, WEIGHTS.over(SAFE_TOTAL));
    private static final MapOp LSE = MapOp.of("segment_lse", 1,
            Expr.select(TOTAL.gt(Expr.of(0)), safeMax().plus(SAFE_TOTAL.log()), MINUS_INFINITY));
    private static final MapOp CAP = MapOp.of("softcap", 2, X.over(Expr.input(1)).tanh().times(Expr.input(1)));
    private static final MapOp MASKED = MapOp.of("mask", 2, Expr.select(Expr.input(1), X, MINUS_INFINITY));
    private static final MapOp MERGED_LSE = mergedLse();
    private static final MapOp SHARE = share();
    /** From the noise of a segment to that of the next. */
    private static final long NEXT = 0x9e3779b97f4a7c15L;

    /** Stands for a mass of 0 when logarithms are compared: far below any sum of exponentials, its inverse finite in F32. */
    private static final double LEAST_MASS = 1e-30;
    private static final MapOp LSE_WITH_MASS = lseWithMass();
    private static final MapOp OUT_WITH_SUMS = outWithSums();

    private AttentionDefinition() {}

    /** The exponent that both sides are divided by; results do not depend on it. */
    private static Expr reference(Expr lse, Expr mass) {
        return lse.max(mass.max(Expr.of(LEAST_MASS)).log()).detach();
    }

    private static Expr total(Expr lse, Expr mass) {
        Expr r = reference(lse, mass);
        Expr total = lse.minus(r).exp().plus(r.neg().exp().times(mass));
        // A query that sees nothing, joined to no mass.
        return Expr.select(total.gt(Expr.of(0)), total, Expr.of(1));
    }

    private static MapOp lseWithMass() {
        Expr mass = Expr.input(1);
        Expr some = X.gt(MINUS_INFINITY).max(mass.gt(Expr.of(0)));
        return MapOp.of("lse_with_mass", 2, Expr.select(some, reference(X, mass).plus(total(X, mass).log()), MINUS_INFINITY));
    }

    private static MapOp outWithSums() {
        Expr lse = Expr.rowInput(1);
        Expr mass = Expr.rowInput(3);
        Expr r = reference(lse, mass);
        Expr sum = lse.minus(r).exp().times(X).plus(r.neg().exp().times(Expr.input(2)));
        return MapOp.of("out_with_sums", 4, sum.over(total(lse, mass)));
    }

    /** e^(a - lse), 0 where a is -infinity: there lse may be too, and the difference must not become NaN. */
    private static MapOp share() {
        Expr some = X.gt(MINUS_INFINITY);
        Expr difference = Expr.select(some, X.minus(Expr.input(1)), Expr.of(0));
        return MapOp.of("segment_share", 2, Expr.select(some, difference.exp(), Expr.of(0)));
    }

    /** log(e^a + e^b), -infinity where both are. */
    private static MapOp mergedLse() {
        Expr b = Expr.input(1);
        Expr max = X.max(b).detach();
        Expr safe = Expr.select(max.gt(MINUS_INFINITY), max, Expr.of(0));
        Expr total = X.minus(safe).exp().plus(b.minus(safe).exp());
        Expr some = Expr.select(total.gt(Expr.of(0)), total, Expr.of(1));
        return MapOp.of("merge_lse", 2, Expr.select(total.gt(Expr.of(0)), safe.plus(some.log()), MINUS_INFINITY));
    }

    /** The definition of {@link Attention#attend} without noise. */
    public static Result attend(Var query, List<Segment> segments, double scale, double softcap) {
        return attend(query, segments, scale, softcap, Noise.NONE);
    }

    /** The definition of {@link Attention#attend}. */
    public static Result attend(Var query, List<Segment> segments, double scale, double softcap, Noise noise) {
        Result all = null;
        for (int i = 0; i < segments.size(); i++) {
            // A key's share of all segments is its share of its own times a factor, so dropping it here drops it there.
            Result one = segment(query, segments.get(i), scale, softcap, new Noise(noise.p(), noise.seed(), noise.stream() + i * NEXT));
            all = all == null ? one : merge(all, one);
        }
        return all;
    }

    /** {@code lse = log(e^lse1 + e^lse2)}, {@code o = e^(lse1 - lse) o1 + e^(lse2 - lse) o2}. */
    public static Result merge(Result a, Result b) {
        Var lse = MERGED_LSE.apply(a.lse(), b.lse());
        return new Result(a.out().mul(column(SHARE.apply(a.lse(), lse)))
                .add(b.out().mul(column(SHARE.apply(b.lse(), lse)))), lse);
    }

    /**
     * Joins to a pair (o, lse) keys that are known by their sums alone: {@code o = (e^lse1 o1 + N) / (e^lse1 + c)},
     * {@code lse = log(e^lse1 + c)}. Both sides are divided by the larger of e^lse1 and c, so neither overflows.
     *
     * @param sum N, weights times values summed, {@code [B, H, T, Dv]}
     * @param mass c, weights summed, {@code [B, H, T, 1]}, not negative; where it is 0 and N is too, the pair stays as it is
     */
    public static Result withSums(Result a, Var sum, Var mass) {
        Var lse = LSE_WITH_MASS.apply(column(a.lse()), mass).reshape(a.lse().shape());
        return new Result(OUT_WITH_SUMS.apply(a.out(), column(a.lse()), sum, mass), lse);
    }

    private static Var column(Var v) {
        return v.reshape(v.size(0), v.size(1), v.size(2), 1);
    }

    private static Result segment(Var query, Segment s, double scale, double softcap, Noise noise) {
        long batch = query.size(0);
        long heads = query.size(1);
        long time = query.size(2);
        long groups = s.key().size(1);
        long keys = s.key().size(2);
        if (keys == 0) {
            return nothing(query, s);
        }
        Var scores = scores(query, s, scale, softcap);
        Var v = s.value().reshape(s.value().size(0), groups, 1, keys, s.value().size(3));
        Var p = Dropout.apply(PROBABILITIES.apply(scores), noise.p(), noise.seed(), noise.stream()).reshape(batch, groups, heads / groups, time, keys);
        Var out = p.matmul(v).reshape(batch, heads, time, s.value().size(3));
        return new Result(out, LSE.apply(scores).reshape(batch, heads, time));
    }

    /** The scores {@code [B, H, T, S]} of a segment, -infinity where a query must not look. */
    private static Var scores(Var query, Segment s, double scale, double softcap) {
        long groups = s.key().size(1);
        long keys = s.key().size(2);
        // Query heads that share a key/value head become one axis: [B, G, H / G, T, D] against [B or 1, G, 1, D, S].
        Var q = query.reshape(query.size(0), groups, query.size(1) / groups, query.size(2), query.size(3));
        Var k = s.key().reshape(s.key().size(0), groups, 1, keys, query.size(3));
        Var scores = q.matmul(k.transpose(-1, -2)).mul(scale).reshape(query.size(0), query.size(1), query.size(2), keys);
        if (softcap > 0) {
            scores = CAP.apply(scores, scores.scalarLike(softcap));
        }
        if (s.visible().bias().isPresent()) {
            scores = scores.add(s.visible().bias().get());
        }
        return masked(onlyFor(scores, s), s.visible(), query.size(2), keys);
    }

    private static Var onlyFor(Var scores, Segment s) {
        if (s.rows().isEmpty()) {
            return scores;
        }
        boolean[] see = new boolean[Math.toIntExact(scores.size(0))];
        Arrays.fill(see, (int) s.rows().get().first(), (int) s.rows().get().last(), true);
        return MASKED.apply(scores, Var.constant(Tensor.of(scores.backend(), see, see.length, 1, 1, 1)));
    }

    /**
     * The probabilities that {@link Attention#attend} mixes the values with, {@code e^(score - lse)}, over the keys of all
     * segments in order; 0 for a query that sees nothing.
     *
     * @param lse the log-sum-exp that attend gave, {@code [B, H, T]}
     * @return {@code [B, H, T, S of all segments]}
     */
    public static Var probabilities(Var query, List<Segment> segments, Var lse, double scale, double softcap) {
        return Var.concat(3, segments.stream().filter(s -> s.key().size(2) > 0)
                .map(s -> SHARE.apply(scores(query, s, scale, softcap), column(lse))).toArray(Var[]::new));
    }

    private static Result nothing(Var query, Segment s) {
        Tensor q = query.tensor();
        return new Result(
                Var.constant(Tensor.zeros(q.backend(), q.dtype(), q.size(0), q.size(1), q.size(2), s.value().size(3))),
                Var.constant(Tensor.full(q.backend(), q.dtype(), Double.NEGATIVE_INFINITY, q.size(0), q.size(1),
                q.size(2))));
    }

    private static Var masked(Var scores, Visible visible, long time, long keys) {
        Var result = scores;
        if (visible.causal() || visible.window() > 0) {
            boolean[] see = new boolean[Math.toIntExact(time * keys)];
            for (int t = 0; t < time; t++) {
                for (int k = 0; k < keys; k++) {
                    long last = t + visible.offset();
                    see[(int) (t * keys + k)] = (!visible.causal() || k <= last)
                            && (visible.window() <= 0 || k > last - visible.window());
                }
            }
            result = MASKED.apply(result, Var.constant(Tensor.of(scores.backend(), see, 1, 1, time, keys)));
        }
        if (visible.keyMask().isPresent()) {
            Tensor m = visible.keyMask().get();
            result = MASKED.apply(result, Var.constant(m.unsqueeze(1).unsqueeze(1)));
        }
        return result;
    }
}
