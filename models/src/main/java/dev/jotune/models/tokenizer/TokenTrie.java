package dev.jotune.models.tokenizer;

/** A set of strings, for finding the longest one that begins at a place in a text. */
final class TokenTrie {

    static final int ABSENT = -1;
    /** Looking for a string costs up to its length at every place of a text. */
    static final int LONGEST = 1024;

    private final LongIntMap children = new LongIntMap(64);
    private final LongIntMap values = new LongIntMap(16);
    private int nodes = 1;

    /** Adds a string that is not empty. */
    void add(String content, int value) {
        int node = 0;
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

    boolean isEmpty() {
        return nodes == 1;
    }

    /** Value and end of the longest string that begins at {@code from}, packed by {@link LongIntMap#pair}, or -1. */
    long longest(NormalizedText text, int from) {
        long best = ABSENT;
        int node = 0;
        for (int i = from; i < text.length(); i++) {
            node = children.get(LongIntMap.pair(node, text.codePoint(i)));
            if (node == LongIntMap.ABSENT) {
                break;
            }
            int value = values.get(node);
            if (value != LongIntMap.ABSENT) {
                best = LongIntMap.pair(value, i + 1);
            }
        }
        return best;
    }
}
