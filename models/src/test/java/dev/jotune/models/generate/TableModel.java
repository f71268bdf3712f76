package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/**
 * A toy model: any function from a history to logits. It keeps what it "cached" and fails where the engine's idea of
 * the cache and its own differ, and it records how it was called.
 */
final class TableModel implements LanguageModel {

    private final int vocabularySize;
    private final int contextLength;
    private final Function<int[], float[]> table;
    /** One entry for each forward pass: the numbers of tokens read. */
    final List<Integer> passes = new ArrayList<>();
    int open;
    /** How often logits after several tokens were asked for at once. */
    int verified;
    private int longest;
    /** Goes back further than asked. */
    boolean forgetful;
    /** Fails the next forward pass. */
    boolean broken;

    TableModel(int vocabularySize, int contextLength, Function<int[], float[]> table) {
        this.vocabularySize = vocabularySize;
        this.contextLength = contextLength;
        this.table = table;
    }

    /** Logits by the last token: [V][V]. */
    static TableModel bigram(float[][] rows) {
        return new TableModel(rows[0].length, Integer.MAX_VALUE, history -> rows[history[history.length - 1]]);
    }

    /** The same logits always. */
    static TableModel constant(float... logits) {
        return new TableModel(logits.length, Integer.MAX_VALUE, history -> logits);
    }

    /** Always the token after the last one, by a wide margin; V wraps round to 0. */
    static TableModel counting(int vocabularySize, int contextLength) {
        return new TableModel(vocabularySize, contextLength, history -> {
            float[] logits = new float[vocabularySize];
            logits[(history[history.length - 1] + 1) % vocabularySize] = 20;
            return logits;
        });
    }

    /** Depends on every token and its place, so that a wrong history shows. */
    static TableModel hashing(int vocabularySize, long salt) {
        return new TableModel(vocabularySize, Integer.MAX_VALUE, history -> {
            float[] logits = new float[vocabularySize];
            for (int i = 0; i < vocabularySize; i++) {
                long hash = salt * 31 + i;
                for (int token : history) {
                    hash = hash * 0x9E3779B97F4A7C15L + token + 1;
                    hash ^= hash >>> 29;
                }
                logits[i] = (hash >>> 40) * 0x1p-22f - 2;
            }
            return logits;
        });
    }

    float[] at(int... history) {
        return table.apply(history).clone();
    }

    /** The most tokens that a text had when it was read; then begins anew. */
    int longest() {
        int most = longest;
        longest = 0;
        return most;
    }

    @Override
    public int vocabularySize() {
        return vocabularySize;
    }

    @Override
    public int contextLength() {
        return contextLength;
    }

    @Override
    public Session open() {
        open++;
        return new IncrementalSession(this) {

            private int[] cache = new int[0];

            @Override
            protected void advance(int[] history, int from, int to, float[] logits) {
                if (broken) {
                    broken = false;
                    cache = Arrays.copyOf(cache, to);
                    throw new IllegalStateException("The pass was made to fail. Try again.");
                }
                if (from != cache.length || !Arrays.equals(cache, 0, from, history, 0, from)) {
                    throw new AssertionError("Cached " + Arrays.toString(cache) + ", asked to go on at " + from
                            + " of " + Arrays.toString(Arrays.copyOf(history, to)));
                }
                passes.add(to - from);
                cache = Arrays.copyOf(history, to);
                longest = Math.max(longest, to);
                System.arraycopy(table.apply(cache), 0, logits, 0, logits.length);
            }

            @Override
            protected void advance(int[] history, int from, int to, float[][] logits) {
                verified++;
                super.advance(history, from, to, logits);
            }

            @Override
            protected int truncate(int length) {
                // A model whose state cannot go back far keeps less than asked.
                int kept = forgetful ? length / 2 : length;
                cache = Arrays.copyOf(cache, kept);
                return kept;
            }

            @Override
            protected void release() {
                open--;
            }
        };
    }
}
