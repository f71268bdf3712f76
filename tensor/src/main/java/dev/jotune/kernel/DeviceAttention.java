package dev.jotune.kernel;

import dev.jotune.kernel.AttentionSources.Kind;
import dev.jotune.kernel.AttentionSources.Tile;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.kernels.AttentionKernel;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Attention over segments on a device that runs {@link KernelSource}s: one launch a segment forward, one for the queries' gradient
 * and one for the keys' and values'. Arithmetic is F32; keys, values and biases may be stored in F16 or BF16.
 *
 * <p>Results do not depend on the schedule: every number is written by one group, and sums over groups are added in a fixed order.
 */
final class DeviceAttention implements AttentionKernel {
    /** Fewer groups than this for each unit of the device are worth dividing further. */
    private static final int GROUPS_PER_UNIT = 4;
    /** Positions are 32-bit numbers, and sums of a few of them too. */
    private static final long MAX_LENGTH = 1L << 28;
    /** Queries of all heads of a group up to which a tile of few rows is used. */
    private static final int FEW = Tile.FEW.rows();

    private static final Expr X = Expr.input(0);
    private static final Expr NOTHING = Expr.of(Double.NEGATIVE_INFINITY);
    private static final Program MERGED_LSE = Program.of(mergedLse(X));
    private static final Program MERGED_OUT = Program.of(mergedOut());

    private final DeviceBackend device;

    DeviceAttention(DeviceBackend device) {
        this.device = device;
    }

    private static Expr weights(Expr lse) {
        Expr max = lse.rowMax();
        return lse.minus(Expr.select(max.gt(NOTHING), max, Expr.of(0))).exp();
    }

    /** {@code log sum_s e^lse_s}, of parts in a row. */
    private static Expr mergedLse(Expr lse) {
        return Expr.select(lse.rowMax().gt(NOTHING), weights(lse).rowSum().log().plus(lse.rowMax()), NOTHING);
    }

    /** {@code sum_s e^(lse_s - lse) o_s}, of parts in a row. */
    private static Expr mergedOut() {
        Expr w = weights(Expr.input(1));
        Expr total = w.rowSum();
        return w.times(X).rowSum().over(Expr.select(total.gt(Expr.of(0)), total, Expr.of(1)));
    }

    @Override
    public boolean supports(Problem p) {
        Tensor q = p.query();
        boolean ok = q.dtype() == DType.F32 && q.size(3) <= AttentionSources.MAX_WIDTH;
        for (Segment s : p.segments()) {
            long share = q.size(1) / s.key().size(1);
            ok &= stored(s.key()) && stored(s.value()) && s.value().size(3) <= AttentionSources.MAX_WIDTH && share * q.size(2) <= MAX_LENGTH
                    && s.key().size(2) <= MAX_LENGTH && s.mask().bias().map(DeviceAttention::stored).orElse(true)
                    && s.mask().keyMask().map(m -> m.dtype() == DType.BOOL).orElse(true);
        }
        return ok;
    }

    private static boolean stored(Tensor t) {
        return t.dtype() == DType.F32 || t.dtype() == DType.BF16 || t.dtype() == DType.F16;
    }

    @Override
    public void forward(Problem p, Tensor out, Tensor lse) {
        if (lse.numel() == 0) {
            return;
        }
        Tensor q = unit(p.query());
        Tile tile = rows(p) <= FEW ? Tile.FEW : Tile.WIDE;
        List<Integer> parts = new ArrayList<>();
        for (Segment s : p.segments()) {
            parts.add(parts(tiles(rows(p), tile.rows()) * s.key().size(1) * q.size(0), tiles(s.key().size(2), tile.cols())));
        }
        int all = parts.stream().mapToInt(Integer::intValue).sum();
        boolean together = all == parts.size();
        Tensor outs = together ? out.unsqueeze(0) : empty(all, out.size(0), out.size(1), out.size(2), out.size(3));
        Tensor sums = together ? lse.unsqueeze(0) : empty(all, lse.size(0), lse.size(1), lse.size(2));
        int done = 0;
        for (int i = 0; i < parts.size(); i++) {
            Tensor to = together ? outs : outs.slice(0, done, done + parts.get(i));
            Tensor sumsTo = together ? sums : sums.slice(0, done, done + parts.get(i));
            forward(p, q, p.segments().get(i), tile, parts.get(i), to, sumsTo, !together || i == 0);
            done += parts.get(i);
        }
        if (!together) {
            device.map(MERGED_LSE, new Tensor[] {sums.permute(1, 2, 3, 0)}, new Tensor[] {lse.unsqueeze(3)});
            device.map(MERGED_OUT, new Tensor[] {outs.permute(1, 2, 3, 4, 0), sums.unsqueeze(4).permute(1, 2, 3, 4, 0)},
                    new Tensor[] {out.unsqueeze(4)});
            outs.storage().free();
            sums.storage().free();
        }
    }

    private void forward(Problem p, Tensor q, Segment s, Tile tile, int parts, Tensor out, Tensor lse, boolean first) {
        Operands o = new Operands(p, q, s);
        List<Object> arguments = o.inputs();
        arguments.addAll(List.of(out, lse));
        o.sizes(arguments);
        Operands.strides(arguments, out, 0, 1, 2, 3);
        arguments.addAll(List.of(first ? 1 : 0, parts));
        long groups = tiles(rows(p), tile.rows()) * o.groups() * q.size(0) * parts;
        device.launch(AttentionSources.forward(o.kind(tile)), groups, arguments.toArray());
    }

    @Override
    public void backward(Problem p, Tensor out, Tensor lse, Tensor dOut, Optional<Tensor> dLse, Optional<Tensor> dQuery,
            List<Optional<Tensor>> dKey, List<Optional<Tensor>> dValue) {
        Tensor q = unit(p.query());
        // The kernels walk dOut with the strides that they are given for it, never out itself.
        Tensor up = unit(dOut);
        Tensor delta = AttentionDelta.of(device, out, lse, up, dLse);
        for (int i = 0; i < p.segments().size(); i++) {
            Operands o = new Operands(p, q, p.segments().get(i));
            if (dQuery.isPresent() && lse.numel() > 0) {
                List<Object> arguments = o.inputs();
                arguments.addAll(List.of(up, lse, delta, dQuery.get()));
                o.sizes(arguments);
                Operands.strides(arguments, up, 0, 1, 2);
                Operands.strides(arguments, dQuery.get(), 0, 1, 2);
                arguments.add(i == 0 ? 1 : 0);
                long groups = tiles(rows(p), Tile.WIDE.rows()) * o.groups() * q.size(0);
                device.launch(AttentionSources.query(o.kind(Tile.WIDE)), groups, arguments.toArray());
            }
            boolean both = o.kind(Tile.WIDE).pad() <= AttentionSources.BOTH_WIDTH;
            if (both) {
                keys(p, o, up, lse, delta, dKey.get(i), dValue.get(i));
            } else {
                keys(p, o, up, lse, delta, dKey.get(i), Optional.empty());
                keys(p, o, up, lse, delta, Optional.empty(), dValue.get(i));
            }
        }
        delta.storage().free();
    }

    /** The gradients of one segment that are asked for. */
    private void keys(Problem p, Operands o, Tensor up, Tensor lse, Tensor delta, Optional<Tensor> dKey, Optional<Tensor> dValue) {
        long keys = o.key().size(2);
        if (dKey.isEmpty() && dValue.isEmpty() || keys == 0 || p.query().size(0) == 0) {
            return;
        }
        boolean shared = o.key().size(0) == 1;
        long batch = p.query().size(0);
        long groups = tiles(keys, Tile.WIDE.rows()) * o.groups();
        int parts = shared ? parts(groups, tiles(rows(p), Tile.WIDE.cols()) * batch) : (int) batch;
        boolean divided = shared && parts > 1;
        Optional<Tensor> toKey = divided ? dKey.map(t -> empty(parts, t.size(1), t.size(2), t.size(3))) : dKey;
        Optional<Tensor> toValue = divided ? dValue.map(t -> empty(parts, t.size(1), t.size(2), t.size(3))) : dValue;
        List<Object> arguments = o.inputs();
        arguments.addAll(List.of(up, lse, delta));
        toKey.ifPresent(arguments::add);
        toValue.ifPresent(arguments::add);
        o.sizes(arguments);
        Operands.strides(arguments, up, 0, 1, 2);
        toKey.ifPresent(t -> Operands.strides(arguments, t, 0, 1, 2));
        toValue.ifPresent(t -> Operands.strides(arguments, t, 0, 1, 2));
        arguments.addAll(List.of(shared ? 1 : 0, parts));
        KernelSource kernel = AttentionSources.keys(o.kind(Tile.WIDE), dKey.isPresent(), dValue.isPresent());
        device.launch(kernel, groups * parts, arguments.toArray());
        if (divided) {
            toKey.ifPresent(t -> add(t, dKey.get()));
            toValue.ifPresent(t -> add(t, dValue.get()));
        }
    }

    private void add(Tensor parts, Tensor sum) {
        device.reduce(Reduction.SUM, parts, sum);
        parts.storage().free();
    }

    private Tensor empty(long... shape) {
        return Tensor.empty(device, DType.F32, shape);
    }

    /** Into how many parts the work of each group is divided, so that the device has enough of them. */
    private int parts(long groups, long tiles) {
        long wanted = (long) device.units() * GROUPS_PER_UNIT / Math.max(1, groups);
        return (int) Math.clamp(wanted, 1, Math.max(1, tiles));
    }

    /** Queries of all heads that read one key/value head. */
    private static long rows(Problem p) {
        return p.query().size(1) / p.segments().getFirst().key().size(1) * p.query().size(2);
    }

    private static long tiles(long n, int each) {
        return (n + each - 1) / each;
    }

    /** Features must be neighbours. */
    private static Tensor unit(Tensor t) {
        return t.stride(3) == 1 || t.size(3) == 1 ? t : t.copy();
    }

    /** What every kernel of a segment is called with. */
    private record Operands(Problem problem, Tensor query, Tensor key, Tensor value, Mask mask) {
        Operands(Problem problem, Tensor query, Segment s) {
            this(problem, query, unit(s.key()), unit(s.value()), s.mask());
        }

        long groups() {
            return key.size(1);
        }

        Kind kind(Tile tile) {
            int width = (int) Math.max(key.size(3), value.size(3));
            return new Kind(tile, tile.pad(width), query.dtype(), key.dtype(), value.dtype(),
                    mask.bias().map(Tensor::dtype), mask.keyMask().isPresent());
        }

        List<Object> inputs() {
            List<Object> all = new ArrayList<>(List.of(query, key, value));
            mask.keyMask().ifPresent(all::add);
            mask.bias().ifPresent(all::add);
            return all;
        }

        /**
         * What a query sees becomes {@code t + behind < s <= t + ahead}, both limits cut to what can matter: then they and their
         * sums with positions are 32-bit numbers.
         */
        void sizes(List<Object> arguments) {
            long times = query.size(2);
            long keys = key.size(2);
            long ahead = mask.causal() ? Math.clamp(mask.offset(), -times, keys) : keys;
            long behind = mask.window() > 0 ? Math.clamp(mask.offset() - mask.window(), -times - 1, keys) : -times - 1;
            arguments.addAll(List.of(query.size(0), query.size(1), groups(), times, keys, query.size(3), value.size(3), ahead, behind,
                    problem.scale(), problem.softcap()));
            strides(arguments, query, 0, 1, 2);
            strides(arguments, key, 0, 1, 2);
            strides(arguments, value, 0, 1, 2);
            mask.keyMask().ifPresent(m -> strides(arguments, m, 0, 1));
            mask.bias().ifPresent(b -> strides(arguments, b, 0, 1, 2, 3));
        }

        /** Strides in elements; 0 where one element serves for all, unless it is the only one in the result as well. */
        static void strides(List<Object> arguments, Tensor t, int... axes) {
            for (int axis : axes) {
                arguments.add(t.size(axis) == 1 ? 0L : t.stride(axis));
            }
        }
    }
}
