package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.AttentionSite.Kind;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Require;
import dev.jotune.peft.Targets;
import dev.jotune.peft.TuningMethod;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * HyperTuning: Toward Adapting Large Language Models without Back-propagation (Phang et al., arXiv 2211.12485).
 *
 * <p>A {@link Hypermodel} h, a copy of the model itself, reads examples of a task and then n learnt vectors {@code s [n, C]}; its
 * states {@code v = h(examples, s) [n, C]} at these become the weights of an adapter of the frozen model:
 * {@code head(v) = W2 tanh(W1 v + b1) + b2}, a head for each layer,
 * <ul>
 * <li>{@code prefix}: {@code [k; v] = head_l(v)}, n keys and values of every attention of a text on itself;
 * <li>{@code lora}: {@code A = head_A(v) [n, in]}, {@code B^T = head_B(v) [n, out]}, {@code W' = W + (alpha / n) B A}. W2 and b2
 *     of head_B begin at 0, so that the model begins as it is.
 * </ul>
 * h, s and the heads are trained through what they write. Trainable: that of h if it trains, {@code n C}, and for each head to
 * width w {@code m (C + 1) + w (m + 1)}. A decoder-only h reads s behind the examples; the decoder of an encoder-decoder reads s,
 * its encoder the examples. Both keep their causal masks: a vector sees those before it.
 *
 * <p>On its own the adapter reads {@code examples}. Rows of a batch have weights of their own through {@link Hypermodel#reading}.
 *
 * @param writes {@code prefix} or {@code lora}
 * @param numVirtualTokens n, of LoRA the rank
 * @param loraAlpha numerator of the scale
 * @param targetModules of LoRA: which linear layers
 * @param encoderHiddenSize m
 * @param trainEncoder whether h trains; else only s and the heads
 * @param examples ids of the tokens that h reads
 */
public record HyperTuning(String writes, int numVirtualTokens, double loraAlpha, Targets targetModules, int encoderHiddenSize,
        boolean trainEncoder, List<Integer> examples, List<String> modulesToSave) implements TuningMethod {
    private static final String BODY = "hypermodel.";

    public static final HyperTuning DEFAULTS = new HyperTuning("prefix", 16, 16, Targets.DEFAULT, 64, true, List.of(0), List.of());

    @Override
    public HyperTuning on(Backbone model) {
        return writes.equals("prefix") || !targetModules.isDefault() ? this : new HyperTuning(writes, numVirtualTokens, loraAlpha,
                Targets.of(model), encoderHiddenSize, trainEncoder, examples, modulesToSave);
    }

    @Override
    public HyperTuning withModulesToSave(List<String> modules) {
        return new HyperTuning(writes, numVirtualTokens, loraAlpha, targetModules, encoderHiddenSize, trainEncoder, examples, modules);
    }

    @Override
    public String peftType() {
        return "HYPER_TUNING";
    }

    @Override
    public String changesAtStart() {
        return writes.equals("prefix") ? "every query attends to the prefix from the start, whatever its values" : "";
    }

    @Override
    public void attachTo(Attachment a) {
        Backbone model = a.model();
        check(a);
        Map<String, Var> body = new LinkedHashMap<>();
        if (trainEncoder) {
            // The output head reads no state of h.
            model.seams().parameters().values().stream().filter(p -> !p.path().startsWith("lm_head")).forEach(p ->
                    body.put(p.path(), a.trainable(BODY + p.path(), Init.copyOf(p.base().tensor()), p.shape())));
        }
        Var slots = a.trainable("slots", Init.normal(0.02), numVirtualTokens, model.hiddenSize());
        Hypermodel h = new Hypermodel(model, body, slots, examples.stream().mapToLong(Integer::longValue).toArray(),
                writes.equals("prefix") ? prefixes(a) : factors(a));
        a.writtenBy(h);
        a.modulesToSave(modulesToSave, Attachment.UNWRAPPED);
    }

    private void check(Attachment a) {
        Backbone model = a.model();
        if (!List.of("prefix", "lora").contains(writes)) {
            throw new AdapterException("writes is '" + writes + "'; it must be prefix or lora.");
        }
        a.checkVirtualTokens(numVirtualTokens);
        Require.positive("encoder_hidden_size", encoderHiddenSize);
        if (!(model instanceof CausalLm || model instanceof Seq2SeqLm) || model.seams().attentions().isEmpty()) {
            throw new AdapterException("HyperTuning needs a language model with attention, and a " + model.modelType()
                    + " model is none. Choose another method.");
        }
        long vocabulary = model.seams().input().table().map(Parameter::shape).orElseThrow()[0];
        if (examples.isEmpty() || examples.stream().anyMatch(id -> id < 0 || id >= vocabulary)) {
            throw new AdapterException("examples is " + (examples.size() > 20 ? examples.size() + " ids" : examples)
                    + "; it must hold token ids below " + vocabulary + ".");
        }
    }

    private Hypermodel.Prefixes prefixes(Attachment a) {
        List<AttentionSite> sites = a.model().seams().attentions();
        List<Optional<Hypermodel.Head>> heads = new ArrayList<>();
        for (AttentionSite s : sites) {
            heads.add(s.kind() == Kind.CROSS ? Optional.empty()
                    : Optional.of(head(a, "heads." + s.path(), 2L * s.groups() * s.headDim(), Init.normal(0.02))));
        }
        return new Hypermodel.Prefixes(numVirtualTokens, heads);
    }

    private Hypermodel.Factors factors(Attachment a) {
        Map<LinearLayer, Hypermodel.Pair> pairs = new LinkedHashMap<>();
        for (LinearLayer layer : a.linears(targetModules, Optional.empty(), List.of(), List.of())) {
            pairs.put(layer, new Hypermodel.Pair(head(a, "heads." + layer.path() + ".A", layer.in(), Init.KAIMING),
                    head(a, "heads." + layer.path() + ".B", layer.out(), Init.ZEROS)));
        }
        return new Hypermodel.Factors(loraAlpha / numVirtualTokens, pairs);
    }

    private Hypermodel.Head head(Attachment a, String key, long width, Init last) {
        long c = a.model().hiddenSize();
        return new Hypermodel.Head(a.trainable(key + ".0.weight", Init.KAIMING, encoderHiddenSize, c),
                a.trainable(key + ".0.bias", Init.uniform(1 / Math.sqrt(c)), encoderHiddenSize),
                a.trainable(key + ".2.weight", last, width, encoderHiddenSize),
                a.trainable(key + ".2.bias", Init.ZEROS, width));
    }
}
