package dev.jotune.models.generate;

import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/** A vocabulary as a trie of the bytes that its tokens write. Tokens that write nothing are not in it. */
final class ByteTrie {

    private final byte[][] bytes;
    private final int[] firstChild;
    private final int[] nextSibling;
    private final byte[] label;
    /** The first token that ends at a node, and after each token the next one; -1 where there is none. */
    private final int[] firstToken;
    private final int[] nextToken;
    private final int depth;
    private int nodes = 1;

    /** Hears of the tokens that may come. */
    @FunctionalInterface
    interface Visitor {
        void token(int token, int state);
    }

    /**
     * @param bytes of each token
     */
    ByteTrie(byte[][] bytes) {
        this.bytes = bytes;
        int most = 1 + Arrays.stream(bytes).mapToInt(b -> b.length).sum();
        firstChild = filled(most);
        nextSibling = filled(most);
        firstToken = filled(most);
        nextToken = filled(bytes.length);
        label = new byte[most];
        depth = Arrays.stream(bytes).mapToInt(b -> b.length).max().orElse(0);
        // In order, each token's path is that of the one before up to where they part.
        Integer[] order = IntStream.range(0, bytes.length).boxed().toArray(Integer[]::new);
        Arrays.sort(order, Comparator.comparing((Integer i) -> bytes[i], Arrays::compareUnsigned));
        int[] path = new int[depth + 1];
        byte[] before = new byte[0];
        for (int token : order) {
            byte[] own = bytes[token];
            if (own.length == 0) {
                continue;
            }
            int shared = Arrays.mismatch(before, own);
            for (int i = shared < 0 ? own.length : shared; i < own.length; i++) {
                path[i + 1] = add(path[i], own[i]);
            }
            nextToken[token] = firstToken[path[own.length]];
            firstToken[path[own.length]] = token;
            before = own;
        }
    }

    private static int[] filled(int size) {
        int[] array = new int[size];
        Arrays.fill(array, -1);
        return array;
    }

    private int add(int parent, byte value) {
        int node = nodes++;
        label[node] = value;
        nextSibling[node] = firstChild[parent];
        firstChild[parent] = node;
        return node;
    }

    /** What a token writes; nothing for one that is not in the vocabulary. */
    byte[] bytes(int token) {
        return token < bytes.length ? bytes[token] : new byte[0];
    }

    /** Whether some token writes just this byte. */
    boolean hasByte(int value) {
        for (int node = firstChild[0]; node >= 0; node = nextSibling[node]) {
            if ((label[node] & 0xFF) == value) {
                return firstToken[node] >= 0;
            }
        }
        return false;
    }

    /**
     * Visits every token that an automaton can read in a state, with the state after it.
     *
     * @param table [states * 256] the state after a byte, negative if there is none
     */
    void walk(int[] table, int state, Visitor visitor) {
        int[] states = new int[depth + 1];
        int[] pending = new int[depth + 1];
        int level = 0;
        states[0] = state;
        pending[0] = firstChild[0];
        while (level >= 0) {
            int node = pending[level];
            if (node < 0) {
                level--;
                continue;
            }
            pending[level] = nextSibling[node];
            int after = table[states[level] * 256 + (label[node] & 0xFF)];
            if (after < 0) {
                continue;
            }
            for (int token = firstToken[node]; token >= 0; token = nextToken[token]) {
                visitor.token(token, after);
            }
            if (firstChild[node] >= 0) {
                level++;
                states[level] = after;
                pending[level] = firstChild[node];
            }
        }
    }
}
