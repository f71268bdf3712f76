package dev.jotune.models.generate;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * A transformer under the adapters of a pass, as a language model that decodes with a KV cache. A prompt is one
 * forward pass; only its last token goes through the output head. What is virtual or prefixed takes its share of the
 * context and lies in the cache before the text, so that going back never touches it.
 */
public final class CausalLanguageModel implements LanguageModel {
    /** Tokens that a session's cache has room for at first; it doubles as needed. */
    private static final int ROOM = 64;

    private final CausalLm model;
    private final Supplier<Pass> pass;

    /** Always under the same adapters. */
    public CausalLanguageModel(CausalLm model, Pass pass) {
        this(model, () -> pass);
    }

    /**
     * Under the adapters that {@code pass} names when a session opens, such as {@code model.seams()::inference} for
     * those active then.
     */
    public CausalLanguageModel(CausalLm model, Supplier<Pass> pass) {
        this.model = model;
        this.pass = pass;
    }

    @Override
    public int vocabularySize() {
        return model.vocabularySize();
    }

    /** Tokens of text that fit beside what the adapters add. */
    @Override
    public int contextLength() {
        return contextLength(group(pass.get()));
    }

    private int contextLength(Group group) {
        return (int) Math.max(0, model.contextLength() - group.virtualTokens(model.input().name()) - group.segmentPositions(model.input().name()));
    }

    private static Group group(Pass pass) {
        if (!pass.isUniform()) {
            throw new IllegalArgumentException("the pass has " + pass.groups().size()
                    + " groups of rows, but a session "
                    + "is one text. Give a pass with the adapters of that text.");
        }
        return pass.groups().getFirst();
    }

    @Override
    public Session open() {
        Pass chosen = pass.get();
        return new CachedSession(this, chosen, group(chosen));
    }

    private static final class CachedSession extends IncrementalSession {
        private final CausalLm model;
        private final Pass pass;
        private final long virtualTokens;
        private final DecoderCache cache;

        CachedSession(CausalLanguageModel owner, Pass pass, Group group) {
            super(owner.vocabularySize(), owner.contextLength(group));
            this.model = owner.model;
            this.pass = pass;
            this.virtualTokens = group.virtualTokens(model.input().name());
            this.cache = model.newCache(1, virtualTokens + ROOM);
        }

        @Override
        protected void advance(int[] history, int from, int to, float[] logits) {
            try (Scope _ = Scope.open()) {
                float[] last = Recording.off(() -> read(history, from, to)).toFloatArray();
                System.arraycopy(last, 0, logits, 0, logits.length);
            }
        }

        private Tensor read(int[] history, int from, int to) {
            long[] ids = new long[to - from];
            for (int i = from; i < to; i++) {
                ids[i - from] = history[i];
            }
            DecoderInput input = DecoderInput.of(Tensor.of(model.backend(), ids, 1, ids.length));
            Var states = model.forward(input, pass, Optional.of(cache)).states();
            return model.logits(states.slice(1, states.size(1) - 1, states.size(1)), pass).tensor();
        }

        /** The first pass puts the virtual tokens before the text; without text they are read again. */
        @Override
        protected void truncate(int length) {
            long kept = length == 0 ? 0 : virtualTokens + length;
            // Shorter already if a pass failed before it wrote.
            cache.truncate(Math.min(kept, cache.length()));
        }

        @Override
        protected void release() {
            cache.free();
        }
    }
}
