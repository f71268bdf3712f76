package dev.jotune.autograd;

import dev.jotune.tensor.Tensor;
import java.util.Arrays;

/** Gathering and scattering by integer index. */
public final class Lookup {
    private Lookup() {}

    /** {@code table [N, C]}, ids {@code [..]} -> {@code [.., C]}. */
    public static Var gather(Var table, Tensor ids) {
        if (table.rank() != 2 || ids.dtype().isFloating()) {
            throw new IllegalArgumentException("gather needs a table [rows, columns] and integer ids, got "
                    + table.tensor() + " and " + ids);
        }
        return Primitives.gather(table, ids);
    }

    /** Adds rows {@code [.., C]} into a zero table {@code [tableRows, C]} at ids {@code [..]}. */
    public static Var scatterAdd(Var rows, Tensor ids, long tableRows) {
        if (ids.numel() * rows.size(-1) != rows.tensor().numel()) {
            throw new IllegalArgumentException("scatterAdd needs one row for each id, got " + rows.tensor() + " and "
                    + ids);
        }
        return Primitives.scatterAdd(rows, ids.contiguous(), tableRows);
    }

    /** Elements of the last axis by index: {@code x [.., N]}, index {@code [.., K]} -> {@code [.., K]}. */
    public static Var alongLast(Var x, Tensor index) {
        long n = x.size(-1);
        long rows = x.tensor().numel() / Math.max(1, n);
        long[] at = index.toLongArray();
        long k = index.size(-1);
        for (int i = 0; i < at.length; i++) {
            if (at[i] < 0 || at[i] >= n) {
                throw new IndexOutOfBoundsException("index " + at[i] + " in an axis of size " + n);
            }
            at[i] += i / k * n;
        }
        if (at.length != rows * k) {
            throw new IllegalArgumentException("index " + index + " does not fit " + Arrays.toString(x.shape()));
        }
        Tensor flat = Tensor.of(x.backend(), at, at.length);
        return gather(x.reshape(-1, 1), flat).reshape(index.shape());
    }
}
