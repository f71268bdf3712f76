package dev.jotune.models.t5;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Encoded;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.Table;
import dev.jotune.models.TokenLayout;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.AttentionSite.Kind;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seq2seq.EncoderDecoder;
import dev.jotune.models.seq2seq.LmHead;
import dev.jotune.models.seq2seq.Seq2SeqCache;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import java.util.List;
import java.util.Optional;

/**
 * T5 (Raffel et al., arXiv 1910.10683), both forms: 1.0 with ReLU and the embedding table as head, 1.1 with gated GELU and
 * a head of its own.
 *
 * <p>It knows tokens by their distances, padding included, and nothing of positions: those given with an input are not
 * read. A prefix that stands for positions lies before the decoder's text, and the distances to its keys count; a prefix
 * that stands for none has no bias.
 */
public final class T5 extends EncoderDecoder {
    private final EmbeddingSite encoderEmbed;
    private final EmbeddingSite decoderEmbed;
    private final Table encoderWords;
    private final Table decoderWords;
    private final T5Stack encoder;
    private final T5Stack decoder;
    private final LmHead head;

    /**
     * @param source the weights under their checkpoint names
     * @param computeType F32, or F64 on the reference backend
     */
    public T5(T5Config config, Weights.Source source, Backend backend, DType computeType) {
        super(config.outline(), backend, computeType);
        Weights w = new Weights(source, seams());
        Parameter shared = w.parameter("shared.weight", config.vocabSize(), config.dModel());
        encoderWords = new Table(shared, 1, computeType).in(seams(), "encoder.embed_tokens");
        decoderWords = new Table(shared, 1, computeType).in(seams(), "decoder.embed_tokens");
        encoderEmbed = seams().add(new EmbeddingSite("encoder.embed", config.dModel(), Optional.of(shared)));
        decoderEmbed = seams().add(new EmbeddingSite("decoder.embed", config.dModel(), Optional.of(shared)));
        seams().addTap(encoderEmbed.name(), config.dModel());
        encoder = new T5Stack(config, "encoder", false, computeType, w, seams());
        seams().addTap(decoderEmbed.name(), config.dModel());
        decoder = new T5Stack(config, "decoder", true, computeType, w, seams());
        LinearLayer layer = config.tied() ? seams().add(new LinearLayer("lm_head", shared, Optional.empty()))
                : w.linear("lm_head", config.vocabSize(), config.dModel(), false);
        head = new LmHead(layer, config.scaleOutputs() ? 1 / Math.sqrt(config.dModel()) : 1, Optional.empty());
    }

    @Override
    public Encoded encode(EncoderInput input, Pass given) {
        DecoderInput in = withoutPositions(asTokens(input));
        TokenLayout layout = TokenLayout.of(in, given, Optional.empty(), contextLength(), encoderEmbed, false);
        Pass pass = given.reading(input.ids(), layout.virtualTokens(), seams().precision());
        Var h = embed(in, layout, pass);
        RelativePositions distances = encoder.distances();
        Attention.Visible visible = layout.visible().withBias(distances.bias(layout.time(), layout.time(), 0, in.batch(), pass));
        List<List<Attention.Segment>> added = encoderPart(pass.segments(seams().attentions(), in.batch(), encoderEmbed.name(),
                (site, s, before) -> site.kind() == Kind.BIDIRECTIONAL ? distances.placed(s, before, layout.time(), 0, pass) : s));
        Var states = encoder.forward(h, visible, added, Optional.empty(), Optional.empty(), checkpointing(), pass);
        return new Encoded(states, layout.visible().keyMask(), layout.virtualTokens());
    }

    @Override
    protected Hidden decode(DecoderInput input, Encoded source, Optional<Seq2SeqCache> cache, Pass given) {
        DecoderInput in = withoutPositions(input);
        long past = cache.map(Seq2SeqCache::length).orElse(0L);
        TokenLayout layout = TokenLayout.of(in, given, cache.map(Seq2SeqCache::target), contextLength(), decoderEmbed, true);
        Pass pass = given.reading(input.ids(), layout.virtualTokens(), seams().precision());
        Var h = embed(in, layout, pass);
        cache.ifPresent(c -> c.target().grow(layout.real(), layout.time()));
        RelativePositions distances = decoder.distances();
        Attention.Visible visible = layout.visible().withBias(
                distances.bias(layout.time(), past + layout.time(), past, in.batch(), pass));
        // The source lies at no distance.
        List<List<Attention.Segment>> added = decoderPart(pass.segments(seams().attentions(), in.batch(), decoderEmbed.name(),
                (site, s, before) -> site.kind() == Kind.CAUSAL ? distances.placed(s, before, layout.time(), past, pass) : s));
        Var states = decoder.forward(h, visible, added, Optional.of(source), cache, checkpointing(), pass);
        return new Hidden(states, layout.virtualTokens());
    }

    private static DecoderInput withoutPositions(DecoderInput in) {
        return new DecoderInput(in.ids(), in.embeds(), in.mask(), Optional.empty(), Optional.empty(), in.instruction());
    }

    private Var embed(DecoderInput in, TokenLayout layout, Pass pass) {
        Table words = layout.site() == encoderEmbed ? encoderWords : decoderWords;
        Var tokens = in.embeds().orElseGet(() -> words.rows(in.ids().get().to(backend()), pass));
        return pass.tap(layout.site().name(), layout.withVirtualTokens(tokens, pass));
    }

    @Override
    protected LmHead head() {
        return head;
    }

    @Override
    protected List<AttentionSite> decoderSites() {
        return decoder.sites();
    }
}
