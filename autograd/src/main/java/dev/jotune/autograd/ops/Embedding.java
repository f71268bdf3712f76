package dev.jotune.autograd.ops;

import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import java.util.Arrays;

/** Rows of a table by index. */
public final class Embedding {
    private static final MapOp CHOOSE =
            MapOp.of("choose", 3, Expr.select(Expr.input(2), Expr.input(0), Expr.input(1)));

    private Embedding() {}

    /**
     * {@code out[.., :] = table[ids[..], :]}; repeated ids add their gradients.
     *
     * @param table {@code [rows, C]}
     * @param ids integers {@code [..]}
     * @throws IndexOutOfBoundsException naming the id that is not a row
     */
    public static Var lookup(Var table, Tensor ids) {
        return Lookup.gather(table, ids);
    }

    /** As {@link #lookup(Var, Tensor)}, but row {@code paddingIdx} of the table gets no gradient. */
    public static Var lookup(Var table, Tensor ids, long paddingIdx) {
        long[] id = ids.toLongArray();
        boolean[] real = new boolean[id.length];
        for (int i = 0; i < id.length; i++) {
            real[i] = id[i] != paddingIdx;
        }
        long[] column = Arrays.copyOf(ids.shape(), ids.rank() + 1);
        column[ids.rank()] = 1;
        return CHOOSE.apply(Lookup.gather(table, ids), Lookup.gather(table.detach(), ids),
                Var.constant(Tensor.of(table.backend(), real, column)));
    }
}
