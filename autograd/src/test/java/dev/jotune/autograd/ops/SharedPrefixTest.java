package dev.jotune.autograd.ops;

import static dev.jotune.testing.FiniteDifference.checkTwice;
import static dev.jotune.testing.FiniteDifference.normal;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention.Result;
import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

/** Runs of keys that some rows share, against every row's keys written one after the other (catalogue S084). */
class SharedPrefixTest {

    /** A run that rows share, or one that each row has for itself. */
    private record Run(int first, int last, int keys) {}

    private static Var noise(Random random, boolean wide, long... shape) {
        double[] v = random.doubles(Arrays.stream(shape).reduce(1, (a, b) -> a * b), -2, 2).map(x -> (float) x).toArray();
        Backend backend = wide ? Backends.reference() : Backends.cpu();
        return Var.constant(Tensor.of(backend, wide ? DType.F64 : DType.F32, v, shape));
    }

    /** Three levels: all rows, groups of them, groups of those; rows that share nothing at a level; a suffix that may be empty. */
    @Property(tries = 80)
    void aTreeOfPrefixesIsTheConcatenationOfItsKeys(@ForAll long seed, @ForAll boolean wide) {
        Random random = new Random(seed);
        int rows = 1 + random.nextInt(6);
        int groups = 1 + random.nextInt(2);
        int heads = groups * (1 + random.nextInt(3));
        int time = 1 + random.nextInt(3);
        int dim = 1 + random.nextInt(9);
        int valueDim = 1 + random.nextInt(9);
        int suffix = random.nextInt(4);
        double softcap = random.nextBoolean() ? 0 : 3;
        List<Run> runs = new ArrayList<>();
        runs.add(new Run(0, rows, 1 + random.nextInt(20)));
        for (int level = 0; level < 2; level++) {
            for (int at = 0; at < rows; ) {
                int last = at + 1 + random.nextInt(rows - at);
                if (random.nextInt(4) > 0) {
                    runs.add(new Run(at, last, 1 + random.nextInt(12)));
                }
                at = last;
            }
        }
        Var q = noise(random, wide, rows, heads, time, dim);
        List<Segment> shared = new ArrayList<>();
        for (Run r : runs) {
            shared.add(Segment.shared(noise(random, wide, 1, groups, r.keys(), dim), noise(random, wide, 1, groups, r.keys(), valueDim),
                    r.first(), r.last()));
        }
        Segment own = new Segment(noise(random, wide, rows, groups, suffix, dim), noise(random, wide, rows, groups, suffix, valueDim),
                Visible.causal(Math.max(0, suffix - time)));
        List<Segment> all = new ArrayList<>(shared);
        all.add(own);
        Result got = Attention.attend(q, all, 0.4, softcap);
        close(wide, got, AttentionDefinition.attend(q, all, 0.4, softcap));
        for (int row = 0; row < rows; row++) {
            int b = row;
            List<Segment> seen = shared.stream().filter(s -> s.rows().get().first() <= b && b < s.rows().get().last()).toList();
            Var k = Var.concat(2, seen.stream().map(Segment::key).toArray(Var[]::new));
            Var v = Var.concat(2, seen.stream().map(Segment::value).toArray(Var[]::new));
            List<Segment> concatenated = new ArrayList<>(List.of(new Segment(k, v, Visible.ALL)));
            if (suffix > 0) {
                concatenated = List.of(new Segment(Var.concat(2, k, own.key().slice(0, b, b + 1)), Var.concat(2, v, own.value().slice(0, b, b + 1)),
                        Visible.causal(k.size(2) + Math.max(0, suffix - time))));
            }
            Result alone = Attention.attend(q.slice(0, b, b + 1), concatenated, 0.4, softcap);
            close(wide, new Result(got.out().slice(0, b, b + 1), got.lse().slice(0, b, b + 1)), alone);
        }
    }

    private static void close(boolean wide, Result got, Result want) {
        close(wide, got.out(), want.out());
        close(wide, got.lse(), want.lse());
    }

    private static void close(boolean wide, Var got, Var want) {
        double[] g = got.tensor().toDoubleArray();
        double[] w = want.tensor().toDoubleArray();
        assertThat(g).hasSameSizeAs(w);
        for (int i = 0; i < g.length; i++) {
            assertThat(Math.abs(g[i] - w[i])).as("%d: %s, want %s", i, g[i], w[i])
                    .isLessThanOrEqualTo((wide ? 1e-12 : 1e-5) * Math.max(1, Math.abs(w[i])));
        }
    }

    @Test
    void gradientsReachSharedKeysOfSomeRows() {
        checkTwice(v -> {
            Result r = Attention.attend(v.get(0), List.of(Segment.shared(v.get(1), v.get(2), 0, 3), Segment.shared(v.get(3), v.get(4), 1, 3),
                    new Segment(v.get(5), v.get(6), Visible.causal(0))), 0.6, 0);
            return Var.concat(3, r.out(), r.lse().reshape(3, 4, 2, 1));
        }, normal(1, 3, 4, 2, 2), normal(2, 1, 2, 3, 2), normal(3, 1, 2, 3, 3), normal(4, 1, 2, 2, 2), normal(5, 1, 2, 2, 3),
                normal(6, 3, 2, 2, 2), normal(7, 3, 2, 2, 3));
    }

    @Test
    void refusesRowsThatAreNotThereAndKeysThatAreNotShared() {
        Random random = new Random(1);
        Var q = noise(random, true, 2, 2, 1, 4);
        Var k = noise(random, true, 1, 2, 3, 4);
        Var each = noise(random, true, 2, 2, 3, 4);
        for (Segment s : List.of(Segment.shared(k, k, 0, 3), Segment.shared(k, k, 1, 1), Segment.shared(k, k, -1, 1),
                Segment.shared(each, each, 0, 2))) {
            assertThatThrownBy(() -> Attention.attend(q, List.of(s), 1, 0)).isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("cannot share keys").hasMessageContaining("rows " + s.rows().get().first());
        }
    }
}
