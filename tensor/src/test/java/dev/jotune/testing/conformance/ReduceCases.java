package dev.jotune.testing.conformance;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.conformance.Twin.Layout;
import java.util.Arrays;
import java.util.List;

/** Sums, maxima and the place of the maximum. */
final class ReduceCases {
    private static final long[][] SHAPES = {{}, {1}, {0}, {65}, {1000}, {3, 17}, {17, 3}, {5, 1}, {1, 5}, {33, 64}, {2, 3, 16},
        {3, 1, 7}, {2, 5, 3, 4}, {0, 3}, {3, 0}, {2, 300, 7}};

    private ReduceCases() {}

    static void add(List<Case> all) {
        for (Reduction op : Reduction.values()) {
            for (DType type : List.of(DType.F64, DType.F32, DType.F16, DType.BF16)) {
                all.add(new Case("reduce/" + op + " " + type, b -> reduce(b, op, type)));
            }
        }
        all.add(new Case("argmax", ReduceCases::argmax));
    }

    private static void reduce(Backend b, Reduction op, DType type) {
        DType result = type == DType.F64 ? DType.F64 : DType.F32;
        for (long[] shape : SHAPES) {
            for (Layout layout : Layout.values()) {
                Twin x = Twin.normal(b, type, layout, 1, shape);
                for (int axes = 0; axes < 1 << shape.length; axes++) {
                    long[] kept = shape.clone();
                    for (int a = 0; a < kept.length; a++) {
                        kept[a] = (axes >> a & 1) != 0 ? 1 : kept[a];
                    }
                    Twin out = Twin.of(b, result, Layout.DENSE, i -> 5, kept);
                    b.reduce(op, x.tested(), out.tested());
                    Backends.reference().reduce(op, x.reference(), out.reference());
                    // A sum may cancel: its error is measured by the numbers added, here of size 1.
                    double slack = op == Reduction.MAX ? 0 : 2e-6 * Math.max(1, Math.sqrt(x.tested().numel()));
                    compare(layout + " " + Arrays.toString(shape) + " to " + Arrays.toString(kept), out, slack);
                }
            }
        }
    }

    private static void compare(String what, Twin out, double slack) {
        double[] got = out.tested().toDoubleArray();
        double[] want = out.reference().toDoubleArray();
        for (int i = 0; i < want.length; i++) {
            if (!(got[i] == want[i] || Math.abs(got[i] - want[i]) <= slack)) {
                throw new AssertionError(what + ", element " + i + ": " + got[i] + ", expected " + want[i]);
            }
        }
    }

    private static void argmax(Backend b) {
        for (long n : BackendConformance.SIZES) {
            for (Layout layout : Layout.values()) {
                // Few different numbers, so that the largest comes several times.
                Twin x = Twin.of(b, DType.F32, layout, i -> i * 7 % 5, 3, n);
                check(b, x, layout + " " + n);
            }
        }
        double none = Double.NEGATIVE_INFINITY;
        check(b, Twin.of(b, DType.F32, Layout.DENSE, i -> none, 2, 9), "nothing but -infinity");
        check(b, Twin.normal(b, DType.BF16, Layout.DENSE, 3, 4, 33), "BF16");
        check(b, Twin.normal(b, DType.F32, Layout.DENSE, 3, 2, 3000), "long rows");
    }

    private static void check(Backend b, Twin x, String what) {
        Tensor got = Tensor.empty(b, DType.I64, x.tested().size(0));
        Tensor want = Tensor.empty(Backends.reference(), DType.I64, x.tested().size(0));
        b.argmax(x.tested(), got);
        Backends.reference().argmax(x.reference(), want);
        new Twin(got, want).compare(what, 0);
    }
}
