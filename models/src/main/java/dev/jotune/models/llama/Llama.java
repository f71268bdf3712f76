package dev.jotune.models.llama;

import dev.jotune.autograd.Checkpoint;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.autograd.ops.Norms;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.KvCache;
import dev.jotune.models.TokenLayout;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.EmbeddingSite;
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

/** The Llama decoder: embedding, L pre-norm blocks with rotary grouped-query attention and SwiGLU, norm, head. */
public final class Llama implements CausalLm {
    private final LlamaConfig config;
    private final Backend backend;
    private final DType computeType;
    private final Seams seams = new Seams();
    private final Parameter embedTokens;
    private final EmbeddingSite embedding;
    private final List<LlamaBlock> blocks = new ArrayList<>();
    private final Parameter norm;
    private final LinearLayer head;
    private boolean checkpointing;

    /**
     * @param source the weights under their checkpoint names
     * @param computeType F32, or F64 on the reference backend
     */
    public Llama(LlamaConfig config, Weights.Source source, Backend backend, DType computeType) {
        this.config = config;
        this.backend = backend;
        this.computeType = computeType;
        Weights w = new Weights(source, seams);
        embedTokens = w.parameter("model.embed_tokens.weight", config.vocabSize(), config.hiddenSize());
        embedding = seams.add(new EmbeddingSite("embed", config.hiddenSize(), Optional.of(embedTokens)));
        seams.addTap("embed");
        for (int i = 0; i < config.numHiddenLayers(); i++) {
            blocks.add(new LlamaBlock(config, i, w, seams));
        }
        norm = w.parameter("model.norm.weight", config.hiddenSize());
        seams.addTap("final");
        head = config.tieWordEmbeddings() ? seams.add(new LinearLayer("lm_head", embedTokens, Optional.empty()))
                : w.linear("lm_head", config.vocabSize(), config.hiddenSize(), false);
    }

    public LlamaConfig config() {
        return config;
    }

    @Override
    public Llama withCheckpointing(boolean on) {
        checkpointing = on;
        return this;
    }

    @Override
    public Seams seams() {
        return seams;
    }

    @Override
    public String modelType() {
        return "llama";
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
    public Backend backend() {
        return backend;
    }

    @Override
    public DType computeType() {
        return computeType;
    }

    @Override
    public DecoderCache newCache(long batch, long capacity) {
        return new KvCache(backend, computeType, seams.attentions(), batch, capacity);
    }

    @Override
    public Hidden forward(DecoderInput input, Pass pass, Optional<DecoderCache> given) {
        if (given.isPresent() && Recording.isOn()) {
            return Recording.off(() -> forward(input, pass, given));
        }
        Optional<KvCache> cache = given.map(c -> KvCache.of(c, modelType()));
        TokenLayout layout = TokenLayout.of(input, pass, cache, config.maxPositionEmbeddings(), embedding, true);
        Var h = layout.withVirtualTokens(embed(input, pass), pass);
        h = pass.tap("embed", h);
        cache.ifPresent(c -> c.grow(layout.real(), layout.time()));
        RopeScaling.Tables rope = config.rope().tables(backend, computeType, layout.positions());
        List<List<Attention.Segment>> added = pass.segments(seams.attentions(), input.batch());
        for (int i = 0; i < blocks.size(); i++) {
            LlamaBlock block = blocks.get(i);
            List<Attention.Segment> segments = added.get(i);
            Var in = h;
            h = checkpointing && Recording.isOn()
                    ? Checkpoint.apply(x -> new Var[] {block.forward(x[0], segments, rope, layout, pass, cache)}, in)[0]
                    : block.forward(in, segments, rope, layout, pass, cache);
        }
        h = pass.perGroup(h, (x, g) -> Norms.rmsNorm(x, norm.value(g), config.rmsNormEps()));
        return new Hidden(pass.tap("final", h), layout.virtualTokens());
    }

    /** Embeddings {@code [B, T, C]}: looked up, or as given. */
    private Var embed(DecoderInput input, Pass pass) {
        if (input.embeds().isPresent()) {
            return input.embeds().get();
        }
        Tensor ids = input.ids().get().to(backend);
        if (pass.isUniform()) {
            return embedTokens.stored(pass.groups().getFirst()).lookup(ids, computeType);
        }
        // Ids travel through perGroup as numbers; a table of 2^24 rows is exact in F32.
        Var asNumbers = Var.constant(ids.to(computeType));
        return pass.perGroup(asNumbers, (x, g) ->
                embedTokens.stored(g).lookup(x.tensor().contiguous().to(DType.I64), computeType));
    }

    @Override
    public Var logits(Var hidden, Pass pass) {
        return head.forward(hidden, pass);
    }

    @Override
    public Var loss(DecoderInput input, Tensor labels, Pass pass) {
        Hidden hidden = forward(input, pass, Optional.empty());
        long n = hidden.virtualTokens();
        long time = labels.size(1);
        // The state before each label: with virtual tokens the last of them predicts the first label.
        Var states = n > 0 ? hidden.states().slice(1, n - 1, n - 1 + time) : hidden.states().slice(1, 0, time - 1);
        Tensor targets = (n > 0 ? labels : labels.slice(1, 1, time)).contiguous().to(backend);
        Var rows = states.reshape(-1, config.hiddenSize());
        Tensor flat = targets.reshape(targets.numel());
        boolean plainHead = pass.isUniform() && !head.isTouched(pass.groups().getFirst());
        return plainHead ? head.crossEntropy(rows, flat, pass.groups().getFirst())
                : CrossEntropy.apply(logits(states, pass).reshape(-1, config.vocabSize()), flat);
    }
}
