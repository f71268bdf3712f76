package dev.jotune.models.decoder;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.CausalHead;
import dev.jotune.models.CausalTransformer;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.KvCache;
import dev.jotune.models.TokenEmbedding;
import dev.jotune.models.TokenLayout;
import dev.jotune.models.TokenSteps;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.DecodeKernel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A decoder like Llama: embedding, L blocks of rotary grouped-query attention and a gated MLP or experts, norm, head.
 * {@link Families} says which families these are.
 */
public final class Decoder extends CausalTransformer {
    private final DecoderConfig config;
    private final TokenEmbedding embedding;
    private final List<DecoderBlock> blocks = new ArrayList<>();
    private final Set<Rope> ropes;
    private final RmsNorm norm;
    private final CausalHead head;
    private boolean routerLoss;

    /**
     * @param source the weights under their checkpoint names
     * @param computeType F32, or F64 on the reference backend
     */
    public Decoder(DecoderConfig config, Weights.Source source, Backend backend, DType computeType) {
        super(backend, computeType);
        this.config = config;
        Weights w = new Weights(source, seams);
        Parameter table = w.parameter("model.embed_tokens.weight", config.vocabSize(), config.hiddenSize());
        embedding = TokenEmbedding.of("embed", table, config.embeddingScale(), computeType, seams);
        seams.addTap("embed", config.hiddenSize());
        for (int i = 0; i < config.numHiddenLayers(); i++) {
            blocks.add(new DecoderBlock(config, i, w, seams));
        }
        ropes = new HashSet<>(config.ropes());
        norm = RmsNorm.of("model.norm", config.hiddenSize(), config, w);
        seams.addTap("final", config.hiddenSize());
        LinearLayer layer = config.tieWordEmbeddings() ? seams.add(new LinearLayer("lm_head", table, Optional.empty()))
                : w.linear("lm_head", config.vocabSize(), config.hiddenSize(), false);
        head = new CausalHead(layer, config.logitSoftcap());
        routerLoss = config.experts().map(ExpertConfig::addLoss).orElse(false);
    }

    public DecoderConfig config() {
        return config;
    }

    /**
     * Whether {@link #loss} adds the load-balancing loss of the routers, times {@code router_aux_loss_coef}; by default
     * as {@code output_router_logits} says.
     *
     * @throws IllegalArgumentException if the model has no experts
     */
    public Decoder withRouterLoss(boolean on) {
        if (on && config.experts().isEmpty()) {
            throw new IllegalArgumentException("a " + modelType() + " model has no routers. Leave their loss off.");
        }
        routerLoss = on;
        return this;
    }

    @Override
    public String modelType() {
        return config.modelType();
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

    @Override
    public int contextLength() {
        return config.maxPositionEmbeddings();
    }

    @Override
    protected TokenEmbedding embedding() {
        return embedding;
    }

    @Override
    protected Var entering(Var embeddings, TokenLayout layout, Pass pass) {
        return embeddings;
    }

    @Override
    protected Blocks blocks(TokenLayout layout, Pass pass, Optional<KvCache> cache) {
        Map<Rope, Rope.Tables> tables = new HashMap<>();
        ropes.forEach(r -> tables.put(r, r.tables(backend(), computeType(), layout.positions())));
        DecoderPass run = new DecoderPass(layout, pass, cache, tables);
        return (i, h, added) -> blocks.get(i).forward(h, added, run);
    }

    /** A sliding window slides over a prefix as over a text. */
    @Override
    protected Attention.Segment placed(AttentionSite site, Attention.Segment s, long before) {
        int window = config.windows().get(site.layer());
        Attention.Visible v = s.visible();
        return window == 0 ? s : new Attention.Segment(s.key(), s.value(),
                new Attention.Visible(v.causal(), before, window, v.keyMask(), v.bias()), s.rows());
    }

    @Override
    protected Var leaving(Var h, Pass pass) {
        return norm.apply(h, pass);
    }

    @Override
    protected CausalHead head() {
        return head;
    }

    /** Angles that depend on how far a pass reaches are not for texts of unequal length, nor for drafts. */
    @Override
    public boolean readsIndependently() {
        return ropes.stream().noneMatch(Rope::dependsOnLength);
    }

    @Override
    public DecoderCache newCache(long batch, long capacity) {
        KvCache cache = new KvCache(backend(), computeType(), seams.attentions(), batch, capacity);
        return ropes.stream().anyMatch(Rope::dependsOnLength) ? new ReplayCache(cache) : cache;
    }

    @Override
    public Optional<TokenSteps> steps(Pass pass, DecoderCache cache) {
        return cache instanceof KvCache keys ? DecoderSteps.of(this, pass, keys) : Optional.empty();
    }

    /** This decoder as the decode kernel has it; empty where it computes something else. */
    Optional<DecodeKernel.Model> prepared(DecodeParts parts) {
        if (computeType() != DType.F32 || config.logitSoftcap() != 0 || ropes.size() != 1 || embedding.site().table().isEmpty()) {
            return Optional.empty();
        }
        List<DecodeKernel.Layer> layers = new ArrayList<>();
        for (DecoderBlock block : blocks) {
            Optional<DecodeKernel.Layer> layer = block.prepared(parts);
            if (layer.isEmpty()) {
                return Optional.empty();
            }
            layers.add(layer.get());
        }
        int rotary = 2 * ropes.iterator().next().inverseFrequencies().size();
        return Optional.of(new DecodeKernel.Model(parts.weight(embedding.site().table().get()), config.embeddingScale(), layers, parts.norm(norm),
                parts.linear(head.layer()), config.numAttentionHeads(), config.numKeyValueHeads(), config.headDim(), rotary,
                config.rmsNormEps(), config.attentionScale()));
    }

    @Override
    public Hidden forward(DecoderInput input, Pass pass, Optional<DecoderCache> given) {
        return given.isPresent() && given.get() instanceof ReplayCache cache ? Recording.off(() -> forward(input, pass, cache))
                : super.forward(input, pass, given);
    }

    private Hidden forward(DecoderInput input, Pass pass, ReplayCache cache) {
        ReplayCache.History text = cache.with(input, embedding.embed(input, pass).tensor());
        boolean far = ropes.stream().anyMatch(r -> r.isFar(largest(text.positions(), pass)));
        Hidden out;
        if (cache.isOutdated(far)) {
            cache.stored().truncate(0);
            Var all = super.forward(text.input(), pass, Optional.of(cache.stored())).states();
            out = new Hidden(all.slice(1, all.size(1) - input.time(), all.size(1)), 0);
        } else {
            out = super.forward(input, pass, Optional.of(cache.stored()));
        }
        cache.note(text, far);
        return out;
    }

    /** The largest position of the batch: of each row's text, and what adapters put before it. */
    private long largest(long[][] positions, Pass pass) {
        long largest = 0;
        for (Group g : pass.groups()) {
            long before = g.virtualTokens(embedding.site().name()) + g.segmentPositions();
            for (int b = 0; b < positions.length; b++) {
                if (g.rows().isEmpty() || g.rows().contains(b)) {
                    largest = Math.max(largest, before + Arrays.stream(positions[b]).max().orElse(0));
                }
            }
        }
        return largest;
    }

    @Override
    public Var loss(DecoderInput input, Tensor labels, Pass pass) {
        if (!routerLoss) {
            return super.loss(input, labels, pass);
        }
        List<Var> routed = new ArrayList<>();
        DecoderInput known = input.withInstructionBefore(labels);
        Var loss = head.loss(forward(known, pass, Optional.empty(), routed), known.unread(labels, pass, input().name()), pass);
        ExpertConfig experts = config.experts().get();
        return loss.addScaled(LoadBalancing.loss(routed, experts.perToken(), input.mask()), experts.lossCoefficient());
    }
}
