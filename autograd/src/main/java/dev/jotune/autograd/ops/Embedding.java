package dev.jotune.autograd.ops;

import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.Tensor;

/** Rows of a table by index. */
public final class Embedding {
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
}
