package dev.jotune.models;

import dev.jotune.autograd.Checkpoint;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Trim;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * What decoders with attention have in common: embedding and virtual tokens, the run through the blocks with or without
 * storing their activations, cache, head and loss. A family says what its blocks are.
 *
 * <p>Taps: {@code embed}, those of the blocks, {@code final}.
 *
 * <p>Memory grows linearly with the length of the text; attention is never formed as T x T. With
 * {@code a = 6 C + 3 H D + 3 G D + 3 F + H} elements that a dense block makes of one token, each further token takes
 * <ul>
 * <li>in a forward pass without derivatives: {@code 2 L G D} in the cache if there is one, a for the block at work, and
 * {@code 3 C + D + 2} for the states around it and the rotary tables. Where taps are attached, what all blocks make stays
 * until the scope ends: {@code L a};
 * <li>in a training step: {@code L a} for all blocks, and at most {@code a + 3 C + D + 2} more while gradients are made;
 * <li>in a training step under {@link Recording#once} and over frozen projections: {@code L (2 C + 2 H D + 2 G D + 2 F + H)}, and
 * what a block makes more than that for the block at work, see {@link Trim};
 * <li>in a training step with checkpointing: {@code L C} for the states between blocks, and at most
 * {@code 2 a + 3 C + D + 2} for the block that is computed again.
 * </ul>
 * To that come the logits of one chunk of labelled rows, whatever the length. The exceptions: texts packed into one row
 * without a mask take a bias {@code [B, T, T]}, training with dropout of attention's probabilities forms them, and the tap
 * {@code layers.N.attn.weights} shows what it is asked for.
 */
public abstract class CausalTransformer extends Network implements CausalLm {

    protected CausalTransformer(Backend backend, DType computeType) {
        super(new Seams(), backend, computeType);
    }

    /** One pass through the blocks. */
    @FunctionalInterface
    protected interface Blocks {
        /**
         * Block {@code layer} of {@code h [B, T, C]}.
         *
         * @param added segments that adapters put before the text's own
         * @return the next state {@code [B, T, C]}, then whatever else the block has to say
         */
        Var[] apply(int layer, Var h, List<Attention.Segment> added);
    }

    /** The blocks for one pass, with what they share worked out once. */
    protected abstract Blocks blocks(TokenLayout layout, Pass pass, Optional<KvCache> cache);

    /**
     * What an attention makes of keys that stand at positions before the text: by default all of it sees them.
     *
     * @param before keys from the first of them to the first query
     */
    protected Attention.Segment placed(AttentionSite site, Attention.Segment segment, long before) {
        return segment;
    }

    /** Where tokens become vectors. */
    protected abstract TokenEmbedding embedding();

    /** What the first block reads: embeddings {@code [B, T, C]}, to which positions may be added. */
    protected abstract Var entering(Var embeddings, TokenLayout layout, Pass pass);

    /** The norm after the last block. */
    protected abstract Var leaving(Var h, Pass pass);

    protected abstract CausalHead head();

    @Override
    public DecoderCache newCache(long batch, long capacity) {
        return new KvCache(backend, computeType, seams.attentions(), batch, capacity);
    }

    @Override
    public Hidden forward(DecoderInput input, Pass pass, Optional<DecoderCache> given) {
        return forward(input, pass, given, new ArrayList<>());
    }

    /**
     * As {@link #forward(DecoderInput, Pass, Optional)}.
     *
     * @param said where to put what the blocks gave beside their states, in the order of the layers
     */
    protected final Hidden forward(DecoderInput input, Pass asked, Optional<DecoderCache> given, List<Var> said) {
        if (given.isPresent() && Recording.isOn()) {
            return Recording.off(() -> forward(input, asked, given, said));
        }
        Optional<KvCache> cache = given.map(c -> KvCache.of(c, modelType()));
        TokenLayout layout = TokenLayout.of(input, asked, cache, contextLength(), embedding().site(), true);
        Pass pass = asked.reading(input.ids(), layout.virtualTokens(), seams().precision());
        Var h = entering(layout.withVirtualTokens(embedding().embed(input, pass), pass), layout, pass);
        h = pass.tap("embed", h);
        long past = cache.map(KvCache::length).orElse(0L);
        cache.ifPresent(c -> c.grow(layout.real(), layout.time()));
        Blocks blocks = blocks(layout, pass, cache);
        List<List<Attention.Segment>> added = pass.segments(seams.attentions(), input.batch(), embedding().site().name(),
                (site, s, before) -> placed(site, s, before + past));
        boolean passing = leavesNothing(pass);
        for (int i = 0; i < layers(); i++) {
            int layer = i;
            Var in = layout.beforeBlock(i, h, pass);
            if (passing && in != h) {
                h.tensor().storage().free();
            }
            Var[] out = passing || checkpointing() && Recording.isOn()
                    ? Checkpoint.apply(x -> blocks.apply(layer, x[0], added.get(layer)), in)
                    : Trim.apply(x -> blocks.apply(layer, x[0], added.get(layer)), in);
            if (passing && i > 0) {
                in.tensor().storage().free();
            }
            h = out[0];
            said.addAll(Arrays.asList(out).subList(1, out.length));
        }
        return new Hidden(pass.tap("final", leaving(h, pass)), layout.virtualTokens());
    }

    /** Whether what a block makes can go when it is done: nothing is recorded, and no tap may have kept it. */
    private static boolean leavesNothing(Pass pass) {
        return !Recording.isOn() && pass.groups().stream().flatMap(g -> g.hooks().stream()).allMatch(h -> h.taps().isEmpty());
    }

    @Override
    public Var logits(Var hidden, Pass pass) {
        return head().logits(hidden, pass);
    }

    @Override
    public Var losses(Var states, Tensor labels, Pass pass) {
        return head().losses(states, labels, pass);
    }

    @Override
    public boolean readsBranches() {
        return readsIndependently();
    }

    @Override
    public Var loss(DecoderInput input, Tensor labels, Pass pass) {
        DecoderInput known = input.withInstructionBefore(labels);
        return head().loss(forward(known, pass, Optional.empty()), known.unread(labels, pass, input().name()), pass);
    }
}
