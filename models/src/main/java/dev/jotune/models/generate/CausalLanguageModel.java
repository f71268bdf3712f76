package dev.jotune.models.generate;

import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.TokenSteps;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.VirtualTokens;
import dev.jotune.tensor.Backend;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * A transformer under the adapters of a pass, as a language model that decodes with a KV cache. A prompt is one
 * forward pass; only its last token goes through the output head. What is virtual or prefixed takes its share of the
 * context and lies in the cache before the text, so that going back never touches it.
 */
public final class CausalLanguageModel implements StatefulModel {
    /** Tokens that a session's cache has room for at first; it doubles as needed. */
    private static final int ROOM = 64;

    private final CausalLm model;
    private final Supplier<Pass> pass;
    private final int blockSize;
    private final int leastShared;

    /** Always under the same adapters. */
    public CausalLanguageModel(CausalLm model, Pass pass) {
        this(model, () -> pass);
    }

    /**
     * Under the adapters that {@code pass} names when a session opens, such as {@code model.seams()::inference} for
     * those active then.
     */
    public CausalLanguageModel(CausalLm model, Supplier<Pass> pass) {
        this(model, pass, 0, 0);
    }

    private CausalLanguageModel(CausalLm model, Supplier<Pass> pass, int blockSize, int leastShared) {
        this.model = model;
        this.pass = pass;
        this.blockSize = blockSize;
        this.leastShared = leastShared;
    }

    /**
     * The same model with caches that store blocks of some tokens, shared by rows where their texts are the same: less
     * memory for beams and for many texts that begin alike, at the price of more segments to attend to.
     *
     * @throws IllegalArgumentException if a block is to hold no token
     */
    public CausalLanguageModel inBlocks(int size) {
        return new CausalLanguageModel(model, pass, Require.atLeast("The number of tokens of a block", size, 1, "16 is usual."), 0);
    }

    /**
     * The same model, where the texts of a batch share what they begin with: keys and values of a common beginning are
     * computed and stored once, and all rows under it attend to it together (see {@link dev.jotune.models.PrefixTree}). Each
     * text is what it would be alone. A model whose angles depend on the text's length reads every row as ever.
     *
     * @param least how many tokens texts must have in common to share them
     * @throws IllegalArgumentException if that is none
     */
    public CausalLanguageModel sharingPrefixes(int least) {
        return new CausalLanguageModel(model, pass, 0, Require.atLeast("The least shared length", least, 1, "16 is usual."));
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
            throw new IllegalArgumentException("the pass has " + pass.groups().size() + " groups of rows, but all texts of a "
                    + "model run under the same adapters. Give a pass with the adapters of those texts.");
        }
        return pass.groups().getFirst();
    }

    @Override
    public boolean readsUnequal() {
        return model.readsIndependently();
    }

    @Override
    public Session open() {
        Pass chosen = pass.get();
        return new CachedSession(causal(chosen, 1), this, contextLength(group(chosen)));
    }

    @Override
    public BatchSession openBatch(int rows) {
        if (leastShared > 0 && model.readsIndependently()) {
            Pass chosen = pass.get();
            return new SharedRows(model, chosen, this, contextLength(group(chosen)), rows, leastShared, ROOM);
        }
        return open(rows, false);
    }

    @Override
    public StatefulBatch openStateful(int rows) {
        return open(rows, true);
    }

    private CachedRows open(int rows, boolean keepStates) {
        Pass chosen = pass.get();
        return new CachedRows(causal(chosen, rows), this, contextLength(group(chosen)), rows, keepStates);
    }

    private Causal causal(Pass chosen, int rows) {
        Causal causal = new Causal(model, chosen, group(chosen), rows);
        if (blockSize > 0) {
            causal.cache().inBlocks(blockSize);
        }
        return causal;
    }

    private static final class Causal implements CachedDecoder {
        private final CausalLm model;
        private final Pass pass;
        private final long virtualTokens;
        private final boolean readsFirst;
        private final DecoderCache cache;
        private Optional<TokenSteps> steps = Optional.empty();
        private boolean asked;

        Causal(CausalLm model, Pass pass, Group group, int rows) {
            this.model = model;
            this.pass = pass;
            this.virtualTokens = group.virtualTokens(model.input().name());
            this.readsFirst = group.tokensAt(model.input().name()).stream().anyMatch(VirtualTokens::readText);
            this.cache = model.newCache(rows, virtualTokens + ROOM);
        }

        @Override
        public Backend backend() {
            return model.backend();
        }

        @Override
        public int stateSize() {
            return model.hiddenSize();
        }

        @Override
        public long virtualTokens() {
            return virtualTokens;
        }

        @Override
        public boolean readsFirst() {
            return readsFirst;
        }

        @Override
        public DecoderCache cache() {
            return cache;
        }

        @Override
        public boolean readsIndependently() {
            return model.readsIndependently();
        }

        @Override
        public Var states(DecoderInput input) {
            return model.forward(input, pass, Optional.of(cache)).text();
        }

        @Override
        public Var logits(Var states) {
            return model.logits(states, pass);
        }

        @Override
        public boolean step(int token, float[] logits) {
            if (!asked && cache.batch() == 1) {
                // A text's prompt is read the general way: only who goes on from there asks for steps.
                asked = true;
                steps = model.steps(pass, cache);
            }
            return steps.isPresent() && steps.get().read(token, logits);
        }

        @Override
        public void reorder(int[] rows) {
            cache.reorder(rows);
        }

        @Override
        public void free() {
            steps.ifPresent(TokenSteps::close);
            cache.free();
        }
    }
}
