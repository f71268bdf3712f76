package dev.jotune.models.decoder;

import dev.jotune.autograd.ops.Activations;
import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.models.decoder.DecoderConfig.NormPlacement;
import dev.jotune.models.decoder.DecoderConfig.QueryKeyNorm;
import dev.jotune.models.head.DropoutRates;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.IntPredicate;

/**
 * A Llama as {@code config.json} has it; a family says in what it differs. Everything that the configuration says must
 * have been read when {@link #done} is called.
 */
final class DecoderOptions {
    private static final String SLIDING = "sliding_attention";
    private static final String FULL = "full_attention";

    final Config config;
    final int layers;
    final int context;
    final int headDim;
    private final int hidden;
    private final int heads;
    private final int groups;
    private double eps = 1e-6;
    private String act = "hidden_act";
    private String defaultAct = "silu";
    private boolean attentionBias;
    private boolean outputBias;
    private boolean mlpBias;
    private boolean tied;
    private NormPlacement norms = NormPlacement.BEFORE;
    private boolean unitNorms;
    private QueryKeyNorm queryKeyNorm = QueryKeyNorm.NONE;
    private boolean fused;
    private double scale;
    private double attentionSoftcap;
    private double logitSoftcap;
    private double embeddingScale = 1;
    private List<Integer> windows;
    private List<Rope> ropes;
    private Optional<ExpertConfig> experts = Optional.empty();
    private double residualDropout;

    DecoderOptions(Config config) {
        this(config, 0);
    }

    /** @param defaultHeadDim where the configuration says nothing; 0: hidden_size / num_attention_heads */
    DecoderOptions(Config config, int defaultHeadDim) {
        this.config = config;
        hidden = config.size("hidden_size");
        heads = config.size("num_attention_heads");
        groups = config.size("num_key_value_heads", heads);
        headDim = config.size("head_dim", defaultHeadDim > 0 ? defaultHeadDim : hidden / heads);
        layers = config.size("num_hidden_layers");
        context = config.size("max_position_embeddings", 2048);
        scale = 1 / Math.sqrt(headDim);
        windows = Collections.nCopies(layers, 0);
        if (heads % groups != 0) {
            throw new ModelException(config.origin() + ": num_attention_heads " + heads
                    + " is not a multiple of num_key_value_heads " + groups + ".");
        }
        if (headDim % 2 != 0) {
            throw new ModelException(config.origin() + ": head_dim " + headDim + " is odd; rotary embedding needs pairs.");
        }
    }

    /** Refuses a field that is there with another value than 0. */
    DecoderOptions without(String field) {
        if (config.number(field, 0) != 0) {
            throw new ModelException(config.origin() + ": " + field + " " + config.number(field, 0)
                    + " is not supported. Set it to 0 if the model is to be used without it.");
        }
        return this;
    }

    /** Biases of all four projections of attention. */
    DecoderOptions attentionBias(boolean on) {
        outputBias = on;
        return queryKeyValueBias(on);
    }

    DecoderOptions queryKeyValueBias(boolean on) {
        attentionBias = on;
        return this;
    }

    DecoderOptions mlpBias(boolean on) {
        mlpBias = on;
        return this;
    }

    /** Epsilon of the norms where the configuration says nothing. */
    DecoderOptions epsilon(double otherwise) {
        eps = otherwise;
        return this;
    }

    /** Which field names the activation, and its value where it is absent. */
    DecoderOptions activation(String field, String otherwise) {
        act = field;
        defaultAct = otherwise;
        return this;
    }

    DecoderOptions tiedByDefault() {
        tied = true;
        return this;
    }

    DecoderOptions norms(NormPlacement placement, boolean unit) {
        norms = placement;
        unitNorms = unit;
        return this;
    }

    DecoderOptions queryKeyNorm(QueryKeyNorm what) {
        queryKeyNorm = what;
        return this;
    }

    DecoderOptions fusedProjections() {
        fused = true;
        return this;
    }

    /** Scores are divided by the root of {@code n}. */
    DecoderOptions scaleByRootOf(double n) {
        scale = 1 / Math.sqrt(n);
        return this;
    }

    /** Caps of scores and logits; 0: none. */
    DecoderOptions softcaps(double ofScores, double ofLogits) {
        attentionSoftcap = ofScores;
        logitSoftcap = ofLogits;
        return this;
    }

    /** Looked-up embeddings are multiplied with sqrt(C). */
    DecoderOptions scaledEmbedding() {
        // In F32, as the original has it in whatever type it computes.
        embeddingScale = (float) Math.sqrt(hidden);
        return this;
    }

    /** The field {@code sliding_window}; 0: none. */
    int window(int otherwise) {
        return config.mentions("sliding_window") ? config.count("sliding_window", 0) : otherwise;
    }

    /** The same window in every layer; 0: none. */
    DecoderOptions sliding(int window) {
        windows = Collections.nCopies(layers, window);
        return this;
    }

    /**
     * A window in the layers that {@code layer_types} calls sliding.
     *
     * @param otherwise which layers these are where the field is absent, as in configurations of transformers 4
     */
    DecoderOptions sliding(int window, IntPredicate otherwise) {
        windows = slidingLayers(otherwise).stream().map(s -> s ? window : 0).toList();
        return this;
    }

    private List<Boolean> slidingLayers(IntPredicate otherwise) {
        List<String> types = config.texts("layer_types");
        List<Boolean> out = new ArrayList<>();
        if (types.isEmpty()) {
            for (int i = 0; i < layers; i++) {
                out.add(otherwise.test(i));
            }
            return out;
        }
        if (types.size() != layers || !Set.of(SLIDING, FULL).containsAll(types)) {
            throw new ModelException(config.origin() + ": 'layer_types' is " + types + ", expected " + layers + " times "
                    + SLIDING + " or " + FULL + ".");
        }
        return types.stream().map(SLIDING::equals).toList();
    }

    /** Angles by the kind of layer: full attention has a scaling, sliding attention a base of its own (Gemma 3). */
    DecoderOptions ropesByKind(double fullTheta, double slidingTheta) {
        double full = config.number("rope_theta", fullTheta);
        double sliding = config.number("rope_local_base_freq", slidingTheta);
        boolean nested = config.has("rope_parameters");
        Config given = config.child("rope_parameters");
        Rope ofFull = Rope.read(config, nested ? given.child(FULL) : config.child("rope_scaling"), full, headDim, context);
        Rope ofSliding = Rope.read(config, nested ? given.child(SLIDING) : given, sliding, headDim, context);
        if (nested) {
            given.finish(Set.of());
        }
        ropes = windows.stream().map(w -> w > 0 ? ofSliding : ofFull).toList();
        return this;
    }

    /** One kind of angles for all layers. */
    DecoderOptions rope(double defaultTheta) {
        ropes = Collections.nCopies(layers, Rope.read(config, defaultTheta, headDim, context));
        return this;
    }

    /** Dropout of what a block adds, {@code resid_pdrop}. */
    DecoderOptions residualDropout() {
        residualDropout = DropoutRates.read(config, "resid_pdrop", 0);
        return this;
    }

    DecoderOptions experts(ExpertConfig e) {
        experts = Optional.of(e);
        return this;
    }

    /**
     * All options together.
     *
     * @param harmless fields that leave this family's computation alone
     * @throws ModelException naming the fields that nobody read
     */
    DecoderConfig done(String... harmless) {
        String activation = config.text(act, defaultAct);
        if (!Activations.isKnown(activation)) {
            throw new ModelException(config.origin() + ": " + act + " '" + activation + "' is not supported. Supported: "
                    + String.join(", ", Activations.names()) + ".");
        }
        if (ropes == null) {
            rope(10000);
        }
        DecoderConfig out = new DecoderConfig(config.text("model_type", ""), hidden, config.size("intermediate_size"), layers, heads, groups,
                headDim, config.size("vocab_size"), context, config.number("rms_norm_eps", eps), activation, attentionBias, outputBias,
                mlpBias, config.flag("tie_word_embeddings", tied), norms, unitNorms, queryKeyNorm, fused, scale, attentionSoftcap,
                logitSoftcap, embeddingScale, windows, ropes, experts,
                new DropoutRates(0, DropoutRates.read(config, "attention_dropout", 0), residualDropout, 0));
        config.finish(Set.of(harmless));
        return out;
    }
}
