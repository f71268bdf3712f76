package dev.jotune.testing;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.SparseLinear;
import dev.jotune.tensor.kernels.SparsePattern;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.KernelConformance.Inputs;
import dev.jotune.testing.conformance.Case;
import java.util.Arrays;
import java.util.List;

/** Sparse products: row counts around every vector width and the tile, empty rows, repeated places, operands not dense. */
final class SparseCases {
    private SparseCases() {}

    static void add(List<Case> all) {
        for (long m : new long[] {0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130}) {
            all.add(KernelConformance.of("sparse/rows of x " + m, in -> run(in, in.parameter(m, 9), pattern(7, 9, 20))));
        }
        for (int k : new int[] {0, 1, 2, 63}) {
            all.add(KernelConformance.of("sparse/numbers " + k, in -> run(in, in.parameter(2, 3, 9), pattern(7, 9, k))));
        }
        all.add(KernelConformance.of("sparse/one place many times", in -> run(in, in.parameter(5, 3),
                SparsePattern.of(4, 3, new long[] {2, 2, 2, 0}, new long[] {1, 1, 1, 2}))));
        all.add(KernelConformance.of("sparse/many rows", in -> run(in, in.parameter(70, 40), pattern(3000, 40, 9000))));
        all.add(KernelConformance.of("sparse/not dense", in -> run(in, in.parameter(9, 5, 2).permute(2, 1, 0), pattern(7, 9, 20))));
        all.add(KernelConformance.of("sparse/frozen input", in -> run(in, Var.constant(in.normal(6, 9)), pattern(7, 9, 20))));
        all.add(KernelConformance.of("sparse/frozen numbers", in -> {
            Var x = in.parameter(6, 9);
            SparsePattern p = pattern(7, 9, 20);
            return apply(in, x, Var.constant(in.normal(p.size())), p);
        }));
    }

    /** Random places in no order. */
    private static SparsePattern pattern(int rows, int columns, int k) {
        long[] r = new long[k];
        long[] c = new long[k];
        Arrays.setAll(r, i -> Philox.nextInt(5, 0, i, rows));
        Arrays.setAll(c, i -> Philox.nextInt(5, 1, i, columns));
        return SparsePattern.of(rows, columns, r, c);
    }

    private static Var[] run(Inputs in, Var x, SparsePattern p) {
        return apply(in, x, in.parameter(p.size()), p);
    }

    private static Var[] apply(Inputs in, Var x, Var values, SparsePattern p) {
        return new Var[] {in.definition() ? SparseLinear.definition(x, values, p) : SparseLinear.apply(x, values, p)};
    }
}
