package dev.jotune.testing.conformance;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.conformance.Twin.Layout;
import java.util.List;

/** Matrix products: every transposition, type, size and stacking. */
final class MatmulCases {
    /** Sizes M, N, K: each odd size in each place, vectors, nothing, and one that crosses every block. */
    private static final long[][] SIZES = {{1, 1, 1}, {1, 17, 33}, {2, 3, 7}, {3, 2, 8}, {7, 65, 3}, {8, 8, 8},
            {15, 16, 17},
        {16, 15, 31}, {17, 7, 16}, {31, 33, 2}, {33, 1, 65}, {1, 64, 64}, {64, 1, 9}, {65, 31, 1}, {5, 130, 40},
        {130, 5, 70},
        {0, 3, 4}, {3, 0, 4}, {3, 4, 0}, {67, 131, 259}};

    /** Sizes that four divides, as models have them: few rows and columns, and tiles of every size with a rest. */
    private static final long[][] FOURS = {{1, 36, 132}, {8, 40, 36}, {60, 4, 68}, {36, 40, 44}, {68, 72, 36}, {132, 136, 20}};

    private MatmulCases() {}

    static void add(List<Case> all) {
        for (String form : List.of("NN", "NT", "TN", "TT")) {
            for (boolean accumulate : new boolean[] {false, true}) {
                for (DType[] types : new DType[][] {{DType.F32, DType.F32}, {DType.F32, DType.BF16},
                        {DType.F32, DType.F16},
                    {DType.BF16, DType.F32}, {DType.BF16, DType.BF16}, {DType.F16, DType.F16},
                    {DType.F64, DType.F64}}) {
                    all.add(new Case("matmul/" + form + " " + types[0] + " " + types[1]
                            + (accumulate ? " accumulate" : ""),
                            b -> sizes(b, form, types[0], types[1], accumulate)));
                }
            }
        }
        for (String form : List.of("NN", "NT", "TN", "TT")) {
            for (DType right : List.of(DType.F32, DType.BF16, DType.F16)) {
                all.add(new Case("matmul/fours " + form + " F32 " + right, b -> {
                    for (long[] s : FOURS) {
                        Twin x = operand(b, DType.F32, form.charAt(0), 1, s[0], s[2]);
                        Twin y = operand(b, right, form.charAt(1), 2, s[2], s[1]);
                        multiply(b, x, y, true, Layout.DENSE, s[0], s[1]);
                    }
                }));
            }
        }
        for (Layout layout : Layout.values()) {
            all.add(new Case("matmul/operands " + layout, b -> strided(b, layout)));
        }
        all.add(new Case("matmul/stacked", MatmulCases::stacked));
    }

    private static Twin operand(Backend b, DType type, char form, long stream, long rows, long columns) {
        return Twin.normal(b, type, form == 'T' ? Layout.TRANSPOSED : Layout.DENSE, stream, rows, columns);
    }

    private static void sizes(Backend b, String form, DType left, DType right, boolean accumulate) {
        for (long[] s : SIZES) {
            Twin x = operand(b, left, form.charAt(0), 1, s[0], s[2]);
            Twin y = operand(b, right, form.charAt(1), 2, s[2], s[1]);
            multiply(b, x, y, accumulate, Layout.DENSE, s[0], s[1]);
        }
    }

    private static void strided(Backend b, Layout layout) {
        for (long[] s : SIZES) {
            for (Layout out : Layout.values()) {
                if (Twin.writable(out) && s[0] * s[1] * s[2] < 40000) {
                    multiply(b, Twin.normal(b, DType.F32, layout, 3, s[0], s[2]),
                            Twin.normal(b, DType.F32, layout, 4, s[2], s[1]),
                            false, out, s[0], s[1]);
                }
            }
        }
    }

    /** Leading axes, some shared by stride 0, some not in the order of memory. */
    private static void stacked(Backend b) {
        for (long[] s : new long[][] {{3, 5, 7}, {16, 17, 8}, {1, 9, 33}, {4, 1, 2}}) {
            Twin x = Twin.normal(b, DType.F32, Layout.DENSE, 5, 2, 3, s[0], s[2]);
            Twin y = Twin.normal(b, DType.F32, Layout.DENSE, 6, 2, 3, s[2], s[1]);
            multiply(b, x, y, false, Layout.DENSE, 2, 3, s[0], s[1]);
            multiply(b, x, y, true, Layout.PITCHED, 2, 3, s[0], s[1]);
            Twin shared = Twin.normal(b, DType.F32, Layout.DENSE, 7, 3, s[2], s[1]);
            multiply(b, x, each(shared, t -> t.expand(2, 3, s[2], s[1])), false, Layout.DENSE, 2, 3, s[0], s[1]);
            Twin one = Twin.normal(b, DType.F32, Layout.DENSE, 8, s[0], s[2]);
            multiply(b, each(one, t -> t.expand(2, 3, s[0], s[2])), y, false, Layout.DENSE, 2, 3, s[0], s[1]);
            // [B, T, H, D] seen as [B, H, T, D], as attention has its operands.
            Twin heads = Twin.normal(b, DType.F32, Layout.DENSE, 9, 2, s[0], 3, s[2]);
            multiply(b, each(heads, t -> t.transpose(1, 2)), y, false, Layout.DENSE, 2, 3, s[0], s[1]);
            multiply(b, Twin.normal(b, DType.F32, Layout.DENSE, 5, 0, 3, s[0], s[2]),
                    Twin.normal(b, DType.F32, Layout.DENSE, 6, 0, 3, s[2], s[1]), false, Layout.DENSE, 0, 3, s[0],
                    s[1]);
        }
    }

    private static Twin each(Twin t, java.util.function.UnaryOperator<Tensor> f) {
        return new Twin(f.apply(t.tested()), f.apply(t.reference()));
    }

    private static void multiply(Backend b, Twin x, Twin y, boolean accumulate, Layout layout, long... shape) {
        DType type = x.tested().dtype() == DType.F64 ? DType.F64 : DType.F32;
        Twin out = Twin.normal(b, type, layout, 10, shape);
        double[] before = out.memory();
        b.matmul(x.tested(), y.tested(), out.tested(), accumulate);
        Backends.reference().matmul(x.reference(), y.reference(), out.reference(), accumulate);
        String what = x.tested() + " times " + y.tested() + " into " + layout;
        out.compare(what, type == DType.F64 ? 1e-14 : 4e-6);
        out.checkSurroundings(what, before);
    }
}
