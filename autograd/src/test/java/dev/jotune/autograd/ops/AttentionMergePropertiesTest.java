package dev.jotune.autograd.ops;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention.Result;
import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/** However keys are cut into segments, and in whatever order and grouping these merge, attention is the same. */
class AttentionMergePropertiesTest {
    private static final int B = 2;
    private static final int H = 2;
    private static final int T = 3;
    private static final int D = 4;

    private static Var normal(Backend b, DType type, long seed, long... shape) {
        double[] v = new double[(int) dev.jotune.tensor.Shape.numel(shape)];
        Arrays.setAll(v, i -> Philox.normal(seed, shape.length, i));
        return Var.constant(Tensor.of(b, type, v, shape));
    }

    private static void same(Result got, Result want, double tolerance) {
        close(got.out(), want.out(), tolerance);
        close(got.lse(), want.lse(), tolerance);
    }

    private static void close(Var got, Var want, double tolerance) {
        double[] g = got.tensor().toDoubleArray();
        double[] w = want.tensor().toDoubleArray();
        assertThat(g).hasSameSizeAs(w);
        for (int i = 0; i < g.length; i++) {
            assertThat(g[i] == w[i] || Math.abs(g[i] - w[i]) <= tolerance).as(g[i] + " and " + w[i]).isTrue();
        }
    }

    /** Consecutive segments of these sizes; the first one's keys are hidden from everybody. */
    private static List<Segment> cut(Backend b, DType type, List<Integer> sizes, Var keys, Var values) {
        List<Segment> all = new ArrayList<>();
        long at = 0;
        for (int size : sizes) {
            all.add(new Segment(keys.slice(2, at, at + size), values.slice(2, at, at + size),
                    visible(b, all.isEmpty(), size)));
            at += size;
        }
        return all;
    }

    private static Visible visible(Backend b, boolean hidden, int size) {
        boolean[] seen = new boolean[size];
        Arrays.fill(seen, !hidden);
        return Visible.ALL.withKeyMask(Tensor.of(b, seen, 1, size));
    }

    @Property(tries = 100)
    void inDoublePrecision(@ForAll @Size(min = 1, max = 5) List<@IntRange(min = 0, max = 4) Integer> sizes,
            @ForAll long seed) {
        check(Backends.reference(), DType.F64, sizes, seed, 1e-12);
    }

    @Property(tries = 100)
    void withTheKernelsOfTheCpu(@ForAll @Size(min = 1, max = 5) List<@IntRange(min = 0, max = 20) Integer> sizes,
            @ForAll long seed) {
        check(Backends.cpu(), DType.F32, sizes, seed, 1e-5);
    }

    private static void check(Backend b, DType type, List<Integer> sizes, long seed, double tolerance) {
        long keys = sizes.stream().mapToInt(i -> i).sum();
        Var q = normal(b, type, seed, B, H, T, D);
        List<Segment> segments = cut(b, type, sizes, normal(b, type, seed + 1, B, H, keys, D),
                normal(b, type, seed + 2, B, H, keys, D));
        Result together = Attention.attend(q, segments, 0.5, 0);
        Random random = new Random(seed);
        List<Segment> shuffled = new ArrayList<>(segments);
        Collections.shuffle(shuffled, random);
        same(Attention.attend(q, shuffled, 0.5, 0), together, tolerance);
        // Pairs merge in a random tree.
        List<Result> parts = new ArrayList<>(shuffled.stream().map(s -> Attention.attend(q, List.of(s), 0.5, 0))
                .toList());
        while (parts.size() > 1) {
            Result one = parts.remove(random.nextInt(parts.size()));
            Result other = parts.remove(random.nextInt(parts.size()));
            parts.add(AttentionDefinition.merge(one, other));
        }
        same(parts.getFirst(), together, tolerance);
    }
}
