package dev.jotune.models.seam;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.GroupedLowRank;
import dev.jotune.autograd.ops.GroupedLowRank.Adapter;
import dev.jotune.autograd.ops.Terms;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * How a batch of mixed adapters runs through one layer. Groups whose adapters are nothing but a low-rank term there, or do not touch it, go
 * through the layer's own product as one, and their terms follow in one operation; other groups go one by one.
 *
 * @param pass the groups as they run
 * @param together the group that was made of several; none where there are no two that suit
 * @param adapters of its rows
 * @param rows for each of its rows the number of its adapter, or a negative number
 */
record MixedRows(Pass pass, Optional<Group> together, List<Adapter> adapters, int[] rows) {
    /** @param x {@code [B, .., in]}, whole */
    static MixedRows of(LinearLayer layer, Var x, Pass pass) {
        // While training, dropout gives each group's term an input of its own.
        if (pass.isUniform() || pass.training()) {
            return alone(pass);
        }
        List<Group> others = new ArrayList<>();
        List<Adapter> adapters = new ArrayList<>();
        int[] of = new int[Math.toIntExact(x.size(0))];
        boolean[] joins = new boolean[of.length];
        int joined = 0;
        for (Group g : pass.groups()) {
            List<Projection> chain = g.hooks().stream().map(h -> h.projections().get(layer.path())).filter(Objects::nonNull).toList();
            Optional<Terms.LowRank> term = chain.size() == 1 ? chain.getFirst().lowRank(x, layer, pass.within(g)) : Optional.empty();
            boolean own = layer.weight().isOverridden(g) || layer.bias().isPresent() && layer.bias().get().isOverridden(g);
            if (own || chain.size() > term.stream().filter(t -> t.input() == x).count()) {
                others.add(g);
                continue;
            }
            joined++;
            for (int row : g.rows()) {
                joins[row] = true;
                of[row] = term.isPresent() ? adapters.size() : -1;
            }
            term.ifPresent(t -> adapters.add(new Adapter(t.down(), t.up(), t.scale())));
        }
        if (joined < 2) {
            return alone(pass);
        }
        List<Integer> rows = new ArrayList<>();
        for (int row = 0; row < of.length; row++) {
            if (joins[row]) {
                rows.add(row);
            }
        }
        Group together = new Group(rows, List.of());
        others.add(together);
        return new MixedRows(pass.with(others), Optional.of(together), adapters, rows.stream().mapToInt(row -> of[row]).toArray());
    }

    private static MixedRows alone(Pass pass) {
        return new MixedRows(pass, Optional.empty(), List.of(), new int[0]);
    }

    boolean isTogether(Group group) {
        return together.isPresent() && together.get() == group;
    }

    /** The terms of x added to {@code y}, which was made for this alone. */
    Var addTo(Var y, Var x) {
        if (adapters.isEmpty()) {
            return y;
        }
        int each = Math.toIntExact(x.tensor().numel() / Math.max(1, x.size(-1) * rows.length));
        int[] all = new int[rows.length * each];
        for (int i = 0; i < rows.length; i++) {
            Arrays.fill(all, i * each, (i + 1) * each, rows[i]);
        }
        return GroupedLowRank.addTo(y, x, adapters, all);
    }
}
