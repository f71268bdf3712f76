package dev.jotune.models.deberta;

import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.Weights;
import dev.jotune.models.bert.PostNormBlock;
import dev.jotune.models.head.Noise;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Disentangled attention (arXiv 2006.03654, equation 4): the score of query i and key j is
 * {@code (q_i k_j + q_i K_r(i-j) + k_j Q_r(i-j)) / sqrt(n D)}, n the number of terms and K_r, Q_r the projected relative
 * positions.
 *
 * <p>The position terms enter {@link Attention#attend} as a bias {@code [B, H, T, T]}, so segments that adapters add work
 * as anywhere; they stand at no distance and get content scores alone. Memory of a pass grows with T squared.
 */
final class DisentangledAttention {
    private final DebertaConfig config;
    private final Optional<LinearLayer> positionKey;
    private final Optional<LinearLayer> positionQuery;

    /** @param path of the attention module, for projections of positions of its own */
    DisentangledAttention(DebertaConfig c, String path, Weights w) {
        this.config = c;
        long wide = (long) c.numAttentionHeads() * c.headDim();
        boolean own = c.relative() && !c.shareAttKey();
        positionKey = own && c.contentToPosition() ? Optional.of(w.linear(path + ".pos_key_proj", wide, c.hiddenSize(), true))
                : Optional.empty();
        positionQuery = own && c.positionToContent() ? Optional.of(w.linear(path + ".pos_query_proj", wide, c.hiddenSize(), true))
                : Optional.empty();
    }

    /**
     * What all layers of a pass share.
     *
     * @param table of relative positions {@code [1, rows, C]}, or {@code [B, rows, C]} where rows have adapters of their own
     * @param queries 1 at tokens and 0 at padding, {@code [B, T, 1]}
     * @param unseen 0, or -infinity where a token meets padding, {@code [B, 1, T, T]}
     */
    record Common(Optional<Var> table, Optional<Var> queries, Optional<Var> unseen) {}

    Var mix(PostNormBlock block, Var queries, Var keys, Var values, List<Attention.Segment> added, Common common, Pass pass) {
        double scale = 1 / Math.sqrt(config.headDim() * (double) config.scaleFactor());
        Var q = queries;
        Var bias = null;
        if (common.table().isPresent()) {
            Var table = Noise.dropout(common.table().get(), config.hiddenDropout(), pass, block.site().tap() + ".positions");
            bias = positions(block, queries, keys, table, scale, pass);
        }
        if (common.queries().isPresent()) {
            // A query at padding sees everything alike, as in the original: its scores are 0, and so are their gradients.
            Var real = common.queries().get().reshape(queries.size(0), 1, queries.size(2), 1);
            q = q.mul(real);
            bias = bias == null ? common.unseen().get() : bias.mul(real).add(common.unseen().get());
        }
        Attention.Visible visible = bias == null ? Attention.Visible.ALL : Attention.Visible.ALL.withBias(bias);
        List<Attention.Segment> segments = new ArrayList<>(added);
        segments.add(new Attention.Segment(keys, values, visible));
        return block.site().attend(q, segments, scale, 0, pass);
    }

    private Var positions(PostNormBlock block, Var queries, Var keys, Var table, double scale, Pass pass) {
        int time = (int) queries.size(2);
        Var sum = null;
        if (config.contentToPosition()) {
            // Column c is for the distance T - 1 - c.
            Var k = project(positionKey.orElse(block.key()), block, table, time, -1, pass);
            sum = diagonals(queries.matmul(k.transpose(2, 3)));
        }
        if (config.positionToContent()) {
            // Row j is a key and column c is for the distance c - (T - 1).
            Var r = project(positionQuery.orElse(block.query()), block, table, time, 1, pass);
            Var p2c = diagonals(keys.matmul(r.transpose(2, 3))).transpose(2, 3);
            sum = sum == null ? p2c : sum.add(p2c);
        }
        return sum == null ? Var.constant(Tensor.zeros(queries.backend(), queries.dtype(), 1, 1, time, time)) : sum.mul(scale);
    }

    /** Relative positions of 2 T distances in a row, projected: {@code [B or 1, H, 2 T, D]}. */
    private Var project(LinearLayer layer, PostNormBlock block, Var table, int time, int direction, Pass pass) {
        int distances = 2 * time;
        int copies = (int) table.size(0);
        long[] rows = new long[copies * distances];
        for (int i = 0; i < rows.length; i++) {
            rows[i] = i / distances * table.size(1) + config.positions().row(direction * (i % distances - (time - 1)));
        }
        Var flat = Lookup.gather(table.reshape(-1, table.size(2)), Tensor.of(table.backend(), rows, rows.length));
        return block.heads(layer.forward(flat.reshape(copies, distances, -1), pass));
    }

    /**
     * {@code x [B, H, T, 2 T] -> [B, H, T, T]}: element (t, s) is {@code x[t, T - 1 - t + s]}. Read with rows one shorter,
     * each row begins one further left: two slices and no index.
     */
    static Var diagonals(Var x) {
        long batch = x.size(0);
        long heads = x.size(1);
        long time = x.size(2);
        Var flat = x.reshape(batch, heads, 2 * time * time).slice(2, time - 1, time - 1 + time * (2 * time - 1));
        return flat.reshape(batch, heads, time, 2 * time - 1).slice(3, 0, time);
    }
}
