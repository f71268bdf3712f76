package dev.jotune.models.t5;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.Embedding;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;

/**
 * T5's relative position bias (Raffel et al., arXiv 1910.10683, section 2.1): a learned number for each head and each
 * bucket of distances, added to the scores. The first layer of a stack holds the table; all its layers use it.
 *
 * <p>Half of the buckets of a direction hold one distance each, the other half ranges that grow with the logarithm of the
 * distance up to {@code maxDistance}; the last holds all beyond. A decoder, which sees one direction, spends all on it.
 *
 * <p>The bias of a pass takes {@code H T S} numbers, once for all layers of the stack.
 *
 * @param table {@code [buckets, H]}
 * @param bidirectional whether keys may lie behind the query
 */
record RelativePositions(Parameter table, boolean bidirectional, int maxDistance, DType computeType) {
    /**
     * The bias {@code [1 or B, H, T, S]} of queries at {@code first, first + 1, ..} for keys at 0, 1, ... Without a gradient
     * it is a dense constant, which attention's kernel takes.
     *
     * @param batch rows, for passes whose groups have different tables
     */
    Var bias(long queries, long keys, long first, long batch, Pass pass) {
        Tensor buckets = buckets(queries, keys, first);
        Group some = pass.groups().getFirst();
        if (pass.groups().stream().allMatch(g -> table.value(g) == table.value(some))) {
            return bias(buckets, some);
        }
        Var rows = Var.constant(Tensor.zeros(table.backend(), computeType, batch));
        return pass.perGroup(rows, (x, g) -> {
            Var b = bias(buckets, g);
            return b.expandTo(x.size(0), b.size(1), queries, keys);
        });
    }

    private Var bias(Tensor buckets, Group g) {
        Var b = Embedding.lookup(table.value(g), buckets).to(computeType).permute(2, 0, 1).reshape(1, -1, buckets.size(0), buckets.size(1));
        return b.requiresGrad() ? b : Var.constant(b.tensor().contiguous());
    }

    private Tensor buckets(long queries, long keys, long first) {
        long[] ids = new long[Math.toIntExact(queries * keys)];
        for (int t = 0; t < queries; t++) {
            for (int s = 0; s < keys; s++) {
                ids[Math.toIntExact(t * keys) + s] = bucket(s - (first + t));
            }
        }
        return Tensor.of(table.backend(), ids, queries, keys);
    }

    /** The bucket of a key {@code distance} positions behind the query; negative for keys before it. */
    int bucket(long distance) {
        int all = Math.toIntExact(table.size(0));
        int count = bidirectional ? all / 2 : all;
        int start = bidirectional && distance > 0 ? count : 0;
        long far = bidirectional ? Math.abs(distance) : Math.max(0, -distance);
        int exact = count / 2;
        if (far < exact) {
            return start + (int) far;
        }
        // In float, as the original: at powers of two the rounding decides.
        float log = (float) Math.log((float) far / (float) exact);
        float share = log / (float) Math.log(maxDistance / (double) exact) * (count - exact);
        return start + Math.min(count - 1, exact + (int) share);
    }

    /**
     * A segment that stands before the text with positions of its own gets the bias of its distances.
     *
     * @param before positions from its first key to the first entry of the input
     * @param past tokens of the text before the first query
     */
    Attention.Segment placed(Attention.Segment s, long before, long queries, long past, Pass pass) {
        return new Attention.Segment(s.key(), s.value(), s.visible().withBias(
                bias(queries, s.key().size(2), before + past, s.key().size(0), pass)));
    }
}
