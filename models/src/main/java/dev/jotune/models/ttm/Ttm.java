package dev.jotune.models.ttm;

import dev.jotune.autograd.Checkpoint;
import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Var;
import dev.jotune.models.Forecaster;
import dev.jotune.models.Network;
import dev.jotune.models.Series;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.expr.Expr;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Tiny Time Mixers (Ekambaram et al., arXiv 2401.03955): each channel of a series is scaled by its own mean and
 * deviation, cut into P patches, embedded, and mixed by MLPs over patches and features. The encoder's levels (adaptive
 * patching) cut every patch into 2^i, from fine to coarse. A narrower decoder of the same layers and one linear map of
 * all patches give the forecast, which is scaled back.
 *
 * <p>There is no attention; and as MLPs over patches have a weight for each patch, no place for further ones: neither
 * prefixes nor virtual tokens. Projections and taps are as everywhere: {@code embed} {@code [B, channels, P, C]}, those of
 * {@link MixerLayer} in {@code encoder.} and {@code decoder.}, {@code final}, what the head reads.
 */
public final class Ttm extends Network implements Forecaster {
    /** Added to a variance before its root is taken. */
    private static final double MINIMUM_VARIANCE = 1e-5;
    private static final MapOp MAGNITUDE = MapOp.of("abs", 1, Expr.input(0).abs());
    private static final MapOp AT_LEAST = MapOp.of("at_least", 2, Expr.input(0).max(Expr.rowInput(1)));

    private final TtmConfig config;
    private final LinearLayer patcher;
    private final Optional<Parameter> positions;
    private final List<MixerLayer> encoder;
    private final Optional<LinearLayer> adapter;
    private final List<MixerLayer> decoder;
    private final LinearLayer head;

    /**
     * @param source the weights under their checkpoint names
     * @param computeType F32, or F64 on the reference backend
     */
    public Ttm(TtmConfig config, Weights.Source source, Backend backend, DType computeType) {
        super(new Seams(), backend, computeType);
        this.config = config;
        Weights w = new Weights(source, seams);
        patcher = w.linear("backbone.encoder.patcher", config.dModel(), config.patchLength(), true);
        positions = config.usePositionalEncoding() ? Optional.of(w.parameter("backbone.encoder.positional_encoder.position_enc",
                config.numPatches(), config.dModel())) : Optional.empty();
        seams.addTap("embed", config.dModel());
        encoder = stack("backbone.encoder.mlp_mixer_encoder", "encoder", config.dModel(), config.adaptivePatchingLevels(), config.numLayers(), w);
        boolean adapted = config.useDecoder() && config.decoderDModel() != config.dModel();
        adapter = adapted ? Optional.of(w.linear("decoder.adapter", config.decoderDModel(), config.dModel(), true)) : Optional.empty();
        decoder = config.useDecoder() ? stack("decoder.decoder_block", "decoder", config.decoderDModel(),
                config.decoderAdaptivePatchingLevels(), config.decoderNumLayers(), w) : List.of();
        int width = config.useDecoder() ? config.decoderDModel() : config.dModel();
        seams.addTap("final", width);
        head = w.linear("head.base_forecast_block", config.predictionLength(), (long) config.numPatches() * width, true);
    }

    private List<MixerLayer> stack(String path, String name, int width, int levels, int layers, Weights w) {
        List<MixerLayer> out = new ArrayList<>();
        for (int level = levels - 1; level >= 0; level--) {
            // A patch keeps more than four features.
            int factor = width >> level > 4 ? 1 << level : 1;
            for (int i = 0; i < layers; i++) {
                out.add(MixerLayer.of(path + ".mixers." + (levels - 1 - level) + ".mixer_layers." + i, config.numPatches() * factor,
                        width / factor, factor, config, w, name + ".layers." + out.size(), seams));
            }
        }
        for (int i = 0; levels == 0 && i < layers; i++) {
            out.add(MixerLayer.of(path + ".mixers." + i, config.numPatches(), width, 1, config, w, name + ".layers." + i, seams));
        }
        return List.copyOf(out);
    }

    public TtmConfig config() {
        return config;
    }

    @Override
    public String modelType() {
        return "tinytimemixer";
    }

    @Override
    public int hiddenSize() {
        return config.dModel();
    }

    /** Of encoder and decoder together. */
    @Override
    public int layers() {
        return encoder.size() + decoder.size();
    }

    /** Steps. */
    @Override
    public int contextLength() {
        return config.contextLength();
    }

    @Override
    public int horizon() {
        return config.horizon();
    }

    /** By how much each channel is moved and divided, {@code [B, 1, channels]}. */
    private record Scale(Var shift, Var size) {}

    @Override
    public Var forecast(Series given, Pass pass) {
        long context = config.contextLength();
        if (given.time() < context) {
            throw new IllegalArgumentException("a past of " + given.time() + " steps is shorter than the model's context of " + context
                    + ". Give more steps, or load a model with a shorter context.");
        }
        Series past = given.slice(given.time() - context, given.time());
        Scale scale = scale(past);
        Var h = patches(past.values().sub(scale.shift).div(scale.size));
        Var embedded = patcher.forward(h, pass);
        if (positions.isPresent()) {
            embedded = pass.perGroup(embedded, (rows, g) -> rows.add(positions.get().value(g)));
        }
        h = run(encoder, pass.tap("embed", embedded), pass);
        h = adapter.isPresent() ? adapter.get().forward(h, pass) : h;
        h = pass.tap("final", run(decoder, h, pass));
        Var steps = head.forward(h.reshape(h.size(0), h.size(1), h.size(2) * h.size(3)), pass).transpose(1, 2).slice(1, 0, config.horizon());
        return steps.mul(scale.size).add(scale.shift);
    }

    /** {@code [B, T, channels] -> [B, channels, P, patch]}; steps that fill no patch are left out at the beginning. */
    private Var patches(Var x) {
        long used = config.patchLength() + (long) (config.numPatches() - 1) * config.patchStride();
        return x.slice(1, x.size(1) - used, x.size(1)).unfold(1, config.patchLength(), config.patchStride(), 1).transpose(1, 2);
    }

    private Var run(List<MixerLayer> layers, Var h, Pass pass) {
        Var x = h;
        for (MixerLayer layer : layers) {
            x = Checkpoint.when(checkpointing(), v -> layer.forward(v, pass), x);
        }
        return x;
    }

    /** The mean and the deviation of what was observed. */
    private static Scale scale(Series past) {
        Var x = past.values();
        Optional<Var> weights = past.weights();
        long[] one = {x.size(0), 1, x.size(2)};
        Var count = weights.map(w -> AT_LEAST.apply(w.sumTo(one), x.scalarLike(1))).orElseGet(() -> x.scalarLike(x.size(1)));
        Var mean = observed(x, weights).sumTo(one).div(count);
        Var variance = observed(x.sub(mean).square(), weights).sumTo(one).div(count);
        return new Scale(mean, variance.add(MINIMUM_VARIANCE).sqrt());
    }

    private static Var observed(Var x, Optional<Var> weights) {
        return weights.map(x::mul).orElse(x);
    }

    @Override
    public Var loss(Series past, Series future, Pass pass) {
        if (future.time() < horizon() || future.batch() != past.batch() || future.values().size(2) != past.values().size(2)) {
            throw new IllegalArgumentException("a future " + future.values().tensor() + " does not fit a past " + past.values().tensor()
                    + " and a horizon of " + horizon() + ". It needs as many rows and channels, and at least as many steps.");
        }
        Series wanted = future.slice(0, horizon());
        Var miss = forecast(past, pass).sub(wanted.values());
        Var error = config.absoluteLoss() ? MAGNITUDE.apply(miss) : miss.square();
        return wanted.weights().map(w -> error.mul(w).sum().div(w.sum())).orElseGet(error::mean);
    }
}
