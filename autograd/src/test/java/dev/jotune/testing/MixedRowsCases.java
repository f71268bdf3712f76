package dev.jotune.testing;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.GroupedLowRank;
import dev.jotune.autograd.ops.GroupedLowRank.Adapter;
import dev.jotune.testing.KernelConformance.Inputs;
import dev.jotune.testing.conformance.Case;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntUnaryOperator;

/** Rows with low-rank adapters of their own: scattered and in runs, ranks of their own, adapters without rows, parts that do not train. */
final class MixedRowsCases {
    private MixedRowsCases() {}

    static void add(List<Case> all) {
        for (int m : new int[] {1, 2, 7, 16, 17, 40, 130}) {
            all.add(KernelConformance.of("mixed rows/scattered " + m, in -> run(in, m, 24, 20, 3, i -> i * 7 % 4 - 1, true)));
            all.add(KernelConformance.of("mixed rows/runs " + m, in -> run(in, m, 33, 70, 3, i -> i * 3 / m, true)));
        }
        all.add(KernelConformance.of("mixed rows/none has one", in -> run(in, 5, 8, 8, 2, i -> -1, true)));
        all.add(KernelConformance.of("mixed rows/one for all", in -> run(in, 20, 300, 40, 1, i -> 0, true)));
        all.add(KernelConformance.of("mixed rows/x does not train", in -> run(in, 20, 16, 24, 2, i -> i % 2, false)));
        all.add(KernelConformance.of("mixed rows/only B trains", in -> {
            Var y = in.parameter(9, 6);
            Adapter a = new Adapter(Var.constant(in.normal(4, 8)), in.parameter(6, 4), 2);
            return apply(in, y, Var.constant(in.normal(9, 8)), List.of(a), numbers(9, i -> i % 3 - 1, 1));
        }));
        all.add(KernelConformance.of("mixed rows/only x trains", in -> {
            Var y = in.parameter(9, 6);
            Adapter a = new Adapter(Var.constant(in.normal(4, 8)), Var.constant(in.normal(6, 4)), 2);
            return apply(in, y, in.parameter(9, 8), List.of(a, a), numbers(9, i -> i % 3 - 1, 2));
        }));
        all.add(KernelConformance.of("mixed rows/forty adapters", in -> run(in, 50, 12, 12, 40, i -> i % 41 - 1, true)));
    }

    private static int[] numbers(int m, IntUnaryOperator of, int adapters) {
        int[] rows = new int[m];
        Arrays.setAll(rows, i -> Math.min(adapters - 1, of.applyAsInt(i)));
        return rows;
    }

    private static Var[] run(Inputs in, int m, int inner, int out, int adapters, IntUnaryOperator of, boolean trains) {
        Var y = in.parameter(m, out);
        Var x = trains ? in.parameter(m, inner) : Var.constant(in.normal(m, inner));
        List<Adapter> all = new ArrayList<>();
        for (int g = 0; g < adapters; g++) {
            int rank = 4 + 4 * (g % 2) + g % 3;
            all.add(new Adapter(in.parameter(rank, inner), in.parameter(out, rank), 0.5 + g % 3));
        }
        return apply(in, y, x, all, numbers(m, of, adapters));
    }

    private static Var[] apply(Inputs in, Var y, Var x, List<Adapter> adapters, int[] rows) {
        if (in.definition()) {
            return new Var[] {GroupedLowRank.definition(y, x, adapters, rows)};
        }
        // What is written over was made for this alone.
        return new Var[] {GroupedLowRank.addTo(y.mul(1), x, adapters, rows)};
    }
}
