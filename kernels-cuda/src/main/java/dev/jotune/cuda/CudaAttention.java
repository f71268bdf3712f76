package dev.jotune.cuda;

import dev.jotune.cuda.AttentionKernels.Kind;
import dev.jotune.cuda.AttentionKernels.Tile;
import dev.jotune.cuda.AttentionOperands.Part;
import dev.jotune.kernel.AttentionDelta;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.AttentionKernel;
import dev.jotune.tensor.kernels.Precision;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Attention over segments on tensor cores, for queries in BF16 or F16, or for those in F32 where operands may be rounded
 * ({@link Precision#BF16}): products of 16-bit numbers, all sums and all exponentials in F32. Probabilities and their gradients are
 * rounded to 16 bits before the second product, as FlashAttention does. All else goes to the kernels that every device has, which
 * keep the accuracy of F32.
 *
 * <p>Results do not depend on the schedule: every number is written by one group, and sums over groups are added in a fixed order.
 */
final class CudaAttention implements AttentionKernel {
    /** Keys and values of the units that are worked on at once should stay in the second-level cache: 40 or 50 MB on the large chips. */
    private static final long SECTION_BYTES = 32L << 20;
    /** Positions are 32-bit numbers, and sums of a few of them too. */
    private static final long MAX_LENGTH = 1L << 28;
    /** Fewer rows than this of a unit leave much of a tile empty; then more heads share it. */
    static final long LONG = 128;
    /**
     * Shared keys from which the queries of a whole batch are put together: reading fewer of them for each row should cost no more
     * than the launch and the state that putting them together needs.
     */
    private static final long WORTH_SHARING = 256;
    /** Queries from which keys in F32 are rounded first: for fewer, reading them once as they are costs less. */
    private static final long WORTH_ROUNDING = 16;
    /** Tiles of keys below which dividing them further is not worth the state that each part writes. */
    private static final int LEAST_TILES = 4;
    private static final int GROUPS_PER_UNIT = 2;

    private final Backend device;
    private final int units;
    private final AttentionRung rung;
    private final Launcher launcher;
    private final CudaGroupAttention groups;
    private final AttentionKernel portable;

    /** How a kernel is enqueued. */
    @FunctionalInterface
    interface Launcher {
        void launch(CudaSource kernel, long x, long y, long z, Object... arguments);
    }

    /**
     * Attention on {@code device}.
     *
     * @param units multiprocessors
     * @param portable computes what this does not
     */
    CudaAttention(Backend device, int units, AttentionRung rung, Launcher launcher, AttentionKernel portable) {
        this.device = device;
        this.units = units;
        this.launcher = launcher;
        this.rung = rung;
        groups = new CudaGroupAttention(launcher);
        this.portable = portable;
    }

    @Override
    public boolean supports(Problem p) {
        return fits(p) || portable.supports(p);
    }

    /** Whether these kernels compute it: 16-bit operands, no bias, a scale that keeps the order of scores. */
    private boolean fits(Problem p) {
        Tensor q = p.query();
        boolean ok = rung != AttentionRung.PORTABLE && (AttentionOperands.isNarrow(q) || isWorthRounding(p)) && p.scale() > 0
                && q.size(3) <= AttentionKernels.MAX_WIDTH && q.numel() / q.size(3) <= MAX_LENGTH;
        for (Segment s : p.segments()) {
            ok &= isStored(s.key()) && isStored(s.value()) && s.value().size(3) <= AttentionKernels.MAX_WIDTH && s.key().size(2) <= MAX_LENGTH
                    && s.mask().keyMask().map(m -> m.dtype() == DType.BOOL).orElse(true) && s.mask().bias().isEmpty();
        }
        return ok;
    }

    /** Whether operands in F32 may be rounded, and are read often enough to pay for it. */
    private static boolean isWorthRounding(Problem p) {
        boolean stored = p.segments().stream().allMatch(s -> AttentionOperands.isNarrow(s.key()) && AttentionOperands.isNarrow(s.value()));
        return p.query().dtype() == DType.F32 && p.precision() == Precision.BF16 && (stored || p.query().size(2) >= WORTH_ROUNDING);
    }

    private static boolean isStored(Tensor t) {
        return t.dtype() == DType.F32 || AttentionOperands.isNarrow(t);
    }

    @Override
    public void forward(Problem p, Tensor out, Tensor lse) {
        if (!fits(p)) {
            portable.forward(p, out, lse);
        } else if (lse.numel() > 0) {
            try (AttentionOperands o = new AttentionOperands(device, p)) {
                Tensor to = o.result(out);
                forward(o, to, lse);
                o.deliver(to, out);
            }
        }
    }

    /** One launch over one or two segments, for the queries of one row of the batch or of all. */
    private record Step(List<Part> segments, boolean wholeBatch, Tile tile, long unitHeads, int parts) {}

    private void forward(AttentionOperands o, Tensor out, Tensor lse) {
        List<Part> some = some(o);
        if (rung == AttentionRung.GROUPS && groups.fitsForward(o, some)) {
            groups.forward(o, some, out, lse);
            return;
        }
        if (rung == AttentionRung.PLAIN && some.size() <= 2) {
            plain(o, some.isEmpty() ? List.of(nothing(o)) : some, out, lse);
            return;
        }
        List<Step> steps = steps(o);
        int states = steps.stream().mapToInt(Step::parts).sum();
        if (states == 1) {
            launch(o, steps.getFirst(), 0, lse, lse, out, lse);
            return;
        }
        // The last launch folds the others' states in, unless it has several itself: then one without keys does.
        boolean folds = steps.getLast().parts == 1;
        int kept = folds ? states - 1 : states;
        Tensor outs = o.temporary(Tensor.empty(device, DType.F32, kept, o.batch(), o.heads(), o.times(), o.valueWidth()));
        Tensor sums = o.temporary(Tensor.empty(device, DType.F32, kept, o.batch(), o.heads(), o.times()));
        int done = 0;
        for (Step step : folds ? steps.subList(0, steps.size() - 1) : steps) {
            launch(o, step, 0, sums, sums, outs.slice(0, done, done + step.parts), sums.slice(0, done, done + step.parts));
            done += step.parts;
        }
        launch(o, folds ? steps.getLast() : step(o, List.of(nothing(o)), false, true), kept, outs, sums, out, lse);
    }

    private static List<Part> some(AttentionOperands o) {
        return o.parts().stream().filter(s -> s.keys() > 0).toList();
    }

    private static Part nothing(AttentionOperands o) {
        Part p = o.parts().getFirst();
        return new Part(p.key().slice(2, 0, 0), p.value().slice(2, 0, 0), Mask.NONE);
    }

    /** What to launch: shared keys for all rows together where queries are few, the others two segments at a time. */
    private List<Step> steps(AttentionOperands o) {
        List<Part> own = new ArrayList<>();
        List<Step> steps = new ArrayList<>();
        boolean few = o.heads() / o.groups() * o.times() < LONG && o.batch() > 1;
        for (Part part : o.parts()) {
            if (few && part.isShared() && part.mask().keyMask().map(m -> m.size(0) == 1).orElse(true) && part.keys() >= WORTH_SHARING) {
                steps.add(step(o, List.of(part), true, false));
            } else if (part.keys() > 0) {
                own.add(part);
            }
        }
        for (int i = 0; i < own.size(); i += 2) {
            steps.add(step(o, own.subList(i, Math.min(i + 2, own.size())), false, false));
        }
        return steps.isEmpty() ? List.of(step(o, List.of(nothing(o)), false, true)) : steps;
    }

    private Step step(AttentionOperands o, List<Part> segments, boolean wholeBatch, boolean undivided) {
        long each = o.heads() / o.groups();
        long unitHeads = wholeBatch || o.times() < LONG ? each : 1;
        long rows = unitHeads * o.times() * (wholeBatch ? o.batch() : 1);
        Tile tile = AttentionKernels.forwardTile(width(o), rows);
        long groups = tiles(rows, tile.rows()) * o.heads() / unitHeads * (wholeBatch ? 1 : o.batch());
        long keyTiles = segments.stream().mapToLong(s -> tiles(s.keys(), tile.columns())).sum();
        int parts = undivided ? 1 : (int) Math.clamp((long) units * GROUPS_PER_UNIT / groups, 1, Math.max(1, keyTiles / LEAST_TILES));
        return new Step(segments, wholeBatch, tile, unitHeads, parts);
    }

    private void launch(AttentionOperands o, Step step, int states, Tensor stateOut, Tensor stateLse, Tensor out, Tensor lse) {
        List<Object> arguments = new ArrayList<>(List.of(o.query()));
        step.segments.forEach(s -> operands(s, step.segments, arguments));
        arguments.addAll(List.of(stateOut, stateLse, out, lse));
        long unitBatch = step.wholeBatch ? o.batch() : 1;
        long groupUnits = o.heads() / o.groups() / step.unitHeads;
        long own = o.heads() / step.unitHeads * (o.batch() / unitBatch);
        arguments.addAll(List.of(o.batch(), o.heads(), o.groups(), o.times(), o.width(), o.valueWidth(), unitBatch, step.unitHeads,
                step.parts, states, section(o, step.segments, groupUnits, own)));
        for (Part s : step.segments) {
            segment(o, s, isMasked(step.segments), arguments);
        }
        arguments.addAll(List.of(o.fold(), o.squash()));
        AttentionOperands.strides(arguments, o.query());
        arguments.add(out.rank() == 5 ? out.stride(0) : 0L);
        AttentionOperands.strides(arguments, out);
        long rows = unitBatch * step.unitHeads * o.times();
        long groups = tiles(rows, step.tile.rows()) * own * step.parts;
        Kind kind = kind(o, step.segments, out.dtype());
        launcher.launch(AttentionKernels.forward(step.tile, kind), groups, 1, 1, arguments.toArray());
    }

    private void plain(AttentionOperands o, List<Part> segments, Tensor out, Tensor lse) {
        List<Object> arguments = new ArrayList<>(List.of(o.query()));
        segments.forEach(s -> operands(s, segments, arguments));
        arguments.addAll(List.of(out, lse, o.batch(), o.heads(), o.groups(), o.times(), o.width(), o.valueWidth()));
        segments.forEach(s -> segment(o, s, isMasked(segments), arguments));
        arguments.addAll(List.of(o.fold(), o.squash()));
        AttentionOperands.strides(arguments, o.query());
        AttentionOperands.strides(arguments, out);
        launcher.launch(AttentionKernels.plain(kind(o, segments, out.dtype())),
                tiles(o.times(), AttentionKernels.PLAIN.rows()) * o.heads() * o.batch(), 1, 1, arguments.toArray());
    }

    private static void operands(Part s, List<Part> segments, List<Object> arguments) {
        arguments.addAll(List.of(s.key(), s.value()));
        mask(s, segments).ifPresent(arguments::add);
    }

    static boolean isMasked(List<Part> segments) {
        return segments.stream().anyMatch(s -> s.mask().keyMask().isPresent());
    }

    /** A segment's key mask; where only another has one, that one, which is not read. */
    static Optional<Tensor> mask(Part s, List<Part> segments) {
        return s.mask().keyMask().or(() -> segments.stream().flatMap(other -> other.mask().keyMask().stream()).findFirst());
    }

    private static void segment(AttentionOperands o, Part s, boolean masked, List<Object> arguments) {
        arguments.addAll(List.of(s.keys(), o.ahead(s), o.behind(s)));
        AttentionOperands.strides(arguments, s.key());
        AttentionOperands.strides(arguments, s.value());
        masks(s, masked, arguments);
    }

    private static void masks(Part s, boolean masked, List<Object> arguments) {
        if (masked) {
            arguments.add(s.mask().keyMask().isPresent() ? 1 : 0);
            arguments.addAll(s.mask().keyMask().map(CudaAttention::maskStrides).orElse(List.of(0L, 0L)));
        }
    }

    private static List<Long> maskStrides(Tensor mask) {
        return List.of(mask.size(0) == 1 ? 0L : mask.stride(0), mask.size(1) == 1 ? 0L : mask.stride(1));
    }

    /** How many of the units a section has, of which {@code each} read the same keys. */
    static long section(AttentionOperands o, List<Part> segments, long each, long units) {
        long bytes = segments.stream().mapToLong(Part::keys).sum() * (o.width() + o.valueWidth()) * 2;
        return Math.min(units, Math.max(1, SECTION_BYTES / Math.max(1, bytes)) * each);
    }

    static int width(AttentionOperands o) {
        return AttentionKernels.width(Math.max(o.width(), o.valueWidth()));
    }

    private static Kind kind(AttentionOperands o, List<Part> segments, DType out) {
        return new Kind(o.type(), width(o), segments.size(), o.isCapped(), isMasked(segments), out);
    }

    static long tiles(long n, int each) {
        return (n + each - 1) / each;
    }

    @Override
    public void backward(Problem p, Tensor out, Tensor lse, Tensor dOut, Optional<Tensor> dLse, Optional<Tensor> dQuery,
            List<Optional<Tensor>> dKey, List<Optional<Tensor>> dValue) {
        if (!fits(p)) {
            portable.backward(p, out, lse, dOut, dLse, dQuery, dKey, dValue);
            return;
        }
        try (AttentionOperands o = new AttentionOperands(device, p)) {
            Tensor up = o.operand(dOut);
            Tensor delta = o.temporary(AttentionDelta.of(device, out, lse, dOut, dLse));
            if (dQuery.isPresent() && lse.numel() > 0) {
                query(o, up, lse, delta, dQuery.get());
            }
            for (int i = 0; i < dKey.size(); i++) {
                if (width(o) <= AttentionKernels.BOTH_WIDTH) {
                    keys(o, o.parts().get(i), up, lse, delta, dKey.get(i), dValue.get(i));
                } else {
                    keys(o, o.parts().get(i), up, lse, delta, dKey.get(i), Optional.empty());
                    keys(o, o.parts().get(i), up, lse, delta, Optional.empty(), dValue.get(i));
                }
            }
        }
    }

    private void query(AttentionOperands o, Tensor up, Tensor lse, Tensor delta, Tensor dQuery) {
        List<Part> all = some(o).isEmpty() ? List.of(nothing(o)) : some(o);
        // Sums of several launches stay in F32.
        Tensor to = all.size() <= 2 || dQuery.dtype() == DType.F32 ? o.result(dQuery)
                : o.temporary(Tensor.empty(device, DType.F32, o.batch(), o.heads(), o.times(), o.width()));
        Tile tile = AttentionKernels.queryTile(width(o));
        for (int i = 0; i < all.size(); i += 2) {
            List<Part> segments = all.subList(i, Math.min(i + 2, all.size()));
            if (rung == AttentionRung.GROUPS && groups.fitsBackward(o, segments, up)) {
                groups.query(o, segments, i == 0, up, lse, delta, to);
                continue;
            }
            List<Object> arguments = new ArrayList<>(List.of(o.query()));
            segments.forEach(s -> operands(s, segments, arguments));
            arguments.addAll(List.of(up, lse, delta, to, o.batch(), o.heads(), o.groups(), o.times(), o.width(), o.valueWidth(),
                    i == 0 ? 1 : 0, section(o, segments, o.heads() / o.groups(), o.heads() * o.batch())));
            for (Part s : segments) {
                segment(o, s, isMasked(segments), arguments);
            }
            arguments.addAll(List.of(o.fold(), o.squash(), o.scale()));
            AttentionOperands.strides(arguments, o.query());
            AttentionOperands.strides(arguments, up);
            AttentionOperands.strides(arguments, to);
            launcher.launch(AttentionKernels.query(tile, kind(o, segments, to.dtype())),
                    tiles(o.times(), tile.rows()) * o.heads() * o.batch(), 1, 1, arguments.toArray());
        }
        o.deliver(to, dQuery);
    }

    /** The gradients of one segment that are asked for. */
    private void keys(AttentionOperands o, Part s, Tensor up, Tensor lse, Tensor delta, Optional<Tensor> dKey, Optional<Tensor> dValue) {
        if (dKey.isEmpty() && dValue.isEmpty() || s.keys() == 0 || o.batch() == 0) {
            return;
        }
        boolean byGroups = rung == AttentionRung.GROUPS && dKey.isPresent() && dValue.isPresent() && groups.fitsBackward(o, List.of(s), up);
        Tile tile = byGroups ? CudaGroupAttention.keysTile(o, s) : AttentionKernels.keysTile(width(o));
        long keyTiles = tiles(s.keys(), tile.rows());
        long work = tiles(o.times(), tile.columns()) * (o.heads() / o.groups()) * o.batch();
        // A group of warp groups has all registers of a unit.
        long room = (long) units * (byGroups ? 1 : GROUPS_PER_UNIT);
        int parts = s.isShared() ? (int) Math.clamp(room / (keyTiles * o.groups()), 1, Math.max(1, work / LEAST_TILES))
                : (int) o.batch();
        boolean divided = s.isShared() && parts > 1;
        // Results together are of one type: sums of parts are F32.
        boolean narrow = !divided && dKey.or(() -> dValue).get().dtype() != DType.F32;
        Optional<Tensor> toKey = dKey.map(t -> target(o, t, divided, parts, narrow));
        Optional<Tensor> toValue = dValue.map(t -> target(o, t, divided, parts, narrow));
        if (byGroups) {
            groups.keys(o, s, parts, up, lse, delta, toKey.get(), toValue.get());
        } else {
            keys(o, s, tile, parts, up, lse, delta, toKey, toValue);
        }
        toKey.ifPresent(t -> finish(o, t, dKey.get(), divided));
        toValue.ifPresent(t -> finish(o, t, dValue.get(), divided));
    }

    private void keys(AttentionOperands o, Part s, Tile tile, int parts, Tensor up, Tensor lse, Tensor delta, Optional<Tensor> toKey,
            Optional<Tensor> toValue) {
        List<Object> arguments = new ArrayList<>(List.of(o.query(), s.key(), s.value()));
        s.mask().keyMask().ifPresent(arguments::add);
        arguments.addAll(List.of(up, lse, delta));
        toKey.ifPresent(arguments::add);
        toValue.ifPresent(arguments::add);
        arguments.addAll(List.of(o.batch(), o.heads(), o.groups(), o.times(), s.keys(), o.width(), o.valueWidth(), o.ahead(s), o.behind(s),
                s.isShared() ? 1 : 0, parts, keysSection(o, parts), o.fold(), o.squash(), o.scale()));
        AttentionOperands.strides(arguments, o.query());
        AttentionOperands.strides(arguments, s.key());
        AttentionOperands.strides(arguments, s.value());
        AttentionOperands.strides(arguments, up);
        s.mask().keyMask().ifPresent(m -> arguments.addAll(maskStrides(m)));
        toKey.ifPresent(t -> AttentionOperands.strides(arguments, t));
        toValue.ifPresent(t -> AttentionOperands.strides(arguments, t));
        Kind kind = kind(o, List.of(s), toKey.or(() -> toValue).get().dtype());
        launcher.launch(AttentionKernels.keys(tile, kind, toKey.isPresent(), toValue.isPresent()),
                tiles(s.keys(), tile.rows()) * o.groups() * parts, 1, 1, arguments.toArray());
    }

    /** A section's queries and dOut, of all heads of a key/value head, should stay in the cache. */
    static long keysSection(AttentionOperands o, int parts) {
        long bytes = o.heads() / o.groups() * o.times() * (o.width() + o.valueWidth()) * 2;
        return Math.clamp(SECTION_BYTES / Math.max(1, bytes), 1, parts * o.groups());
    }

    private Tensor target(AttentionOperands o, Tensor t, boolean divided, int parts, boolean narrow) {
        if (!divided && (t.dtype() != DType.F32) == narrow) {
            Tensor to = o.result(t);
            if ((to.dtype() != DType.F32) == narrow) {
                return to;
            }
        }
        return o.temporary(Tensor.empty(device, narrow ? o.type() : DType.F32, divided ? parts : t.size(0), t.size(1), t.size(2),
                AttentionOperands.filled(t.size(3))));
    }

    private void finish(AttentionOperands o, Tensor from, Tensor to, boolean divided) {
        if (divided) {
            Tensor parts = from.slice(3, 0, to.size(3));
            Tensor sum = to.dtype() == DType.F32 ? to : o.temporary(Tensor.empty(device, DType.F32, to.shape()));
            device.reduce(Reduction.SUM, parts, sum);
            if (sum != to) {
                device.copy(sum, to);
            }
        } else {
            o.deliver(from, to);
        }
    }
}
