package dev.jotune.testing;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.Attention.Result;
import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.autograd.ops.AttentionDefinition;
import dev.jotune.testing.KernelConformance.Inputs;
import dev.jotune.testing.conformance.Case;
import java.util.ArrayList;
import java.util.List;

/** Attention over segments: sizes, heads, masks, sharing. */
final class AttentionCases {
    private AttentionCases() {}

    /** B, H, G, T, D, Dv. */
    private record Sizes(long b, long h, long g, long t, long d, long dv) {}

    private interface Segments {
        List<Segment> of(Inputs in, Sizes s);
    }

    static void add(List<Case> all) {
        for (long t : new long[] {1, 2, 7, 16, 17, 33, 65}) {
            Sizes s = new Sizes(2, 4, 2, t, 8, 8);
            add(all, "causal", s, (in, z) -> List.of(segment(in, z, z.b(), z.t(), Visible.causal(0))));
        }
        for (long keys : new long[] {1, 3, 15, 16, 31, 64, 130}) {
            Sizes s = new Sizes(2, 2, 1, 3, 16, 16);
            add(all, "all of " + keys + " keys", s, (in, z) -> List.of(segment(in, z, z.b(), keys, Visible.ALL)));
            add(all, "decoding over " + keys + " keys", new Sizes(2, 4, 2, 1, 16, 16),
                    (in, z) -> List.of(segment(in, z, z.b(), keys, Visible.causal(keys - 1))));
        }
        for (long d : new long[] {1, 2, 3, 7, 15, 17, 33, 64}) {
            add(all, "head size " + d, new Sizes(1, 2, 2, 5, d, d + 1),
                    (in, z) -> List.of(segment(in, z, z.b(), 9, Visible.causal(4))));
        }
        Sizes s = new Sizes(2, 4, 2, 9, 8, 8);
        add(all, "shared prefix and causal text", s, (in, z) -> List.of(segment(in, z, 1, 5, Visible.ALL),
                segment(in, z, z.b(), 9, Visible.causal(0))));
        add(all, "own prefix and causal text", s, (in, z) -> List.of(segment(in, z, z.b(), 5, Visible.ALL),
                segment(in, z, z.b(), 9, Visible.causal(0))));
        add(all, "many segments, one of them empty", s, (in, z) -> List.of(segment(in, z, 1, 17, Visible.ALL),
                segment(in, z, z.b(), 0, Visible.ALL), segment(in, z, z.b(), 3, Visible.ALL),
                segment(in, z, z.b(), 9, Visible.causal(0))));
        add(all, "nothing but an empty segment", s, (in, z) -> List.of(segment(in, z, z.b(), 0, Visible.ALL)));
        add(all, "window", s, (in, z) -> List.of(segment(in, z, z.b(), 14, Visible.causal(5).withWindow(4))));
        add(all, "window without causality", s, (in, z) -> List.of(segment(in, z, z.b(), 14,
                Visible.ALL.withWindow(3))));
        add(all, "key mask", s, (in, z) -> List.of(segment(in, z, z.b(), 9,
                Visible.causal(0).withKeyMask(in.mask(3, z.b(), 9)))));
        add(all, "shared key mask", s, (in, z) -> List.of(segment(in, z, 1, 5,
                Visible.ALL.withKeyMask(in.mask(2, 1, 5))),
                segment(in, z, z.b(), 9, Visible.causal(0))));
        add(all, "queries that see nothing", s,
                (in, z) -> List.of(segment(in, z, z.b(), 9, Visible.causal(-3)),
                segment(in, z, z.b(), 4, Visible.causal(-6))));
        for (long[] shape : new long[][] {{2, 4, 9, 11}, {1, 4, 9, 11}, {2, 1, 1, 11}, {1, 1, 9, 11}}) {
            add(all, "bias " + java.util.Arrays.toString(shape), s, (in, z) -> List.of(segment(in, z, z.b(), 11,
                    Visible.causal(2).withBias(Var.constant(in.normal(shape))))));
        }
        add(all, "bias with gradient", s,
                (in, z) -> List.of(segment(in, z, z.b(), 11, Visible.ALL.withBias(in.parameter(1, 4, 9, 11)))));
        // Longer than any kernel's tile on both sides, with parts of tiles at the ends and windows that begin inside one.
        Sizes tiles = new Sizes(1, 2, 1, 70, 8, 8);
        add(all, "tiles", tiles, (in, z) -> List.of(segment(in, z, 1, 67, Visible.ALL), segment(in, z, z.b(), 70, Visible.causal(0))));
        add(all, "window over tiles", tiles, (in, z) -> List.of(segment(in, z, z.b(), 137, Visible.causal(67).withWindow(40))));
        add(all, "prefix of a batch", new Sizes(3, 2, 1, 40, 8, 8), (in, z) -> List.of(segment(in, z, 1, 5, Visible.ALL)));
        add(all, "decoding over 600 keys", new Sizes(1, 4, 2, 1, 8, 8), (in, z) -> List.of(segment(in, z, z.b(), 600, Visible.causal(599)),
                segment(in, z, 1, 3, Visible.ALL)));
        add(all, "wide heads", new Sizes(1, 2, 1, 5, 130, 136), (in, z) -> List.of(segment(in, z, z.b(), 9, Visible.causal(4))));
        add(all, "one key head", new Sizes(2, 6, 1, 5, 8, 8), (in, z) ->
                List.of(segment(in, z, z.b(), 5, Visible.causal(0))));
        add(all, "a key head each", new Sizes(2, 3, 3, 5, 8, 8), (in, z) ->
                List.of(segment(in, z, z.b(), 5, Visible.causal(0))));
        all.add(KernelConformance.of("attention/softcap", in -> attend(in, s, 2, 0.4,
                (i, z) -> List.of(segment(i, z, z.b(), 9, Visible.causal(0)), segment(i, z, 1, 4, Visible.ALL)))));
        all.add(KernelConformance.of("attention/scores of hundreds", in -> attend(in, s, 0, 60,
                (i, z) -> List.of(segment(i, z, z.b(), 9, Visible.causal(0))))));
        all.add(KernelConformance.of("attention/frozen keys", AttentionCases::frozen));
        all.add(KernelConformance.of("attention/keys in memory order of heads", AttentionCases::permuted));
        all.add(KernelConformance.of("attention/part of a cache", AttentionCases::cache));
    }

    private static void add(List<Case> all, String name, Sizes s, Segments segments) {
        all.add(KernelConformance.of("attention/" + name + " " + s, in ->
                attend(in, s, 0, 1 / Math.sqrt(s.d()), segments)));
    }

    private static Segment segment(Inputs in, Sizes s, long batch, long keys, Visible visible) {
        return new Segment(in.parameter(batch, s.g(), keys, s.d()), in.parameter(batch, s.g(), keys, s.dv()), visible);
    }

    private static Var[] attend(Inputs in, Sizes s, double cap, double scale, Segments segments) {
        Var q = in.parameter(s.b(), s.h(), s.t(), s.d());
        return attend(in, q, segments.of(in, s), scale, cap);
    }

    private static Var[] attend(Inputs in, Var q, List<Segment> segments, double scale, double cap) {
        Result r = in.definition() ? AttentionDefinition.attend(q, segments, scale, cap)
                : Attention.attend(q, segments, scale, cap);
        return new Var[] {r.out(), r.lse()};
    }

    /** Only the queries want a gradient. */
    private static Var[] frozen(Inputs in) {
        Var q = in.parameter(2, 4, 5, 8);
        Segment s = new Segment(Var.constant(in.normal(2, 2, 5, 8)), Var.constant(in.normal(2, 2, 5, 8)),
                Visible.causal(0));
        return attend(in, q, List.of(s), 0.3, 0);
    }

    private static Var[] permuted(Inputs in) {
        Var q = in.heads(2, 4, 6, 8);
        return attend(in, q, List.of(new Segment(in.heads(2, 2, 6, 8), in.heads(2, 2, 6, 8), Visible.causal(0))), 0.3,
                0);
    }

    /** Keys that are a slice of a longer buffer, as a cache has them. */
    private static Var[] cache(Inputs in) {
        Var q = in.parameter(2, 4, 2, 8);
        List<Segment> segments = new ArrayList<>();
        segments.add(new Segment(in.parameter(2, 2, 20, 8).slice(2, 0, 11), in.parameter(2, 2, 20, 8).slice(2, 0, 11),
                Visible.causal(9)));
        return attend(in, q, segments, 0.3, 0);
    }
}
