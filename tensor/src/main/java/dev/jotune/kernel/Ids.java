package dev.jotune.kernel;

import dev.jotune.tensor.Tensor;
import java.util.Arrays;

/**
 * Row numbers of a table, checked, and sorted for additions in order.
 *
 * @param targets how many different ones there are
 * @param plan what {@code scatter_add.cl} walks: the different ids, where each one's run begins, the positions in runs
 */
record Ids(long targets, long[] plan) {
    /**
     * Reads ids back from the device, which waits for it: a device that met a wrong id could only say so much later.
     *
     * @throws IndexOutOfBoundsException for an id that is no row
     */
    static long[] check(Tensor ids, long rows) {
        long[] all = ids.toLongArray();
        for (int i = 0; i < all.length; i++) {
            if (all[i] < 0 || all[i] >= rows) {
                throw new IndexOutOfBoundsException("id " + all[i] + " at position " + i + " is not a row of a table with " + rows + " rows");
            }
        }
        return all;
    }

    /** Sorted by id, equal ones in their order. */
    static Ids sorted(long[] ids) {
        Integer[] order = new Integer[ids.length];
        Arrays.setAll(order, i -> i);
        // Stable: equal ids keep their order.
        Arrays.sort(order, (x, y) -> Long.compare(ids[x], ids[y]));
        int targets = 0;
        for (int i = 0; i < order.length; i++) {
            targets += i == 0 || ids[order[i]] != ids[order[i - 1]] ? 1 : 0;
        }
        long[] plan = new long[2 * targets + 1 + ids.length];
        int t = 0;
        for (int i = 0; i < order.length; i++) {
            if (i == 0 || ids[order[i]] != ids[order[i - 1]]) {
                plan[t] = ids[order[i]];
                plan[targets + t] = i;
                t++;
            }
            plan[2 * targets + 1 + i] = order[i];
        }
        plan[2 * targets] = ids.length;
        return new Ids(targets, plan);
    }
}
