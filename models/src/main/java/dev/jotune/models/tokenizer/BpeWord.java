package dev.jotune.models.tokenizer;

import java.util.Arrays;

/**
 * The symbols of one word while they are being merged: a linked list, and a heap of the merges that are possible.
 *
 * <p>A merge pushes at most two new candidates, so a word of n symbols costs O(n log n). Candidates whose symbols have
 * changed meanwhile stay in the heap and are recognised when they come up.
 */
final class BpeWord {

    private static final int NONE = -1;

    private int[] ids;
    private int[] starts;
    private int[] ends;
    private int[] previous = {};
    private int[] next = {};
    private int size;

    private long[] heap = {};
    private int heapSize;

    BpeWord(int expected) {
        ids = new int[Math.max(expected, 4)];
        starts = new int[ids.length];
        ends = new int[ids.length];
    }

    void add(int id, int start, int end) {
        if (size == ids.length) {
            ids = Arrays.copyOf(ids, size * 2);
            starts = Arrays.copyOf(starts, size * 2);
            ends = Arrays.copyOf(ends, size * 2);
        }
        ids[size] = id;
        starts[size] = start;
        ends[size++] = end;
    }

    /** Joins neighbours until none can be joined, the earliest merge first and the leftmost where they tie. */
    void merge(BpeMerges merges) {
        if (size < 2) {
            return;
        }
        previous = new int[size];
        next = new int[size];
        heap = new long[size];
        for (int i = 0; i < size; i++) {
            previous[i] = i - 1;
            next[i] = i + 1 < size ? i + 1 : NONE;
        }
        for (int i = 0; i + 1 < size; i++) {
            propose(merges, i, i + 1);
        }
        while (heapSize > 0) {
            long top = pop();
            int left = (int) top;
            int right = ids[left] == NONE ? NONE : next[left];
            if (right == NONE) {
                continue;
            }
            int result = merges.result((int) (top >>> 32));
            int rank = merges.rank(ids[left], ids[right]);
            if (rank == BpeMerges.NONE || merges.result(rank) != result) {
                continue;
            }
            ids[left] = result;
            ends[left] = ends[right];
            ids[right] = NONE;
            next[left] = next[right];
            if (next[left] != NONE) {
                previous[next[left]] = left;
                propose(merges, left, next[left]);
            }
            if (previous[left] != NONE) {
                propose(merges, previous[left], left);
            }
        }
    }

    /** The remaining symbols: id, start, end for each. */
    int[] tokens() {
        int[] tokens = new int[size * 3];
        int count = 0;
        for (int i = 0; i < size; i++) {
            if (ids[i] != NONE) {
                tokens[count++] = ids[i];
                tokens[count++] = starts[i];
                tokens[count++] = ends[i];
            }
        }
        return Arrays.copyOf(tokens, count);
    }

    private void propose(BpeMerges merges, int left, int right) {
        int rank = merges.rank(ids[left], ids[right]);
        if (rank != BpeMerges.NONE) {
            push((long) rank << 32 | left);
        }
    }

    private void push(long value) {
        if (heapSize == heap.length) {
            heap = Arrays.copyOf(heap, heapSize * 2);
        }
        int at = heapSize++;
        while (at > 0) {
            int parent = at - 1 >>> 1;
            if (heap[parent] <= value) {
                break;
            }
            heap[at] = heap[parent];
            at = parent;
        }
        heap[at] = value;
    }

    private long pop() {
        long top = heap[0];
        long value = heap[--heapSize];
        int at = 0;
        while (true) {
            int child = 2 * at + 1;
            if (child >= heapSize) {
                break;
            }
            if (child + 1 < heapSize && heap[child + 1] < heap[child]) {
                child++;
            }
            if (heap[child] >= value) {
                break;
            }
            heap[at] = heap[child];
            at = child;
        }
        heap[at] = value;
        return top;
    }
}
