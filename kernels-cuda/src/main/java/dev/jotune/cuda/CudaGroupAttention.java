package dev.jotune.cuda;

import dev.jotune.cuda.AttentionGroups.Pass;
import dev.jotune.cuda.AttentionGroups.Tile;
import dev.jotune.cuda.AttentionKernels.Kind;
import dev.jotune.cuda.AttentionOperands.Part;
import dev.jotune.cuda.CudaAttention.Launcher;
import dev.jotune.cuda.TensorMaps.Swizzle;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Attention over segments by warp groups ({@code wgmma}, TMA) on compute capability 9.0: long texts over segments that can be copied in
 * boxes, heads up to {@link Pass#widest}; capped or with key masks, not both, which would spill. {@link CudaAttention} has the
 * rest computed by warps.
 */
final class CudaGroupAttention {
    private final Launcher launcher;

    CudaGroupAttention(Launcher launcher) {
        this.launcher = launcher;
    }

    /** Whether one launch over these segments, all together, can be left to warp groups. */
    private static boolean fits(Pass pass, AttentionOperands o, List<Part> segments) {
        return o.times() >= CudaAttention.LONG && CudaAttention.width(o) <= pass.widest() && !segments.isEmpty()
                && segments.size() <= 2 && AttentionOperands.isBoxed(o.query())
                && !(o.isCapped() && CudaAttention.isMasked(segments)) && segments.stream().allMatch(CudaGroupAttention::fits);
    }

    private static boolean fits(Part s) {
        return s.keys() > 0 && AttentionOperands.isBoxed(s.key()) && AttentionOperands.isBoxed(s.value())
                && s.mask().keyMask().map(m -> m.stride(1) == 1).orElse(true);
    }

    boolean fitsForward(AttentionOperands o, List<Part> segments) {
        return fits(Pass.FORWARD, o, segments);
    }

    boolean fitsBackward(AttentionOperands o, List<Part> segments, Tensor up) {
        return fits(Pass.QUERY, o, segments) && AttentionOperands.isBoxed(up);
    }

    void forward(AttentionOperands o, List<Part> segments, Tensor out, Tensor lse) {
        Tile tile = Pass.FORWARD.tile(width(o), CudaAttention.isMasked(segments));
        List<Object> arguments = new ArrayList<>(List.of(boxes(o.query(), AttentionGroups.OWN)));
        maps(segments, tile, arguments);
        long own = o.heads() * o.batch();
        arguments.addAll(List.of(out, lse, o.batch(), o.heads(), o.groups(), o.times(), o.valueWidth(),
                CudaAttention.section(o, segments, o.heads() / o.groups(), own)));
        segments(o, segments, arguments);
        arguments.addAll(List.of(o.fold(), o.squash()));
        AttentionOperands.strides(arguments, out);
        launch(Pass.FORWARD, o, segments, out.dtype(), CudaAttention.tiles(o.times(), tile.own()) * own, arguments);
    }

    /** Of one or two segments; adds to {@code to} where they are not the first. */
    void query(AttentionOperands o, List<Part> segments, boolean first, Tensor up, Tensor lse, Tensor delta, Tensor to) {
        Tile tile = Pass.QUERY.tile(width(o), CudaAttention.isMasked(segments));
        List<Object> arguments = new ArrayList<>(List.of(boxes(o.query(), AttentionGroups.OWN), boxes(up, AttentionGroups.OWN)));
        maps(segments, tile, arguments);
        long own = o.heads() * o.batch();
        arguments.addAll(List.of(lse, delta, to, o.batch(), o.heads(), o.groups(), o.times(), o.width(), first ? 1 : 0,
                CudaAttention.section(o, segments, o.heads() / o.groups(), own)));
        segments(o, segments, arguments);
        arguments.addAll(List.of(o.fold(), o.squash(), o.scale()));
        AttentionOperands.strides(arguments, to);
        launch(Pass.QUERY, o, segments, to.dtype(), CudaAttention.tiles(o.times(), tile.own()) * own, arguments);
    }

    /** The keys' kernel's tile, counted as those of warps are: a warp has 16 keys. */
    static AttentionKernels.Tile keysTile(AttentionOperands o, Part s) {
        Tile tile = Pass.KEYS.tile(width(o), CudaAttention.isMasked(List.of(s)));
        return new AttentionKernels.Tile(tile.own() / 16, 1, 1, tile.passing(), tile.stages());
    }

    /** Both gradients of a segment, of one type, in so many parts. */
    void keys(AttentionOperands o, Part s, int parts, Tensor up, Tensor lse, Tensor delta, Tensor toKey, Tensor toValue) {
        Tile tile = Pass.KEYS.tile(width(o), CudaAttention.isMasked(List.of(s)));
        List<Object> arguments = new ArrayList<>(List.of(boxes(o.query(), tile.passing()), boxes(up, tile.passing()),
                boxes(s.key(), AttentionGroups.OWN), boxes(s.value(), AttentionGroups.OWN)));
        s.mask().keyMask().ifPresent(arguments::add);
        arguments.addAll(List.of(lse, delta, toKey, toValue));
        arguments.addAll(List.of(o.batch(), o.heads(), o.groups(), o.times(), s.keys(), o.width(), o.valueWidth(), o.ahead(s), o.behind(s),
                s.isShared() ? 1 : 0, parts, CudaAttention.keysSection(o, parts), o.fold(), o.squash(), o.scale()));
        s.mask().keyMask().ifPresent(m -> arguments.add(maskStep(m)));
        AttentionOperands.strides(arguments, toKey);
        AttentionOperands.strides(arguments, toValue);
        launch(Pass.KEYS, o, List.of(s), toKey.dtype(), CudaAttention.tiles(s.keys(), tile.own()) * o.groups() * parts, arguments);
    }

    private void launch(Pass pass, AttentionOperands o, List<Part> segments, DType out, long groups, List<Object> arguments) {
        Kind kind = new Kind(o.type(), width(o), segments.size(), o.isCapped(), CudaAttention.isMasked(segments), out);
        launcher.launch(AttentionGroups.source(pass, kind), groups, 1, 1, arguments.toArray());
    }

    private static int width(AttentionOperands o) {
        return AttentionGroups.width(CudaAttention.width(o));
    }

    private static void maps(List<Part> segments, Tile tile, List<Object> arguments) {
        for (Part s : segments) {
            arguments.addAll(List.of(boxes(s.key(), tile.passing()), boxes(s.value(), tile.passing())));
            CudaAttention.mask(s, segments).ifPresent(arguments::add);
        }
    }

    private static void segments(AttentionOperands o, List<Part> segments, List<Object> arguments) {
        for (Part s : segments) {
            arguments.addAll(List.of(s.keys(), o.ahead(s), o.behind(s), s.isShared() ? 1 : 0));
            if (CudaAttention.isMasked(segments)) {
                arguments.add(s.mask().keyMask().isPresent() ? 1 : 0);
                arguments.add(s.mask().keyMask().map(CudaGroupAttention::maskStep).orElse(0L));
            }
        }
    }

    /** From one row of the batch to the next. */
    private static long maskStep(Tensor mask) {
        return mask.size(0) == 1 ? 0 : mask.stride(0);
    }

    /** Rows of 64 features, the 128 bytes that are swizzled together. */
    private static TensorMaps.Map boxes(Tensor t, int rows) {
        return TensorMaps.of(t, new int[] {1, 1, rows, 64}, Swizzle.BYTES_128);
    }
}
