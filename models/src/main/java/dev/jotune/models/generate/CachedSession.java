package dev.jotune.models.generate;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.DecoderInput;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;

/**
 * One text of a transformer with a cache. What is virtual or prefixed lies in the cache before the text, so going back
 * never touches it.
 */
final class CachedSession extends IncrementalSession {

    private final CachedDecoder decoder;
    private final int[] step = new int[1];
    private final float[][] stepLogits = new float[1][];
    /** How long the text was before the last pass. */
    private int lastPass;
    /** How many tokens of the first pass were the instruction. */
    private int instruction;

    CachedSession(CachedDecoder decoder, LanguageModel model, int contextLength) {
        super(model.vocabularySize(), contextLength);
        this.decoder = decoder;
    }

    @Override
    protected void advance(int[] history, int from, int to, float[] logits) {
        if (to - from == 1 && from > 0 && isRead(history[from], logits)) {
            lastPass = from;
        } else {
            pass(history, from, to, logits);
        }
    }

    private boolean isRead(int token, float[] logits) {
        step[0] = token;
        stepLogits[0] = logits;
        return decoder.step(step, stepLogits);
    }

    @Override
    protected void advance(int[] history, int from, int to, float[][] logits) {
        if (decoder.readsIndependently()) {
            pass(history, from, to, logits);
        } else {
            super.advance(history, from, to, logits);
        }
    }

    private void pass(int[] history, int from, int to, float[]... logits) {
        lastPass = from;
        try (Scope _ = Scope.open()) {
            long[] ids = new long[to - from];
            for (int i = from; i < to; i++) {
                ids[i - from] = history[i];
            }
            CachedRows.put(Recording.off(() -> {
                DecoderInput input = DecoderInput.of(Tensor.of(decoder.backend(), ids, 1, ids.length));
                Var states = decoder.states(from == 0 && decoder.readsFirst() ? instructed(input, to) : input);
                return decoder.logits(states.slice(1, ids.length - logits.length, ids.length)).tensor();
            }).toFloatArray(), logits);
        }
    }

    /** What was drafted or written and is read with the prompt is no part of the instruction. */
    private DecoderInput instructed(DecoderInput input, int length) {
        instruction = Math.min(prompt(), length);
        boolean[] given = new boolean[length];
        Arrays.fill(given, 0, instruction, true);
        return input.withInstruction(Tensor.of(decoder.backend(), given, 1, length));
    }

    /** A state, unlike keys and values, can go back to where a pass began only, or to the start. */
    @Override
    protected int truncate(int length) {
        if (decoder.readsFirst() && length < instruction) {
            return cut(0);
        }
        try {
            return cut(length);
        } catch (UnsupportedOperationException e) {
            try {
                return cut(lastPass < length ? lastPass : 0);
            } catch (UnsupportedOperationException f) {
                return cut(0);
            }
        }
    }

    /** The first pass puts the virtual tokens before the text; without text they are read again. */
    private int cut(int length) {
        long kept = length == 0 ? 0 : decoder.virtualTokens() + length;
        // Shorter already if a pass failed before it wrote.
        decoder.cache().truncate(Math.min(kept, decoder.cache().length()));
        return length;
    }

    @Override
    protected void release() {
        decoder.free();
    }
}
