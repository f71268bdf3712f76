package dev.jotune.models.generate;

import dev.jotune.autograd.Var;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.tensor.Backend;

/** A model that writes, under the adapters of a pass and with its cache: what sessions and batches need of it. */
interface CachedDecoder {

    Backend backend();

    /** C, of {@link #states}. */
    int stateSize();

    /** What adapters put before the text when the cache is empty; the cache holds it too. */
    long virtualTokens();

    /** Whether these depend on the instruction that the first pass reads, so that going back into it means to begin again. */
    boolean readsFirst();

    DecoderCache cache();

    /** Whether rows run under different adapters, so that what stands before their texts may differ in length. */
    boolean isMixed();

    /** Whether what is read after a token in the same pass leaves its logits what they are. */
    boolean readsIndependently();

    /** The final states {@code [B, T, C]} of new tokens of the text, which the cache then holds. */
    Var states(DecoderInput input);

    /** Next-token logits {@code [B, T, V]}. */
    Var logits(Var states);

    /**
     * Reads one token of each row by prepared steps.
     *
     * @param tokens [B]
     * @param logits [B][V] takes the logits after them
     * @return false if there are none for them: nothing was done
     */
    boolean step(int[] tokens, float[][] logits);

    /** Makes row i go on from old row {@code rows[i]}, in the cache and in whatever else is kept of rows. */
    void reorder(int[] rows);

    void free();
}
