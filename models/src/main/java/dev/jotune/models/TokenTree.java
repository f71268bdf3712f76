package dev.jotune.models;

import dev.jotune.autograd.Recording;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The beginnings that prompts of a batch have in common, as a tree (a system prompt, under it sets of examples, under them
 * problems), with the keys and values of each part computed and stored once, after Hydragen (Juravsky et al., arXiv
 * 2402.05099). Rows decode behind it with a cache of their own tokens: {@link #newCache}.
 *
 * <p>Memory: {@code 2 L G D} elements for each token of a node, whatever the number of rows under it.
 */
public final class TokenTree implements AutoCloseable {
    private final CausalLm model;
    private final Pass pass;
    private final int least;
    private final int[][] prompts;
    private final List<Node> nodes = new ArrayList<>();
    private final List<List<Node>> paths = new ArrayList<>();
    private final int[] shared;

    /**
     * A part of a prompt.
     *
     * @param tokens of the text
     * @param stored keys of a layer: the tokens, and the virtual ones that stand before a text
     * @param keys {@code [1, G, stored, D]} of each layer
     * @param values of the same shapes
     */
    record Node(int[] tokens, long stored, Tensor[] keys, Tensor[] values) {
        long bytes() {
            return Arrays.stream(keys).mapToLong(t -> t.storage().byteSize()).sum()
                    + Arrays.stream(values).mapToLong(t -> t.storage().byteSize()).sum();
        }

        /** A node is itself: two with the same text may stand at different places. */
        @Override
        public boolean equals(Object o) {
            return this == o;
        }

        @Override
        public int hashCode() {
            return System.identityHashCode(this);
        }
    }

    private TokenTree(CausalLm model, Pass pass, int[][] prompts, int least) {
        this.model = model;
        this.pass = pass;
        this.least = least;
        this.prompts = prompts;
        this.shared = new int[prompts.length];
        for (int i = 0; i < prompts.length; i++) {
            paths.add(new ArrayList<>());
        }
    }

    /**
     * Finds what the prompts have in common and computes it. The last token of a prompt is never shared: its logits are
     * what the row goes on with. Behind virtual tokens that depend on the text nothing is common.
     *
     * @param pass the adapters of all rows
     * @param prompts token ids, at least one each; rows that share much should be neighbours, so that they are read together
     * @param least how many tokens rows must have in common to share them
     * @throws IllegalArgumentException if rows run under different adapters, or the model cannot go on behind shared keys:
     *     one that keeps a state instead, that sees a window, or whose angles depend on the text's length
     */
    public static TokenTree of(CausalLm model, Pass pass, int[][] prompts, int least) {
        if (!pass.isUniform()) {
            throw new IllegalArgumentException("a pass with " + pass.groups().size() + " groups of rows computes different keys for them. "
                    + "Share prefixes among rows under the same adapters.");
        }
        if (least < 1 || Arrays.stream(prompts).anyMatch(p -> p.length == 0)) {
            throw new IllegalArgumentException("prompts of at least one token are needed, and a least shared length of 1 or more, not " + least);
        }
        DecoderCache usual = model.newCache(1, 1);
        usual.free();
        if (!(usual instanceof KvCache)) {
            throw new IllegalArgumentException("a " + model.modelType() + " model keeps a " + usual.getClass().getSimpleName()
                    + ", whose beginning cannot be shared. Decode without sharing prefixes.");
        }
        TokenTree tree = new TokenTree(model, pass, prompts, least);
        try {
            tree.grow();
        } catch (RuntimeException | Error e) {
            tree.close();
            throw e;
        }
        return tree;
    }

    private void grow() {
        List<Integer> all = new ArrayList<>();
        for (int i = 0; i < prompts.length; i++) {
            all.add(i);
        }
        String input = model.input().name();
        if (pass.groups().getFirst().readsText(input)) {
            // Each text has virtual tokens of its own, and what stands behind them depends on these.
            return;
        }
        // Virtual tokens stand before the first part, so there must be one for all.
        boolean virtual = pass.groups().getFirst().virtualTokens(input) > 0;
        if (!virtual || common(all, 0) >= least) {
            branch(all, 0, 0);
        }
    }

    /** Tokens that the rows have in common, given that {@code from} are. */
    private int common(List<Integer> rows, int from) {
        int[] first = prompts[rows.getFirst()];
        int to = rows.stream().mapToInt(r -> prompts[r].length - 1).min().orElseThrow();
        for (int i = from; i < to; i++) {
            for (int r : rows) {
                if (prompts[r][i] != first[i]) {
                    return i;
                }
            }
        }
        return Math.max(from, to);
    }

    /**
     * Makes the nodes of rows that agree up to {@code known}, of which {@code placed} tokens have nodes already: a part that is too
     * short for a node of its own becomes the beginning of those under it.
     */
    private void branch(List<Integer> rows, int placed, int known) {
        int end = rows.size() < 2 ? known : common(rows, known);
        int start = placed;
        if (rows.size() >= 2 && end - placed >= least) {
            Node node = compute(paths.get(rows.getFirst()), Arrays.copyOfRange(prompts[rows.getFirst()], placed, end));
            for (int r : rows) {
                paths.get(r).add(node);
                shared[r] = end;
            }
            start = end;
        }
        Map<Integer, List<Integer>> byNext = new LinkedHashMap<>();
        for (int r : rows) {
            if (prompts[r].length - 1 > end) {
                byNext.computeIfAbsent(prompts[r][end], _ -> new ArrayList<>()).add(r);
            }
        }
        for (List<Integer> alike : byNext.values()) {
            if (alike.size() >= 2) {
                branch(alike, start, end);
            }
        }
    }

    private Node compute(List<Node> path, int[] tokens) {
        KvCache cache = cache(List.of(List.copyOf(path)), tokens.length, true);
        try (Scope _ = Scope.open()) {
            long[] ids = Arrays.stream(tokens).asLongStream().toArray();
            DecoderInput input = DecoderInput.of(Tensor.of(model.backend(), ids, 1, ids.length));
            Recording.off(() -> model.forward(input, pass, Optional.of(cache)));
            int layers = model.seams().attentions().size();
            Tensor[] keys = new Tensor[layers];
            Tensor[] values = new Tensor[layers];
            for (int i = 0; i < layers; i++) {
                KvCache.Stored stored = cache.stored(i);
                keys[i] = Scope.detach(stored.keys().copy());
                values[i] = Scope.detach(stored.values().copy());
            }
            Node node = new Node(tokens, cache.length(), keys, values);
            nodes.add(node);
            return node;
        } finally {
            cache.free();
        }
    }

    private KvCache cache(List<List<Node>> rows, long capacity, boolean shares) {
        List<AttentionSite> sites = model.seams().attentions();
        DType type = model.computeType();
        return new KvCache(model.backend(), type, sites, rows.size(), capacity,
                new TreeStorage(rows, new DenseStorage(model.backend(), type, sites, rows.size(), capacity), shares));
    }

    /** A cache for the prompts' rows, in their order, each behind its part of the tree; the tree must stay open as long. */
    public KvCache newCache(long capacity) {
        return cache(paths.stream().map(List::copyOf).toList(), capacity, !nodes.isEmpty());
    }

    /** How many tokens of a prompt the tree holds; the row reads what follows. */
    public int shared(int row) {
        return shared[row];
    }

    /** How many parts the tree has. */
    public int nodes() {
        return nodes.size();
    }

    /** Tokens of all parts. */
    public long tokens() {
        return nodes.stream().mapToLong(n -> n.tokens().length).sum();
    }

    /** Bytes of the keys and values of all parts. */
    public long bytes() {
        return nodes.stream().mapToLong(Node::bytes).sum();
    }

    /** Gives the memory back; caches behind the tree are of no use afterwards. */
    @Override
    public void close() {
        for (Node node : nodes) {
            Arrays.stream(node.keys()).forEach(t -> t.storage().free());
            Arrays.stream(node.values()).forEach(t -> t.storage().free());
        }
        nodes.clear();
    }
}
