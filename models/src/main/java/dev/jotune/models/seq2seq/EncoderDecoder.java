package dev.jotune.models.seq2seq;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Config;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Encoded;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.ModelException;
import dev.jotune.models.Network;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.TokenLayout;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** What every encoder-decoder does the same way, whatever its stacks are. */
public abstract class EncoderDecoder extends Network implements Seq2SeqLm {
    /**
     * The outline of a model.
     *
     * @param hidden C
     * @param layers of the encoder
     * @param context the most positions of either side; {@link Integer#MAX_VALUE} if there is no limit
     * @param start the token that targets begin with; -1 if the configuration names none
     * @param pad the token that fills rows; -1 if the configuration names none
     */
    public record Outline(String modelType, int vocabulary, int hidden, int layers, int context, int start, int pad) {}

    private final Outline outline;

    /** @param computeType F32, or F64 on the reference backend */
    protected EncoderDecoder(Outline outline, Backend backend, DType computeType) {
        super(new Seams(), backend, computeType);
        this.outline = outline;
    }

    /** A special token of a configuration. */
    public static int token(Config c, String field, int otherwise) {
        int[] ids = c.ids(field);
        return ids.length == 0 ? otherwise : ids[0];
    }

    /** The target's states, with a cache of the right kind and without derivatives if there is one. */
    protected abstract Hidden decode(DecoderInput target, Encoded source, Optional<Seq2SeqCache> cache, Pass pass);

    protected abstract LmHead head();

    /** The attentions of the decoder, in the order of {@link #seams}. */
    protected abstract List<AttentionSite> decoderSites();

    /** A source of tokens as what {@link TokenLayout} reads. */
    protected final DecoderInput asTokens(EncoderInput source) {
        if (source.tokenTypes().isPresent()) {
            throw new IllegalArgumentException("a " + modelType() + " model has no token types. Give the source without them.");
        }
        return new DecoderInput(source.ids(), source.embeds(), source.mask(), source.positions());
    }

    /** What belongs to the encoder in a list of one entry for each attention. */
    protected final <T> List<T> encoderPart(List<T> all) {
        return all.subList(0, all.size() - decoderSites().size());
    }

    /** What belongs to the decoder in a list of one entry for each attention. */
    protected final <T> List<T> decoderPart(List<T> all) {
        return all.subList(all.size() - decoderSites().size(), all.size());
    }

    /** Where the tokens of a pass stand, {@code [B, T]}, plus {@code offset}. */
    protected final Tensor positions(TokenLayout layout, long offset) {
        long[] flat = Arrays.stream(layout.positions()).flatMapToLong(Arrays::stream).map(p -> p + offset).toArray();
        return Tensor.of(backend, flat, layout.positions().length, layout.time());
    }

    @Override
    public final Hidden decode(DecoderInput target, Encoded source, Pass pass, Optional<DecoderCache> given) {
        if (target.branches().isPresent()) {
            throw new IllegalArgumentException("a " + modelType() + " model cannot read branches. Give each target a row of its own.");
        }
        if (given.isEmpty()) {
            checkRows(target, source);
            return decode(target, source, Optional.empty(), pass);
        }
        Seq2SeqCache cache = Seq2SeqCache.of(given.get(), modelType());
        if (cache.batch() != target.batch()) {
            throw new IllegalArgumentException("a target of " + target.batch() + " rows does not fit a cache of " + cache.batch()
                    + ". Reorder the cache, or ask for one of as many rows.");
        }
        if (cache.length() == 0) {
            checkRows(target, source);
            cache.begin(source);
        }
        return Recording.off(() -> decode(target, source, Optional.of(cache), pass));
    }

    private static void checkRows(DecoderInput target, Encoded source) {
        if (source.batch() != 1 && source.batch() != target.batch()) {
            throw new IllegalArgumentException("a target of " + target.batch() + " rows cannot attend to a source of "
                    + source.batch() + ". Encode as many rows, or one for all.");
        }
    }

    @Override
    public final Var logits(Var states, Pass pass) {
        return head().logits(states, pass);
    }

    @Override
    public final Var loss(Var states, Tensor labels, Pass pass) {
        return head().loss(states, labels, pass);
    }

    @Override
    public final DecoderCache newCache(long batch, long capacity) {
        return new Seq2SeqCache(backend, computeType,
                decoderSites().stream().filter(s -> s.kind() == AttentionSite.Kind.CAUSAL).toList(), batch, capacity);
    }

    @Override
    public final String modelType() {
        return outline.modelType();
    }

    @Override
    public final int vocabularySize() {
        return outline.vocabulary();
    }

    @Override
    public final int decoderStartToken() {
        return named(outline.start(), "decoder_start_token_id");
    }

    @Override
    public final int padToken() {
        return named(outline.pad(), "pad_token_id");
    }

    private int named(int token, String field) {
        if (token < 0) {
            throw new ModelException("the configuration of this " + modelType() + " model names no " + field
                    + ". Add it to config.json, or give the decoder's input yourself.");
        }
        return token;
    }

    @Override
    public final int hiddenSize() {
        return outline.hidden();
    }

    @Override
    public final int layers() {
        return outline.layers();
    }

    @Override
    public final int contextLength() {
        return outline.context();
    }
}
