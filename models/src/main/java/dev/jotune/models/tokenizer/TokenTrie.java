package dev.jotune.models.tokenizer;

/** A set of strings, for finding the longest one that begins at a place in a text. */
final class TokenTrie {

    static final int ABSENT = -1;
    static final int ROOT = 0;
    /** Looking for a string costs up to its length at every place of a text. */
    static final int LONGEST = 1024;

    private final LongIntMap children = new LongIntMap(64);
    private final LongIntMap values = new LongIntMap(16);
    private int nodes = 1;

    /** Adds a string that is not empty. */
    void add(String content, int value) {
        int node = ROOT;
        for (int c : content.codePoints().toArray()) {
            int child = children.get(LongIntMap.pair(node, c));
            if (child == LongIntMap.ABSENT) {
                child = nodes++;
                children.put(LongIntMap.pair(node, c), child);
            }
            node = child;
        }
        values.put(node, value);
    }

    /** The node that {@code codePoint} leads to from {@code node}, or {@link #ABSENT}. */
    int child(int node, int codePoint) {
        return children.get(LongIntMap.pair(node, codePoint));
    }

    /** The value of the string that ends at {@code node}, or {@link #ABSENT}. */
    int value(int node) {
        return values.get(node);
    }

    boolean isEmpty() {
        return nodes == 1;
    }

    /** Value and end of the longest string that begins at {@code from}, packed by {@link LongIntMap#pair}, or -1. */
    long longest(NormalizedText text, int from) {
        long best = ABSENT;
        int node = ROOT;
        for (int i = from; i < text.length(); i++) {
            node = child(node, text.codePoint(i));
            if (node == ABSENT) {
                break;
            }
            int value = value(node);
            if (value != ABSENT) {
                best = LongIntMap.pair(value, i + 1);
            }
        }
        return best;
    }
}
