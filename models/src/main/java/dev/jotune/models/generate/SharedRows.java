package dev.jotune.models.generate;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.KvCache;
import dev.jotune.models.TokenTree;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Scope;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * The rows of a transformer whose texts' common beginnings are computed and stored once, in a {@link TokenTree}. Within the
 * cache rows are sorted by their text, so that those under one node are neighbours and read it together.
 */
final class SharedRows extends BatchRows {
    private final CausalLm model;
    private final Pass pass;
    private final int least;
    private final int room;
    private Optional<TokenTree> tree = Optional.empty();
    private KvCache cache;
    /** The row of the cache that a row of the batch is. */
    private int[] places;

    /**
     * @param least tokens that rows must have in common to share them
     * @param room tokens of its own that a row's cache holds at first
     */
    SharedRows(CausalLm model, Pass pass, LanguageModel as, int contextLength, int rows, int least, int room) {
        super(rows, as.vocabularySize(), contextLength);
        this.model = model;
        this.pass = pass;
        this.least = least;
        this.room = room;
    }

    @Override
    void advance(int[][] tokens, float[][] logits) {
        int rows = tokens.length;
        int[][] own = new int[rows][];
        int[] starts = new int[rows];
        boolean first = tree.isEmpty();
        if (first) {
            begin(tokens);
            for (int b = 0; b < rows; b++) {
                starts[places[b]] = tree.get().shared(places[b]);
                own[places[b]] = Arrays.copyOfRange(tokens[b], starts[places[b]], tokens[b].length);
            }
        } else {
            for (int b = 0; b < rows; b++) {
                starts[places[b]] = length(b);
                own[places[b]] = tokens[b];
            }
        }
        float[][] out = new float[rows][];
        for (int b = 0; b < rows; b++) {
            out[places[b]] = logits[b];
        }
        try (Scope _ = Scope.open()) {
            CachedRows.put(Recording.off(() -> {
                Var states = model.forward(CachedRows.input(model.backend(), own, starts, true), pass, Optional.of(cache)).text();
                return model.logits(states.slice(1, states.size(1) - 1, states.size(1)), pass).tensor();
            }).toFloatArray(), out);
        } catch (RuntimeException | Error e) {
            if (first) {
                // Nothing was read, so the next texts begin anew.
                release();
            }
            throw e;
        }
    }

    private void begin(int[][] tokens) {
        int[] sorted = IntStream.range(0, tokens.length).boxed().sorted(Comparator.comparing(b -> tokens[b], Arrays::compare))
                .mapToInt(Integer::intValue).toArray();
        places = inverse(sorted);
        TokenTree grown = TokenTree.of(model, pass, Arrays.stream(sorted).mapToObj(b -> tokens[b]).toArray(int[][]::new), least);
        try {
            cache = grown.newCache(room);
        } catch (RuntimeException | Error e) {
            grown.close();
            throw e;
        }
        tree = Optional.of(grown);
    }

    private static int[] inverse(int[] order) {
        int[] places = new int[order.length];
        for (int i = 0; i < order.length; i++) {
            places[order[i]] = i;
        }
        return places;
    }

    @Override
    void arrange(int[] rows) {
        if (tree.isEmpty()) {
            return;
        }
        int[] order = IntStream.range(0, rows.length).boxed().sorted(Comparator.comparing(i -> places[rows[i]]))
                .mapToInt(Integer::intValue).toArray();
        cache.reorder(Arrays.stream(order).map(i -> places[rows[i]]).toArray());
        places = inverse(order);
    }

    @Override
    void release() {
        tree.ifPresent(t -> {
            cache.free();
            t.close();
        });
        tree = Optional.empty();
    }
}
