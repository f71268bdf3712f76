package dev.jotune.models.bart;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Encoded;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.Table;
import dev.jotune.models.TokenLayout;
import dev.jotune.models.Weights;
import dev.jotune.models.head.Norm;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seq2seq.EncoderDecoder;
import dev.jotune.models.seq2seq.LmHead;
import dev.jotune.models.seq2seq.Seq2SeqCache;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * BART (Lewis et al., arXiv 1910.13461): post-norm blocks, learned positions that count padding too, embeddings normalised
 * before the first block, the embedding table as head with a constant bias.
 */
public final class Bart extends EncoderDecoder {
    /** The first rows of the tables of positions are never used: fairseq counted from its padding index. */
    private static final int POSITION_OFFSET = 2;

    private final Side encoder;
    private final Side decoder;
    private final LmHead head;

    /** What stands before and in the blocks of one side. */
    private record Side(EmbeddingSite site, Table words, Table positions, Norm norm, BartStack stack, String last) {}

    /**
     * @param source the weights under their checkpoint names, with or without {@code model.} before them
     * @param computeType F32, or F64 on the reference backend
     */
    public Bart(BartConfig config, Weights.Source source, Backend backend, DType computeType) {
        super(config.outline(), backend, computeType);
        boolean bare = source.contains("shared.weight");
        Weights w = new Weights(bare ? source.renamed(name -> name.startsWith("model.") ? name.substring(6) : name) : source, seams());
        Parameter shared = w.parameter("model.shared.weight", config.vocabSize(), config.dModel());
        encoder = side(config.encoder(), config, shared, w);
        decoder = side(config.decoder(), config, shared, w);
        // Zeros in published files, and absent from some.
        Optional<Tensor> bias = Optional.of("final_logits_bias").filter(w::contains).map(name -> w.buffer(name, 1, config.vocabSize()))
                .filter(b -> Arrays.stream(b.toDoubleArray()).anyMatch(v -> v != 0)).map(b -> b.reshape(config.vocabSize()));
        LinearLayer layer = config.tied() ? seams().add(new LinearLayer("lm_head", shared, Optional.empty()))
                : w.linear("lm_head", config.vocabSize(), config.dModel(), false);
        head = new LmHead(layer, 1, bias);
    }

    private Side side(BartStack.Options options, BartConfig config, Parameter shared, Weights w) {
        EmbeddingSite site = seams().add(new EmbeddingSite(options.name() + ".embed", config.dModel(), Optional.of(shared)));
        seams().addTap(site.name(), config.dModel());
        Table words = new Table(shared, OptionalInt.of(config.padToken()), config.scaleEmbedding() ? Math.sqrt(config.dModel()) : 1,
                computeType()).in(seams(), options.path() + ".embed_tokens");
        Table positions = new Table(w.parameter(options.path() + ".embed_positions.weight",
                config.maxPositionEmbeddings() + POSITION_OFFSET, config.dModel()), 1, computeType());
        BartStack stack = new BartStack(options, w, seams());
        return new Side(site, words, positions, Norm.of(options.path() + ".layernorm_embedding", config.dModel(), BartStack.NORM_EPS, w), stack,
                seams().addTap(options.name() + ".final", config.dModel()));
    }

    @Override
    public Encoded encode(EncoderInput input, Pass given) {
        DecoderInput in = asTokens(input);
        TokenLayout layout = TokenLayout.of(in, given, Optional.empty(), contextLength(), encoder.site, false);
        Pass pass = given.reading(input.ids(), layout.virtualTokens(), seams().precision());
        Var h = embed(in, encoder, layout, pass);
        List<List<Attention.Segment>> added = encoderPart(pass.segments(seams().attentions(), in.batch()));
        Var states = encoder.stack.forward(h, layout.visible(), added, Optional.empty(), Optional.empty(), checkpointing(), pass);
        return new Encoded(pass.tap(encoder.last, states), layout.visible().keyMask(), layout.virtualTokens());
    }

    @Override
    protected Hidden decode(DecoderInput in, Encoded source, Optional<Seq2SeqCache> cache, Pass given) {
        TokenLayout layout = TokenLayout.of(in, given, cache.map(Seq2SeqCache::target), contextLength(), decoder.site, true);
        Pass pass = given.reading(in.ids(), layout.virtualTokens(), seams().precision());
        Var h = embed(in, decoder, layout, pass);
        cache.ifPresent(c -> c.target().grow(layout.real(), layout.time()));
        List<List<Attention.Segment>> added = decoderPart(pass.segments(seams().attentions(), in.batch()));
        Var states = decoder.stack.forward(h, layout.visible(), added, Optional.of(source), cache, checkpointing(), pass);
        return new Hidden(pass.tap(decoder.last, states), layout.virtualTokens());
    }

    private Var embed(DecoderInput in, Side side, TokenLayout layout, Pass pass) {
        Var tokens = in.embeds().orElseGet(() -> side.words.rows(in.ids().get().to(backend()), pass));
        Var positions = side.positions.rows(positions(layout, POSITION_OFFSET), pass);
        return pass.tap(side.site.name(), side.norm.forward(layout.withVirtualTokens(tokens, pass).add(positions), pass));
    }

    @Override
    protected LmHead head() {
        return head;
    }

    @Override
    protected List<AttentionSite> decoderSites() {
        return decoder.stack.sites();
    }
}
