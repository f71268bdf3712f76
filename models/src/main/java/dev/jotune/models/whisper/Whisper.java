package dev.jotune.models.whisper;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.autograd.ops.Convolution;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Encoded;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.Table;
import dev.jotune.models.TokenLayout;
import dev.jotune.models.Weights;
import dev.jotune.models.bart.BartStack;
import dev.jotune.models.head.Norm;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.Group;
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
 * Whisper (Radford et al., arXiv 2212.04356): log-mel features pass two convolutions, the second halving the frames, and
 * pre-norm blocks; the decoder is BART's with the norms before, learned positions, and the embedding table as head.
 *
 * <p>The encoder's sinusoids are a constant of the checkpoint, not a parameter. Its source is given as
 * {@code EncoderInput.of(features)}, features {@code [B, mels, 2 S]} for the S positions it was made for; padding is silence,
 * so there is no mask. Virtual tokens of the encoder stand before the frames and have no position.
 */
public final class Whisper extends EncoderDecoder {
    private final WhisperConfig config;
    private final Parameter[] convolutions = new Parameter[4];
    private final Var sinusoids;
    private final EmbeddingSite encoderEmbed;
    private final BartStack encoder;
    private final Norm encoderNorm;
    private final EmbeddingSite decoderEmbed;
    private final Table words;
    private final Table positions;
    private final BartStack decoder;
    private final Norm decoderNorm;
    private final LmHead head;

    /**
     * @param source the weights under their checkpoint names
     * @param computeType F32, or F64 on the reference backend
     */
    public Whisper(WhisperConfig config, Weights.Source source, Backend backend, DType computeType) {
        super(config.outline(), backend, computeType);
        this.config = config;
        Weights w = new Weights(source, seams());
        int hidden = config.dModel();
        convolutions[0] = w.parameter("model.encoder.conv1.weight", hidden, config.numMelBins(), 3);
        convolutions[1] = w.parameter("model.encoder.conv1.bias", hidden);
        convolutions[2] = w.parameter("model.encoder.conv2.weight", hidden, hidden, 3);
        convolutions[3] = w.parameter("model.encoder.conv2.bias", hidden);
        sinusoids = Var.constant(w.buffer("model.encoder.embed_positions.weight", config.maxSourcePositions(), hidden));
        encoderEmbed = seams().add(new EmbeddingSite("encoder.embed", hidden, Optional.empty()));
        seams().addTap(encoderEmbed.name(), hidden);
        encoder = new BartStack(config.encoder(), w, seams());
        encoderNorm = Norm.of("model.encoder.layer_norm", hidden, BartStack.NORM_EPS, w);
        seams().addTap("encoder.final", hidden);
        Parameter table = w.parameter("model.decoder.embed_tokens.weight", config.vocabSize(), hidden);
        decoderEmbed = seams().add(new EmbeddingSite("decoder.embed", hidden, Optional.of(table)));
        words = new Table(table, OptionalInt.of(config.padToken()), 1, computeType).in(seams());
        positions = new Table(w.parameter("model.decoder.embed_positions.weight", config.maxTargetPositions(), hidden),
                1, computeType);
        seams().addTap(decoderEmbed.name(), hidden);
        decoder = new BartStack(config.decoder(), w, seams());
        decoderNorm = Norm.of("model.decoder.layer_norm", hidden, BartStack.NORM_EPS, w);
        seams().addTap("decoder.final", hidden);
        LinearLayer layer = config.tied() ? seams().add(new LinearLayer("proj_out", table, Optional.empty()))
                : w.linear("proj_out", config.vocabSize(), hidden, false);
        head = new LmHead(layer, 1, Optional.empty());
    }

    public WhisperConfig config() {
        return config;
    }

    @Override
    public Encoded encode(EncoderInput source, Pass given) {
        Var frames = convolved(features(source), given);
        DecoderInput in = DecoderInput.of(frames.add(sinusoids));
        TokenLayout layout = TokenLayout.of(in, given, Optional.empty(), Integer.MAX_VALUE, encoderEmbed, false);
        Pass pass = given.reading(Optional.empty(), layout.virtualTokens(), seams().precision());
        Var h = pass.tap(encoderEmbed.name(), layout.withVirtualTokens(in.embeds().orElseThrow(), pass));
        List<List<Segment>> added = encoderPart(pass.segments(seams().attentions(), in.batch()));
        Var states = encoder.forward(h, layout.visible(), added, Optional.empty(), Optional.empty(), checkpointing(), pass);
        return new Encoded(pass.tap("encoder.final", encoderNorm.forward(states, pass)), layout.visible().keyMask(), layout.virtualTokens());
    }

    private Var features(EncoderInput source) {
        Var x = source.embeds().orElseThrow(() -> new IllegalArgumentException(
                "Whisper reads log-mel features, not token ids. Give EncoderInput.of(features)."));
        long frames = 2L * config.maxSourcePositions();
        if (x.rank() != 3 || x.size(1) != config.numMelBins() || x.size(2) != frames) {
            throw new IllegalArgumentException("features of shape " + Arrays.toString(x.shape()) + " do not fit this model, which reads [B, "
                    + config.numMelBins() + ", " + frames + "]. Make them with its own feature extractor, padded to full length.");
        }
        if (source.mask().isPresent() || source.positions().isPresent() || source.tokenTypes().isPresent()) {
            throw new IllegalArgumentException("Whisper's features take no mask, positions or token types: silence is the padding. "
                    + "Give the features alone.");
        }
        return x.to(computeType());
    }

    /** {@code [B, mels, 2 S] -> [B, S, C]}. */
    private Var convolved(Var features, Pass pass) {
        return pass.perGroup(features, (x, g) -> convolved(convolved(x, 0, 1, g), 2, 2, g).transpose(1, 2));
    }

    /** GELU of one convolution over three frames. */
    private Var convolved(Var x, int first, long stride, Group g) {
        Var weight = convolutions[first].value(g).to(x.dtype());
        Var bias = convolutions[first + 1].value(g).to(x.dtype());
        return Activations.gelu(Convolution.conv1d(x, weight, Optional.of(bias), stride, 1, 1, 1));
    }

    @Override
    protected Hidden decode(DecoderInput in, Encoded source, Optional<Seq2SeqCache> cache, Pass given) {
        TokenLayout layout = TokenLayout.of(in, given, cache.map(Seq2SeqCache::target), contextLength(), decoderEmbed, true);
        Pass pass = given.reading(in.ids(), layout.virtualTokens(), seams().precision());
        Var tokens = in.embeds().orElseGet(() -> words.rows(in.ids().get().to(backend()), pass));
        Tensor where = positions(layout, 0);
        Var h = pass.tap(decoderEmbed.name(), layout.withVirtualTokens(tokens, pass).add(positions.rows(where, pass)));
        cache.ifPresent(c -> c.target().grow(layout.real(), layout.time()));
        List<List<Segment>> added = decoderPart(pass.segments(seams().attentions(), in.batch()));
        Var states = decoder.forward(h, layout.visible(), added, Optional.of(source), cache, checkpointing(), pass);
        return new Hidden(pass.tap("decoder.final", decoderNorm.forward(states, pass)), layout.virtualTokens());
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
