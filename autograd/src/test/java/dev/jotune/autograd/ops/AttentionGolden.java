package dev.jotune.autograd.ops;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention.Result;
import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import dev.jotune.testing.GoldenCheck;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The checks of the golden case {@code attention}. */
final class AttentionGolden {
    private AttentionGolden() {}

    static void run(GoldenCheck c) {
        Var q = c.input("q");
        Var k = c.input("k");
        Var v = c.input("v");
        double scale = c.setting("scale", 1 / Math.sqrt(q.size(3)));
        double cap = c.setting("softcap", 0);
        Map<String, Var> outputs = new LinkedHashMap<>();
        if (c.settings().has("cuts")) {
            List<Segment> segments = new ArrayList<>();
            long[] cuts = Golden.longs(c.settings().get("cuts"));
            for (int i = 0; i + 1 < cuts.length; i++) {
                segments.add(new Segment(k.slice(2, cuts[i], cuts[i + 1]), v.slice(2, cuts[i], cuts[i + 1]), Visible.ALL));
                put(outputs, "segment." + i + ".", Attention.attend(q, List.of(segments.getLast()), scale, cap));
            }
            put(outputs, "", Attention.attend(q, segments, scale, cap));
        } else {
            put(outputs, "", Attention.attend(q, List.of(new Segment(k, v, visible(c, q, k))), scale, cap));
        }
        c.compare(outputs);
    }

    private static void put(Map<String, Var> outputs, String prefix, Result r) {
        outputs.put(prefix + "output", r.out());
        outputs.put(prefix + "lse", r.lse());
    }

    private static Visible visible(GoldenCheck c, Var q, Var k) {
        // Aligned at the end, as with a cache: the last query sees every key.
        long offset = k.size(2) - q.size(2);
        // The check with one key/value head is causal without saying so.
        boolean causal = c.how().contains("causal") || c.name().startsWith("causal") || c.name().equals("multi_query");
        Visible visible = causal ? Visible.causal(offset) : Visible.ALL;
        if (c.settings().has("window")) {
            visible = visible.withWindow((long) c.setting("window", 0));
        }
        if (c.has("visible")) {
            Tensor mask = c.tensor("visible");
            visible = visible.withKeyMask(mask.reshape(mask.size(0), mask.size(-1)));
        }
        if (c.has("bias")) {
            visible = visible.withBias(c.input("bias"));
        }
        if (c.has("slopes")) {
            visible = visible.withBias(alibi(c, q.size(2), k.size(2), offset));
        }
        return visible;
    }

    private static Var alibi(GoldenCheck c, long queries, long keys, long offset) {
        double[] slopes = c.tensor("slopes").toDoubleArray();
        double[] bias = new double[Math.toIntExact(slopes.length * queries * keys)];
        for (int i = 0; i < bias.length; i++) {
            long key = i % keys;
            long query = i / keys % queries + offset;
            bias[i] = slopes[(int) (i / keys / queries)] * (key - query);
        }
        return Var.constant(Tensor.of(c.backend(), c.type(), bias, 1, slopes.length, queries, keys));
    }
}
