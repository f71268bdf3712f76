package dev.jotune.models.clip;

import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.Var;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Encoder;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.Network;
import dev.jotune.models.Table;
import dev.jotune.models.TokenLayout;
import dev.jotune.models.Weights;
import dev.jotune.models.head.DropoutRates;
import dev.jotune.models.head.Norm;
import dev.jotune.models.patch.BlockNames;
import dev.jotune.models.patch.PreNormStack;
import dev.jotune.models.patch.StackOptions;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.Optional;

/**
 * CLIP's tower of texts: tokens with trained positions, L pre-norm blocks in which a token sees itself and those before
 * it, norm. Taps and the embedding site begin with {@code text.}.
 *
 * <p>Virtual tokens stand before the text and take positions, as the trained context of CoOp does (arXiv 2109.01134)
 * but for the begin token, which here comes behind them.
 */
public final class ClipText extends Network implements Encoder {
    private final ClipConfig.Text config;
    private final EmbeddingSite site;
    private final Table tokens;
    private final Table positions;
    private final PreNormStack stack;
    private final Norm norm;

    /** @param seams that the tower's parts are registered with: its own, or those of the whole model */
    ClipText(ClipConfig.Text config, Weights w, Seams seams, Backend backend, DType computeType) {
        super(seams, backend, computeType);
        this.config = config;
        ClipConfig.Tower t = config.tower();
        // The tower alone is stored with the name of its part in transformers 4, and without in 5.
        String at = w.contains("text_model.embeddings.token_embedding.weight") ? "text_model." : "";
        Parameter table = w.parameter(at + "embeddings.token_embedding.weight", config.vocabSize(), t.hiddenSize());
        tokens = new Table(table, 1, computeType).in(seams);
        positions = new Table(w.parameter(at + "embeddings.position_embedding.weight", config.maxPositionEmbeddings(),
                t.hiddenSize()), 1, computeType).in(seams);
        site = seams.add(new EmbeddingSite("text.embed", t.hiddenSize(), Optional.of(table)));
        seams.addTap("text.embed", t.hiddenSize());
        stack = new PreNormStack(options(t, at, "text.", AttentionSite.Kind.CAUSAL), w, seams);
        norm = Norm.of(at + "final_layer_norm", t.hiddenSize(), t.layerNormEps(), w);
        seams.addTap("text.final", t.hiddenSize());
    }

    static StackOptions options(ClipConfig.Tower t, String path, String tap, AttentionSite.Kind kind) {
        return new StackOptions(path + "encoder.layers.", BlockNames.CLIP, tap, kind, t.numHiddenLayers(), t.hiddenSize(),
                t.intermediateSize(), t.numAttentionHeads(), t.hiddenAct(), t.layerNormEps(), true,
                new DropoutRates(0, t.attentionDropout(), 0, 0));
    }

    /** The tower alone, as {@code CLIPTextModel} is stored. */
    public static ClipText load(ClipConfig.Text config, Weights.Source source, Backend backend, DType computeType) {
        Seams seams = new Seams();
        return new ClipText(config, new Weights(source, seams), seams, backend, computeType);
    }

    @Override
    public Hidden forward(EncoderInput input, Pass given) {
        if (input.tokenTypes().isPresent()) {
            throw new IllegalArgumentException("CLIP knows no token types. Leave them out.");
        }
        DecoderInput text = new DecoderInput(input.ids(), input.embeds(), input.mask().or(() -> input.positions().map(this::ones)),
                input.positions());
        TokenLayout layout = TokenLayout.of(text, given, Optional.empty(), config.maxPositionEmbeddings(), site, true);
        Pass pass = given.reading(input.ids(), layout.virtualTokens(), seams().precision());
        Var own = input.embeds().orElseGet(() -> tokens.rows(input.ids().orElseThrow().to(backend), pass));
        Var h = layout.withVirtualTokens(own, pass);
        h = pass.tap("text.embed", h.add(positions.rows(ids(layout.positions()), pass)));
        h = stack.forward(h, layout.visible(), checkpointing(), pass);
        return new Hidden(pass.tap("text.final", norm.forward(h, pass)), layout.virtualTokens());
    }

    /** A mask that hides nothing: CLIP does not read steps in the positions as borders of texts. */
    private Tensor ones(Tensor like) {
        return Tensor.full(backend, DType.F32, 1, like.shape());
    }

    private Tensor ids(long[][] rows) {
        return Tensor.of(backend, Arrays.stream(rows).flatMapToLong(Arrays::stream).toArray(), rows.length, rows[0].length);
    }

    /**
     * The state of each text's end token, {@code [B, C]}: the first {@code eos_token_id}, or the first token if there is
     * none; the largest id where the configuration says 2, as old checkpoints do.
     *
     * @param input what {@code hidden} was made of; with token ids, for embeddings do not tell where a text ends
     */
    public Var pooled(Hidden hidden, EncoderInput input) {
        Tensor given = input.ids().orElseThrow(() -> new IllegalArgumentException(
                "embeddings do not tell where a text ends. Give token ids, or take the states of the text."));
        long[] ids = given.toLongArray();
        int time = Math.toIntExact(given.size(1));
        long all = hidden.states().size(1);
        long[] rows = new long[ids.length / time];
        for (int b = 0; b < rows.length; b++) {
            rows[b] = b * all + hidden.virtualTokens() + end(Arrays.copyOfRange(ids, b * time, (b + 1) * time));
        }
        return Lookup.gather(hidden.states().reshape(-1, hiddenSize()), Tensor.of(backend, rows, rows.length));
    }

    private int end(long[] text) {
        int at = 0;
        for (int t = 0; t < text.length; t++) {
            if (config.eosTokenId() == 2 && text[t] > text[at]) {
                at = t;
            } else if (config.eosTokenId() != 2 && text[t] == config.eosTokenId()) {
                return t;
            }
        }
        return at;
    }

    @Override
    public String modelType() {
        return "clip_text_model";
    }

    @Override
    public int hiddenSize() {
        return config.tower().hiddenSize();
    }

    @Override
    public int layers() {
        return config.tower().numHiddenLayers();
    }

    @Override
    public int contextLength() {
        return config.maxPositionEmbeddings();
    }
}
