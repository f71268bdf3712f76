package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Targets;
import dev.jotune.peft.TuningMethod;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * (IA)^3: Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning (Liu et al., arXiv
 * 2205.05638).
 *
 * <p>Activations are rescaled by a learnt vector l: keys and values {@code y = l * (W x + b)}, so {@code W' = diag(l) W}; in
 * feed-forward blocks the input of the second layer, {@code y = W (l * x) + b}, so {@code W' = W diag(l)}. l starts at 1.
 * Trainable: out for each target, in for a feed-forward one.
 *
 * @param targetModules which linear layers
 * @param excludeModules which of them not
 * @param feedforwardModules which of them are rescaled at their input: by how their path ends, or a regular expression
 * @param initIa3Weights false: l starts normal instead of at 1
 * @param modulesToSave modules trained whole
 */
public record Ia3(Targets targetModules, Optional<Targets> excludeModules, Targets feedforwardModules, boolean initIa3Weights,
        List<String> modulesToSave) implements TuningMethod {
    /** PEFT's defaults. */
    public static final Ia3 DEFAULTS = new Ia3(Targets.DEFAULT, Optional.empty(), Targets.DEFAULT, true, List.of());

    @Override
    public String peftType() {
        return "IA3";
    }

    /** What the paper takes, by the names that the family gives them: keys, values and the second feed-forward layer. */
    @Override
    public Ia3 on(Backbone model) {
        Targets targets = targetModules.isDefault() ? targetsOf(model) : targetModules;
        Targets feedforward = feedforwardModules.isDefault() ? inner(model) : feedforwardModules;
        return new Ia3(targets, excludeModules, feedforward, initIa3Weights, modulesToSave);
    }

    private static Targets targetsOf(Backbone model) {
        return switch (model.modelType()) {
            case "llama", "mistral", "olmo2" -> Targets.of("k_proj", "v_proj", "down_proj");
            case "gemma2", "gemma3_text", "qwen2", "qwen3" -> Targets.of("q_proj", "v_proj", "down_proj");
            case "mixtral" -> Targets.of("k_proj", "v_proj", "w2");
            case "phi3" -> Targets.of("qkv_proj", "down_proj");
            case "gpt2" -> Targets.of("c_attn", "mlp.c_proj");
            case "bart" -> Targets.of("q_proj", "v_proj", "fc2");
            case "t5" -> Targets.of("k", "v", "wo");
            case "bert", "roberta" -> Targets.of("key", "value", "output.dense");
            case "deberta-v2" -> Targets.of("key_proj", "value_proj", "output.dense");
            default -> throw new AdapterException("there are no default target_modules of (IA)^3 for a " + model.modelType()
                    + " model. Name them, and which of them are feedforward_modules.");
        };
    }

    private Targets inner(Backbone model) {
        if (!targetModules.isDefault()) {
            return Targets.of();
        }
        return Targets.of(targetsOf(model).names().getLast());
    }

    @Override
    public Ia3 withModulesToSave(List<String> modules) {
        return new Ia3(targetModules, excludeModules, feedforwardModules, initIa3Weights, modules);
    }

    @Override
    public String changesAtStart() {
        return initIa3Weights ? "" : "init_ia3_weights false starts the vectors at random";
    }

    @Override
    public void attachTo(Attachment a) {
        List<LinearLayer> targets = a.linears(targetModules, excludeModules, List.of(), List.of());
        checkFeedforward();
        for (LinearLayer layer : targets) {
            boolean input = isFeedforward(layer.path());
            Var l = a.trainable(Attachment.key(layer.path()) + ".ia3_l", initIa3Weights ? Init.constant(1) : Init.normal(1),
                    input ? new long[] {1, layer.in()} : new long[] {layer.out(), 1});
            a.project(layer, input ? new InputScale(l) : new OutputScale(l));
        }
        a.modulesToSave(modulesToSave, Attachment.WRAPPED);
    }

    private void checkFeedforward() {
        for (String name : feedforwardModules.names()) {
            if (targetModules.pattern().isEmpty() && !targetModules.names().contains(name)) {
                throw new AdapterException("feedforward_modules: '" + name + "' is not among target_modules " + targetModules.names()
                        + ". Add it there, or leave it out here.");
            }
        }
    }

    /** PEFT compares ends of texts here, not whole segments of the path. */
    private boolean isFeedforward(String path) {
        return feedforwardModules.pattern().isPresent() ? feedforwardModules.matches(path)
                : feedforwardModules.names().stream().anyMatch(path::endsWith);
    }

    /** {@code y = l * (W x + b)}, l {@code [out, 1]}. */
    private record OutputScale(Var l) implements Projection {
        @Override
        public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
            return inner.apply(x).mul(l.reshape(layer.out()));
        }

        @Override
        public Var weight(Var w) {
            return w.mul(l);
        }

        @Override
        public Var bias(Var b) {
            return b == null ? null : b.mul(l.reshape(b.size(0)));
        }
    }

    /** {@code y = W (l * x) + b}, l {@code [1, in]}. */
    private record InputScale(Var l) implements Projection {
        @Override
        public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
            return inner.apply(x.mul(l.reshape(layer.in())));
        }

        @Override
        public Var weight(Var w) {
            return w.mul(l);
        }
    }
}
