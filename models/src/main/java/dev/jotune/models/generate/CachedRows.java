package dev.jotune.models.generate;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.DecoderInput;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;

/**
 * The rows of a transformer with a cache. Texts of unequal length are padded at their left: padding is masked and takes
 * no positions, so each row gets what it would get alone.
 */
final class CachedRows extends BatchRows implements StatefulBatch {

    private final CachedDecoder decoder;
    private final boolean keepStates;
    private boolean padded;
    private float[][][] states = new float[0][][];
    private int[] step = new int[0];

    CachedRows(CachedDecoder decoder, LanguageModel model, int contextLength, int rows, boolean keepStates) {
        super(rows, model.vocabularySize(), contextLength);
        this.decoder = decoder;
        // Rows that leave would otherwise take what they had before their texts out of the others' positions.
        this.padded = decoder.isMixed();
        this.keepStates = keepStates;
    }

    @Override
    void advance(int[][] tokens, float[][] logits) {
        if (isStep(tokens) && decoder.step(step, logits)) {
            return;
        }
        try (Scope _ = Scope.open()) {
            Recording.off(() -> {
                Var seen = decoder.states(input(tokens));
                long time = seen.size(1);
                put(decoder.logits(seen.slice(1, time - 1, time)).tensor().toFloatArray(), logits);
                if (keepStates) {
                    states = new float[tokens.length][][];
                    for (int b = 0; b < tokens.length; b++) {
                        states[b] = new float[tokens[b].length][decoder.stateSize()];
                        put(seen.slice(0, b, b + 1).slice(1, time - tokens[b].length, time).tensor().toFloatArray(), states[b]);
                    }
                }
                return seen;
            });
        }
    }

    /** Whether each row goes on by one token, which {@link #step} then holds. */
    private boolean isStep(int[][] tokens) {
        if (length(0) == 0 || keepStates) {
            return false;
        }
        if (step.length != tokens.length) {
            step = new int[tokens.length];
        }
        for (int b = 0; b < tokens.length; b++) {
            if (tokens[b].length != 1) {
                return false;
            }
            step[b] = tokens[b][0];
        }
        return true;
    }

    /** The rows as one tensor of ids, with mask and positions where some are shorter or were. */
    private DecoderInput input(int[][] tokens) {
        int[] starts = new int[tokens.length];
        for (int b = 0; b < tokens.length; b++) {
            padded |= tokens[b].length != tokens[0].length;
            starts[b] = length(b);
        }
        return input(decoder.backend(), tokens, starts, padded);
    }

    /**
     * Rows of unequal length as one tensor of ids.
     *
     * @param starts the position of each row's first token
     * @param placed whether to say where tokens stand; if not, they follow what the cache holds
     */
    static DecoderInput input(Backend backend, int[][] tokens, int[] starts, boolean placed) {
        int rows = tokens.length;
        int time = Arrays.stream(tokens).mapToInt(row -> row.length).max().orElseThrow();
        long[] ids = new long[rows * time];
        long[] positions = new long[ids.length];
        boolean[] real = new boolean[ids.length];
        for (int b = 0; b < rows; b++) {
            int padding = time - tokens[b].length;
            for (int t = padding; t < time; t++) {
                ids[b * time + t] = tokens[b][t - padding];
                positions[b * time + t] = starts[b] + t - padding;
                real[b * time + t] = true;
            }
        }
        DecoderInput input = DecoderInput.of(Tensor.of(backend, ids, rows, time));
        return placed ? input.withMask(Tensor.of(backend, real, rows, time)).withPositions(Tensor.of(backend, positions, rows, time))
                : input;
    }

    /** Cuts {@code values} into the rows of {@code out}. */
    static void put(float[] values, float[][] out) {
        for (int i = 0, at = 0; i < out.length; at += out[i].length, i++) {
            System.arraycopy(values, at, out[i], 0, out[i].length);
        }
    }

    @Override
    void arrange(int[] rows) {
        decoder.reorder(rows);
    }

    @Override
    public int stateSize() {
        return decoder.stateSize();
    }

    @Override
    public float[][] states(int row) {
        return states[row];
    }

    @Override
    void release() {
        decoder.free();
    }
}
