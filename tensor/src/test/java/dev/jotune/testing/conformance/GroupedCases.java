package dev.jotune.testing.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.GroupedLowRankKernel;
import dev.jotune.tensor.kernels.GroupedLowRankKernel.Factors;
import dev.jotune.tensor.kernels.GroupedLowRankKernel.Plan;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Low-rank terms of rows with adapters of their own, where a backend has them: few rows and many of each, ranks of their own, both ways, and
 * the gradients.
 */
public final class GroupedCases {
    /** M, in, out, R, G: adapter g has the rank R - g, but at least 1. */
    private static final int[][] SIZES = {{1, 8, 8, 1, 1}, {5, 72, 40, 16, 3}, {7, 33, 70, 3, 2}, {4, 300, 19, 64, 4}, {3, 20, 1100, 40, 3},
            {37, 264, 36, 16, 2}, {70, 40, 24, 20, 3}};
    private static final double CANARY = 12345;

    private GroupedCases() {}

    static void add(List<Case> all) {
        for (DType type : new DType[] {DType.F32, DType.BF16, DType.F16}) {
            all.add(new Case("grouped/low-rank " + type, b -> b.kernel(GroupedLowRankKernel.class).ifPresent(k -> check(b, k, type))));
        }
    }

    /** Every size with factors of this type, as they lie and across, and factors all of one rank, whose lines begin at multiples of fours. */
    public static void check(Backend b, GroupedLowRankKernel k, DType type) {
        for (int[] s : SIZES) {
            for (int layout = 0; layout < 3; layout++) {
                new Batch(b, k, type, s, layout).check();
            }
        }
    }

    /** One batch with its numbers in F64. */
    private static final class Batch {
        private final Backend b;
        private final GroupedLowRankKernel k;
        private final int m;
        private final int in;
        private final int out;
        private final int[] rows;
        private final List<Factors> adapters = new ArrayList<>();

        Batch(Backend b, GroupedLowRankKernel k, DType type, int[] sizes, int layout) {
            this.b = b;
            this.k = k;
            m = sizes[0];
            in = sizes[1];
            out = sizes[2];
            int groups = sizes[4];
            for (int g = 0; g < groups; g++) {
                int rank = layout == 2 ? sizes[3] : Math.max(1, sizes[3] - g);
                Tensor down = layout == 1 ? normal(2 + g, in, rank).to(type).transpose(0, 1) : normal(2 + g, rank, in).to(type);
                Tensor up = layout == 1 ? normal(30 + g, rank, out).to(type).transpose(0, 1) : normal(30 + g, out, rank).to(type);
                adapters.add(new Factors(down, up, 0.5 + g));
            }
            rows = new int[m];
            Arrays.setAll(rows, i -> i % 4 == 2 ? -1 : i * 5 % groups);
        }

        private Tensor normal(long stream, long... shape) {
            Tensor t = Tensor.empty(b, DType.F32, shape);
            b.normal(t, 13, stream);
            return t;
        }

        void check() {
            assertThat(k.supports(adapters)).isTrue();
            Tensor x = normal(60, m, in);
            Tensor dy = normal(61, m, out);
            Tensor scores = product(x, adapters);
            List<Factors> turned = adapters.stream().map(Factors::transposed).toList();
            Tensor back = product(dy, turned);
            Plan plan = k.plan(adapters, rows);
            List<Tensor> g = k.gradients(plan, x, dy, scores, back);
            for (int a = 0; a < adapters.size(); a++) {
                sums(g.get(a), a, back, x);
                sums(g.get(adapters.size() + a), a, scores, dy);
            }
            Tensor all = GroupedLowRankKernel.scores(b, m, 3);
            all.copyFrom(normal(62, m, 3));
            List<Tensor> one = k.gradients(x, dy, all, all);
            sums(one.get(0), -1, all, x);
            sums(one.get(1), -1, all, dy);
        }

        /** Adds the terms of x to y and leaves their scores, both compared with F64. */
        private Tensor product(Tensor x, List<Factors> with) {
            Plan plan = k.plan(with, rows);
            int width = (int) with.getFirst().up().size(0);
            Tensor y = normal(63, m, width);
            double[] before = y.toDoubleArray();
            Tensor scores = GroupedLowRankKernel.scores(b, m, plan.rank());
            b.fill(scores, CANARY);
            k.add(plan, x, Optional.of(scores), Optional.of(y));
            double[] got = y.toDoubleArray();
            double[] kept = scores.toDoubleArray();
            Tensor again = Tensor.empty(b, DType.F32, m, width);
            again.copyFrom(Tensor.of(b, DType.F32, before, m, width));
            k.add(plan, x, Optional.empty(), Optional.of(again));
            assertThat(again.toDoubleArray()).as("the same without scores").containsExactly(got);
            Tensor alone = GroupedLowRankKernel.scores(b, m, plan.rank());
            b.fill(alone, CANARY);
            k.add(plan, x, Optional.of(alone), Optional.empty());
            assertThat(alone.toDoubleArray()).as("the scores alone").containsExactly(kept);
            double[] left = x.toDoubleArray();
            for (int i = 0; i < m; i++) {
                int inner = (int) x.size(1);
                Factors f = rows[i] < 0 ? null : with.get(rows[i]);
                int rank = f == null ? 0 : (int) f.rank();
                double[] a = f == null ? new double[0] : f.down().toDoubleArray();
                double[] c = f == null ? new double[0] : f.up().toDoubleArray();
                double[] score = new double[rank];
                double[] most = new double[rank];
                for (int r = 0; r < plan.rank(); r++) {
                    for (int p = 0; p < inner && r < rank; p++) {
                        double term = f.scale() * left[i * inner + p] * a[r * inner + p];
                        score[r] += term;
                        most[r] += Math.abs(term);
                    }
                    double found = kept[(int) (i * plan.rank() + r)];
                    close(found, r < rank ? score[r] : CANARY, r < rank ? most[r] : 0, "score " + r + " of row " + i);
                }
                for (int n = 0; n < width; n++) {
                    double want = before[i * width + n];
                    double size = Math.abs(want);
                    for (int r = 0; r < rank; r++) {
                        want += score[r] * c[n * rank + r];
                        size += Math.abs(most[r] * c[n * rank + r]);
                    }
                    close(got[i * width + n], want, size, "row " + i + ", column " + n);
                }
            }
            return scores;
        }

        /** {@code got [R, N] = sum of scores_i^T lines_i} over the rows of an adapter, or over all. */
        private void sums(Tensor got, int adapter, Tensor scores, Tensor lines) {
            int rank = (int) got.size(0);
            int width = (int) got.size(1);
            double[] found = got.toDoubleArray();
            double[] s = scores.toDoubleArray();
            double[] v = lines.toDoubleArray();
            for (int r = 0; r < rank; r++) {
                for (int n = 0; n < width; n++) {
                    double want = 0;
                    double size = 0;
                    for (int i = 0; i < m; i++) {
                        double term = adapter < 0 || rows[i] == adapter ? s[(int) (i * scores.size(1)) + r] * v[i * width + n] : 0;
                        want += term;
                        size += Math.abs(term);
                    }
                    close(found[r * width + n], want, size, "gradient " + r + ", " + n + " of adapter " + adapter);
                }
            }
        }

        /** Sums in F32 of all these terms are at most 2^-24 of their magnitudes off with each addition along a path through the sum. */
        private void close(double got, double want, double size, String what) {
            assertThat(Math.abs(got - want)).as(what + " of [" + m + ", " + in + "] to " + out).isLessThanOrEqualTo(1e-6 * size);
        }
    }
}
