package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.models.TokenTree.Node;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Rows that begin with nodes of a {@link TokenTree}, which are not theirs, and go on with tokens of their own. */
final class TreeStorage implements KvStorage {
    private final KvStorage own;
    private final boolean shares;
    private List<List<Node>> paths;

    /**
     * @param paths the nodes that each row begins with, from the root on
     * @param shares whether any row begins with nodes, or is to be one
     */
    TreeStorage(List<List<Node>> paths, KvStorage own, boolean shares) {
        this.shares = shares;
        this.paths = List.copyOf(paths);
        this.own = own;
    }

    @Override
    public long before(int row) {
        return paths.get(row).stream().mapToLong(Node::stored).sum();
    }

    @Override
    public void reserve(long from, long to) {
        own.reserve(from, to);
    }

    @Override
    public void write(int layer, long from, Tensor k, Tensor v) {
        own.write(layer, from, k, v);
    }

    @Override
    public List<Segment> segments(int layer, long length, Visible visible) {
        if (shares && visible.window() > 0) {
            throw new IllegalArgumentException("layer " + layer + " sees only the last " + visible.window() + " tokens, and a shared prefix "
                    + "lies at another distance from each query. Decode without sharing prefixes.");
        }
        List<Segment> segments = new ArrayList<>();
        int depth = paths.stream().mapToInt(List::size).max().orElse(0);
        for (int d = 0; d < depth; d++) {
            for (int row = 0; row < paths.size(); ) {
                Node node = at(row, d);
                int last = row + 1;
                while (last < paths.size() && at(last, d) == node) {
                    last++;
                }
                if (node != null) {
                    segments.add(Segment.shared(Var.constant(node.keys()[layer]), Var.constant(node.values()[layer]), row, last));
                }
                row = last;
            }
        }
        segments.addAll(own.segments(layer, length, visible));
        return segments;
    }

    private Node at(int row, int depth) {
        return depth < paths.get(row).size() ? paths.get(row).get(depth) : null;
    }

    /** What rows have of their own. */
    @Override
    public KvCache.Stored stored(int layer, long length) {
        return own.stored(layer, length);
    }

    @Override
    public void truncate(long length) {
        own.truncate(length);
    }

    @Override
    public void reorder(int[] rows, long length) {
        List<List<Node>> before = paths;
        paths = Arrays.stream(rows).mapToObj(before::get).toList();
        own.reorder(rows, length);
    }

    /** Of the rows' own tokens, and once of each node that a row begins with. */
    @Override
    public long bytes() {
        Set<Node> nodes = new HashSet<>();
        paths.forEach(nodes::addAll);
        return own.bytes() + nodes.stream().mapToLong(Node::bytes).sum();
    }

    @Override
    public void free() {
        own.free();
    }
}
