package dev.jotune.testing.conformance;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.conformance.Twin.Layout;
import java.util.List;

/** Rows of tables by index. */
final class RowCases {
    private RowCases() {}

    static void add(List<Case> all) {
        for (DType type : List.of(DType.F64, DType.F32, DType.F16, DType.BF16)) {
            all.add(new Case("gather/" + type, b -> gather(b, type)));
        }
        all.add(new Case("gather/32-bit ids", b -> gather(b, Tensor.of(b, new long[] {2, 0}, 2).to(DType.I32), DType.F32, 9)));
        all.add(new Case("scatterAdd", RowCases::scatterAdd));
        all.add(new Case("gather and scatterAdd/ids that are no rows", RowCases::strangers));
    }

    private static void gather(Backend b, DType type) {
        for (long width : BackendConformance.SIZES) {
            gather(b, Tensor.of(b, new long[] {4, 0, 4, 4, 1, 3}, 2, 3), type, width);
            gather(b, Tensor.of(b, new long[0], 0), type, width);
        }
    }

    private static void gather(Backend b, Tensor ids, DType type, long width) {
        DType result = type == DType.F64 ? DType.F64 : DType.F32;
        for (Layout layout : Layout.values()) {
            Twin table = Twin.normal(b, type, layout, 1, 5, width);
            Twin out = Twin.normal(b, result, Layout.DENSE, 2, ids.numel(), width);
            b.gather(table.tested(), ids, out.tested());
            Backends.reference().gather(table.reference(), ids.to(Backends.reference()), out.reference());
            out.compare(layout + " rows of " + width, 0);
        }
    }

    private static void scatterAdd(Backend b) {
        Tensor ids = Tensor.of(b, new long[] {4, 0, 4, 4, 1, 3, 0}, 7);
        for (long width : BackendConformance.SIZES) {
            Twin rows = Twin.normal(b, DType.F32, Layout.DENSE, 3, 7, width);
            Twin table = Twin.normal(b, DType.F32, Layout.DENSE, 4, 5, width);
            b.scatterAdd(rows.tested(), ids, table.tested());
            Backends.reference().scatterAdd(rows.reference(), ids.to(Backends.reference()), table.reference());
            table.compare("rows of " + width, 1e-6);
        }
        // In the order of the ids: in F32 a large number swallows a small one before it goes, not after.
        Tensor rows = Tensor.of(b, new float[] {1e8f, 1, -1e8f}, 3, 1);
        Tensor table = Tensor.zeros(b, DType.F32, 1, 1);
        b.scatterAdd(rows, Tensor.of(b, new long[] {0, 0, 0}, 3), table);
        if (table.item() != 0) {
            throw new AssertionError("1e8 + 1 - 1e8 in this order is 0 in F32, got " + table.item());
        }
    }

    private static void strangers(Backend b) {
        Tensor table = Tensor.zeros(b, DType.F32, 3, 4);
        for (long id : new long[] {-1, 3, Long.MAX_VALUE}) {
            Tensor ids = Tensor.of(b, new long[] {1, id}, 2);
            refused(id, () -> b.gather(table, ids, Tensor.zeros(b, DType.F32, 2, 4)));
            refused(id, () -> b.scatterAdd(Tensor.zeros(b, DType.F32, 2, 4), ids, table));
        }
    }

    private static void refused(long id, Runnable use) {
        try {
            use.run();
        } catch (IndexOutOfBoundsException e) {
            if (e.getMessage().contains(String.valueOf(id))) {
                return;
            }
            throw new AssertionError("the message does not name id " + id + ": " + e.getMessage(), e);
        }
        throw new AssertionError("id " + id + " of a table of 3 rows was accepted");
    }
}
