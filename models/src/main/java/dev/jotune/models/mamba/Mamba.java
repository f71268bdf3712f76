package dev.jotune.models.mamba;

import dev.jotune.autograd.Checkpoint;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Norms;
import dev.jotune.models.CausalHead;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.Network;
import dev.jotune.models.TokenEmbedding;
import dev.jotune.models.TokenLayout;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Mamba (Gu and Dao, arXiv 2312.00752): embedding, L blocks that mix tokens by a selective scan, norm, head. It has no
 * attention and so no place for a prefix of keys and values; what stands in its stead is the state that a scan starts
 * from, the tap {@code layers.N.ssm.state}. Positions are not looked at.
 */
public final class Mamba extends Network implements CausalLm {
    private final MambaConfig config;
    private final TokenEmbedding embedding;
    private final List<MambaBlock> blocks = new ArrayList<>();
    private final Parameter norm;
    private final CausalHead head;

    /**
     * @param source the weights under their checkpoint names
     * @param computeType F32, or F64 on the reference backend
     */
    public Mamba(MambaConfig config, Weights.Source source, Backend backend, DType computeType) {
        super(new Seams(), backend, computeType);
        this.config = config;
        Weights w = new Weights(source, seams);
        Parameter tokens = w.parameter("backbone.embeddings.weight", config.vocabSize(), config.hiddenSize());
        embedding = TokenEmbedding.of("embed", tokens, 1, computeType, seams);
        seams.addTap("embed", config.hiddenSize());
        for (int i = 0; i < config.numHiddenLayers(); i++) {
            blocks.add(new MambaBlock(config, i, w, seams));
        }
        norm = w.parameter("backbone.norm_f.weight", config.hiddenSize());
        seams.addTap("final", config.hiddenSize());
        head = new CausalHead(config.tieWordEmbeddings() ? seams.add(new LinearLayer("lm_head", tokens, Optional.empty()))
                : w.linear("lm_head", config.vocabSize(), config.hiddenSize(), false), 0);
    }

    public MambaConfig config() {
        return config;
    }

    /** Padding is cleared before the projection, whose bias then brings something in. */
    @Override
    public boolean readsIndependently() {
        return !config.useBias();
    }

    @Override
    public String modelType() {
        return "mamba";
    }

    @Override
    public int vocabularySize() {
        return config.vocabSize();
    }

    @Override
    public int hiddenSize() {
        return config.hiddenSize();
    }

    @Override
    public int layers() {
        return config.numHiddenLayers();
    }

    /** A recurrence has no last position. */
    @Override
    public int contextLength() {
        return Integer.MAX_VALUE;
    }

    /** @param capacity has no effect: the state has one size */
    @Override
    public MambaCache newCache(long batch, long capacity) {
        return new MambaCache(backend, computeType, config, batch);
    }

    @Override
    public Hidden forward(DecoderInput input, Pass asked, Optional<DecoderCache> given) {
        if (given.isPresent() && Recording.isOn()) {
            return Recording.off(() -> forward(input, asked, given));
        }
        if (input.branches().isPresent()) {
            throw new IllegalArgumentException("a mamba model cannot read branches: its state runs through the whole row. "
                    + "Give each text a row of its own.");
        }
        Optional<MambaCache> cache = given.map(Mamba::own);
        DecoderInput unplaced = new DecoderInput(input.ids(), input.embeds(), input.mask(), Optional.empty(), Optional.empty(), input.instruction());
        TokenLayout layout = TokenLayout.of(unplaced, asked, cache, contextLength(), embedding.site(), true);
        Pass pass = asked.reading(input.ids(), layout.virtualTokens(), seams().precision());
        MambaPadding padding = MambaPadding.of(layout, cache.map(MambaCache::length).orElse(0L), cache.isPresent(),
                config.convKernel() - 1, backend, computeType);
        Var h = pass.tap("embed", layout.withVirtualTokens(embedding.embed(input, pass), pass));
        List<Tensor> kept = new ArrayList<>();
        for (int i = 0; i < blocks.size(); i++) {
            MambaBlock block = blocks.get(i);
            Var in = layout.beforeBlock(i, h, pass);
            Var[] out = checkpointing() && Recording.isOn()
                    ? Checkpoint.apply(x -> block.forward(x[0], padding, pass, cache), in) : block.forward(in, padding, pass, cache);
            h = out[0];
            if (cache.isPresent()) {
                kept.add(out[1].tensor());
                kept.add(out[2].tensor());
            }
        }
        Var last = pass.tap("final", pass.perGroup(h, (x, g) -> Norms.rmsNorm(x, norm.value(g), config.layerNormEpsilon())));
        // All layers together and at the end: a pass that fails leaves the cache as it was.
        cache.ifPresent(c -> c.advance(kept, layout.time()));
        return new Hidden(last, layout.virtualTokens());
    }

    private static MambaCache own(DecoderCache cache) {
        if (cache instanceof MambaCache c) {
            return c;
        }
        throw new IllegalArgumentException("a mamba model cannot use a " + cache.getClass().getSimpleName()
                + ". Ask the model itself for a new cache.");
    }

    @Override
    public Var logits(Var hidden, Pass pass) {
        return head.logits(hidden, pass);
    }

    @Override
    public Var loss(DecoderInput input, Tensor labels, Pass pass) {
        DecoderInput known = input.withInstructionBefore(labels);
        return head.loss(forward(known, pass, Optional.empty()), known.unread(labels, pass, input().name()), pass);
    }
}
