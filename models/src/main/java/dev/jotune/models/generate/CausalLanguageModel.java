package dev.jotune.models.generate;

import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.KvCache;
import dev.jotune.models.TokenSteps;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backend;
import java.util.List;
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
    /** Whether sessions ask for the adapters before everything they read. */
    private final boolean swapping;

    /** Always under the same adapters. */
    public CausalLanguageModel(CausalLm model, Pass pass) {
        this(model, () -> pass);
    }

    /**
     * Under the adapters that {@code pass} names when a session opens, such as {@code model.seams()::inference} for
     * those active then.
     */
    public CausalLanguageModel(CausalLm model, Supplier<Pass> pass) {
        this(model, pass, 0, 0, false);
    }

    private CausalLanguageModel(CausalLm model, Supplier<Pass> pass, int blockSize, int leastShared, boolean swapping) {
        this.model = model;
        this.pass = pass;
        this.blockSize = blockSize;
        this.leastShared = leastShared;
        this.swapping = swapping;
    }

    /**
     * The same model whose sessions ask for the adapters before everything they read, so that they change while texts are being
     * written. What was read stays in the cache as the former adapters made it. The new ones must take as much of the
     * context as the old; a session refuses others, and goes on once it is given adapters that do.
     */
    public CausalLanguageModel swapping() {
        return new CausalLanguageModel(model, pass, blockSize, leastShared, true);
    }

    /**
     * The same model with caches that store blocks of some tokens, shared by rows where their texts are the same: less
     * memory for beams and for many texts that begin alike, at the price of more segments to attend to.
     *
     * @throws IllegalArgumentException if a block is to hold no token
     */
    public CausalLanguageModel inBlocks(int size) {
        return new CausalLanguageModel(model, pass, Require.atLeast("The number of tokens of a block", size, 1, "16 is usual."), 0, swapping);
    }

    /**
     * The same model, where the texts of a batch share what they begin with: keys and values of a common beginning are
     * computed and stored once, and all rows under it attend to it together (see {@link dev.jotune.models.TokenTree}). Each
     * text is what it would be alone. A model whose angles depend on the text's length, or that keeps a state instead of keys,
     * reads every row as ever; one that sees a window refuses texts that share something.
     *
     * @param least how many tokens texts must have in common to share them
     * @throws IllegalArgumentException if that is none
     */
    public CausalLanguageModel sharingPrefixes(int least) {
        return new CausalLanguageModel(model, pass, 0, Require.atLeast("The least shared length", least, 1, "16 is usual."), swapping);
    }

    @Override
    public int vocabularySize() {
        return model.vocabularySize();
    }

    /** Tokens of text that fit beside what the adapters add. */
    @Override
    public int contextLength() {
        return contextLength(pass.get());
    }

    private int contextLength(Pass pass) {
        long most = pass.groups().stream().mapToLong(this::taken).max().orElse(0);
        return (int) Math.max(0, model.contextLength() - most);
    }

    /** Positions before the text. */
    private long taken(Group group) {
        return group.virtualTokens(model.input().name()) + group.segmentPositions(model.input().name());
    }

    /** Which rows a batch has must be known where they run under different adapters: {@code pass} then has as many as it. */
    private static Pass checked(Pass pass, int rows) {
        int named = pass.groups().stream().mapToInt(g -> g.rows().size()).sum();
        if (!pass.isUniform() && named != rows) {
            throw new IllegalArgumentException("the pass names the adapters of " + named + " rows, but " + rows + " texts are to be read "
                    + "together. Give a pass with the adapters of those texts.");
        }
        return pass;
    }

    @Override
    public boolean readsUnequal() {
        return model.readsIndependently();
    }

    @Override
    public Session open() {
        Pass chosen = checked(pass.get(), 1);
        return new CachedSession(causal(chosen, 1), this, contextLength(chosen));
    }

    @Override
    public BatchSession openBatch(int rows) {
        Pass chosen = pass.get();
        // What rows under different adapters begin with is not the same, and adapters that change make it another.
        if (leastShared > 0 && !swapping && chosen.isUniform() && model.readsIndependently() && keepsKeys()) {
            return new SharedRows(model, chosen, this, contextLength(chosen), rows, leastShared, ROOM);
        }
        return open(rows, false);
    }

    private boolean keepsKeys() {
        DecoderCache usual = model.newCache(1, 1);
        usual.free();
        return usual instanceof KvCache;
    }

    @Override
    public StatefulBatch openStateful(int rows) {
        return open(rows, true);
    }

    private CachedRows open(int rows, boolean keepStates) {
        Pass chosen = checked(pass.get(), rows);
        return new CachedRows(causal(chosen, rows), this, contextLength(chosen), rows, keepStates);
    }

    private Causal causal(Pass chosen, int rows) {
        Causal causal = new Causal(chosen, rows);
        if (blockSize > 0) {
            causal.cache().inBlocks(blockSize);
        }
        return causal;
    }

    private final class Causal implements CachedDecoder {
        /** The adapters that what has been read ran under, in the order of the rows as they are now. */
        private Pass current;
        /** The same as they were named last, in the order of the rows as they were then. */
        private Pass named;
        private final long virtualTokens;
        private final boolean readsFirst;
        private final DecoderCache cache;
        private Optional<TokenSteps> steps = Optional.empty();
        private boolean asked;

        Causal(Pass chosen, int rows) {
            this.current = chosen;
            this.named = chosen;
            this.virtualTokens = chosen.groups().stream().mapToLong(g -> g.virtualTokens(model.input().name())).max().orElse(0);
            this.readsFirst = chosen.groups().stream().anyMatch(g -> g.readsText(model.input().name()));
            this.cache = model.newCache(rows, virtualTokens + ROOM);
        }

        /** The adapters to read on under. */
        private Pass adapters() {
            Pass next = swapping ? pass.get() : current;
            if (!next.equals(named) && !next.equals(current)) {
                for (Pass p : List.of(current, next)) {
                    if (!p.isUniform() || p.groups().getFirst().virtualTokens(model.input().name()) > 0
                            || taken(p.groups().getFirst()) != taken(current.groups().getFirst())) {
                        throw new IllegalStateException("adapters cannot change from " + names(current) + " to " + names(next) + " within a text: "
                                + "rows of their own, virtual tokens, or another number of positions lie in the cache. Begin the text anew.");
                    }
                }
                current = next;
                named = next;
                forgetSteps();
            }
            return current;
        }

        private static List<String> names(Pass p) {
            return p.groups().stream().flatMap(g -> g.hooks().stream()).map(Hooks::name).toList();
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
        public boolean isMixed() {
            return !current.isUniform();
        }

        @Override
        public boolean readsIndependently() {
            return model.readsIndependently();
        }

        @Override
        public Var states(DecoderInput input) {
            return model.forward(input, adapters(), Optional.of(cache)).text();
        }

        @Override
        public Var logits(Var states) {
            return model.logits(states, current);
        }

        @Override
        public boolean step(int[] tokens, float[][] logits) {
            Pass chosen = adapters();
            if (!asked) {
                // A text's prompt is read the general way: only who goes on from there asks for steps.
                asked = true;
                steps = model.steps(chosen, cache);
            }
            return steps.isPresent() && steps.get().read(tokens, logits);
        }

        /** Steps are for as many rows, under these adapters. */
        private void forgetSteps() {
            steps.ifPresent(TokenSteps::close);
            steps = Optional.empty();
            asked = false;
        }

        @Override
        public void reorder(int[] rows) {
            if (rows.length != cache.batch()) {
                forgetSteps();
            }
            cache.reorder(rows);
            current = current.reordered(rows);
        }

        @Override
        public void free() {
            steps.ifPresent(TokenSteps::close);
            cache.free();
        }
    }
}
