package dev.jotune.models.generate;

/**
 * Tokens from the largest key to the smallest, one by one: a binary heap, so that the first m of V tokens cost
 * O(V + m log V) where sorting all would cost O(V log V). Among equal keys the lower id comes first. Keys of negative
 * infinity are left out: those tokens are removed already.
 */
final class Ranking {

    private double[] keys = new double[0];
    private int[] heap = new int[0];
    private int size;

    void of(float[] logits) {
        reserve(logits.length);
        for (int i = 0; i < logits.length; i++) {
            add(i, logits[i]);
        }
        heapify();
    }

    /** Begins a ranking of n tokens by other keys: {@link #add} each, then {@link #heapify}. */
    void reserve(int n) {
        if (heap.length < n) {
            keys = new double[n];
            heap = new int[n];
        }
        size = 0;
    }

    void add(int token, double key) {
        keys[token] = key;
        if (key != Double.NEGATIVE_INFINITY) {
            heap[size++] = token;
        }
    }

    void heapify() {
        for (int i = size / 2 - 1; i >= 0; i--) {
            sink(i);
        }
    }

    boolean isEmpty() {
        return size == 0;
    }

    /** The token that {@link #next} would take. */
    int peek() {
        return heap[0];
    }

    double key(int token) {
        return keys[token];
    }

    int next() {
        int top = heap[0];
        heap[0] = heap[--size];
        sink(0);
        return top;
    }

    /** Removes the tokens not taken yet. */
    void removeRest(float[] logits) {
        for (int i = 0; i < size; i++) {
            logits[heap[i]] = Float.NEGATIVE_INFINITY;
        }
    }

    private void sink(int from) {
        if (from >= size) {
            return;
        }
        int token = heap[from];
        int i = from;
        while (true) {
            int child = 2 * i + 1;
            if (child >= size) {
                break;
            }
            if (child + 1 < size && before(heap[child + 1], heap[child])) {
                child++;
            }
            if (!before(heap[child], token)) {
                break;
            }
            heap[i] = heap[child];
            i = child;
        }
        heap[i] = token;
    }

    private boolean before(int a, int b) {
        return keys[a] > keys[b] || (keys[a] == keys[b] && a < b);
    }
}
