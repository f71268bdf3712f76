package dev.jotune.peft;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.HookSource;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Projection;
import dev.jotune.peft.methods.Lora;
import dev.jotune.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.Supplier;

/**
 * A method at work on one model: its trainable tensors, hung on the model's seams.
 *
 * <p>The model is not changed: detaching gives it back as it was. {@link #merge} writes the definition's W' into the
 * model and {@link #unmerge} puts the original weights back, the same bytes.
 */
public final class Adapter {
    private final Backbone model;
    private final String name;
    private final TuningMethod given;
    private final Supplier<TuningMethod> method;
    private final Optional<StepHook> stepHook;
    private final Hooks hooks;
    private final Optional<HookSource> source;
    private final SequencedMap<String, Var> trainables;
    private final SequencedMap<String, Supplier<Tensor>> exports;
    private final Map<Parameter, Parameter.Content> merged = new LinkedHashMap<>();
    private final Map<Parameter, Parameter.Content> placed = new LinkedHashMap<>();
    private Optional<String> baseModel = Optional.empty();
    /** Place among the active adapters before merging; -1 if it was not active. */
    private int position = -1;

    Adapter(Backbone model, String name, TuningMethod method, Attachment a) {
        this.model = model;
        this.name = name;
        this.given = method;
        this.method = a.method(method);
        this.stepHook = a.hook();
        this.hooks = a.hooks(name);
        this.source = a.source();
        this.trainables = a.trainables();
        this.exports = a.exports();
        source.ifPresentOrElse(_ -> model.seams().attach(hooks, _ -> hooks()), () -> model.seams().attach(hooks));
    }

    public String name() {
        return name;
    }

    /** Its hyper-parameters, as a file would state them now: training may have changed them. */
    public TuningMethod method() {
        return method.get();
    }

    /** What the method does in every training step beside its forward; absent for most. */
    public Optional<StepHook> stepHook() {
        return stepHook;
    }

    public Backbone model() {
        return model;
    }

    /** What it hangs on the model; where that is made for every pass, as it is now. */
    public Hooks hooks() {
        return source.map(s -> s.hooks(name).withOverrides(hooks.overrides())).orElse(hooks);
    }

    /** What makes the hooks for every pass, if something does. */
    public Optional<HookSource> source() {
        return source;
    }

    /** The trainable tensors, updated in place by an optimiser, by name. */
    public SequencedMap<String, Var> trainables() {
        return Collections.unmodifiableSequencedMap(trainables);
    }

    /** How many numbers are trained. */
    public long trainableCount() {
        return trainables.values().stream().mapToLong(v -> v.tensor().numel()).sum();
    }

    /** What the adapter's file holds. */
    public SequencedMap<String, Tensor> state() {
        SequencedMap<String, Tensor> out = new LinkedHashMap<>();
        exports.forEach((k, v) -> out.put(k, v.get()));
        return out;
    }

    /** Takes the adapter off the model. */
    public void detach() {
        model.seams().detach(name);
    }

    /**
     * Writes PEFT's two files into {@code folder}, and for a classifier the names of its labels, atomically: at every
     * moment the folder holds the old adapter, the new one, or none.
     */
    public void save(Path folder) {
        Map<String, Object> extra = new LinkedHashMap<>(describe());
        baseModel.ifPresent(name -> extra.put("base_model_name_or_path", name));
        List<String> labels = model instanceof SequenceClassifier c ? c.labels() : List.of();
        AdapterFiles.write(folder, method(), state(), extra, labels);
    }

    /** Notes the name or folder of the base model, which PEFT's automatic classes look for in saved adapters. */
    public Adapter basedOn(String nameOrPath) {
        baseModel = Optional.of(nameOrPath);
        return this;
    }

    /** The text of {@code adapter_config.json}: equal for equal hyper-parameters. */
    public String configuration() {
        return AdapterConfig.write(method(), describe());
    }

    /** The same of the method that it was made with, whatever training has changed since. */
    public String startingConfiguration() {
        return AdapterConfig.write(given, describe());
    }

    /** What PEFT notes about the model beside the hyper-parameters: its task, and its shape for methods that do not target modules. */
    private Map<String, ?> describe() {
        Map<String, Object> extra = new LinkedHashMap<>();
        TaskType.of(model, method()).ifPresent(t -> extra.put("task_type", t.name()));
        // GPT-2's layers, which PEFT needs to be told of, but for single weights.
        boolean single = method() instanceof Lora l && !l.targetParameters().isEmpty();
        if (!single && hooks.projections().keySet().stream().map(model.seams().projections()::get).anyMatch(l -> l != null && l.transposed())) {
            extra.put("fan_in_fan_out", true);
        }
        boolean prefix = hooks.segments().filter(s -> s.positions() > 0).isPresent();
        if (prefix || !hooks.virtualTokens().isEmpty()) {
            List<AttentionSite> sites = model.seams().attentions();
            extra.put("num_layers", model.layers());
            sites.stream().findFirst().ifPresent(s -> extra.put("num_attention_heads", prefix ? s.groups() : s.heads()));
            boolean once = hooks.virtualTokens().values().stream().anyMatch(v -> exports.containsKey(Prompts.TABLE)
                    && exports.get(Prompts.TABLE).get().size(0) == v.count());
            extra.put("num_transformer_submodules", model instanceof Seq2SeqLm && !once ? 2 : 1);
            extra.put("token_dim", prefix ? sites.getFirst().groups() * sites.getFirst().headDim() : model.hiddenSize());
        }
        return extra;
    }

    /**
     * True if the method can be merged into the weights: it touches projections and weights only, or adds constants to
     * what a linear layer reads.
     */
    public boolean canMerge() {
        return hooks.segments().isEmpty() && hooks.virtualTokens().isEmpty() && hooks.taps().entrySet().stream()
                .allMatch(t -> t.getValue().shift().isPresent() && model.seams().taps().get(t.getKey()).reader().isPresent());
    }

    /**
     * Writes {@code W' = g(W, theta)} into the model and switches the adapter off.
     *
     * @throws AdapterException if the method does not merge, or a changed weight is shared with another layer
     */
    public void merge() {
        if (!merged.isEmpty()) {
            throw new AdapterException("adapter '" + name + "' is merged already.");
        }
        Map<Parameter, Var> replacements = changed();
        List<String> active = new ArrayList<>(model.seams().active());
        position = active.indexOf(name);
        active.remove(name);
        model.seams().activate(active.toArray(String[]::new));
        replacements.forEach((p, v) -> {
            merged.put(p, p.content());
            p.merge(v);
            placed.put(p, p.content());
        });
    }

    /**
     * The weights that merging would write, by parameter path; nothing is changed.
     *
     * @throws AdapterException as {@link #merge}
     */
    public SequencedMap<String, Tensor> mergedWeights() {
        SequencedMap<String, Tensor> out = new LinkedHashMap<>();
        changed().forEach((p, v) -> out.put(p.path(), v.tensor()));
        return out;
    }

    private Map<Parameter, Var> changed() {
        if (!canMerge()) {
            throw new AdapterException(method().peftType() + " cannot be merged into the weights: it adds to the input of the "
                    + "model, not to its matrices. Keep the adapter beside the model.");
        }
        return Recording.off(this::replacements);
    }

    private Map<Parameter, Var> replacements() {
        Map<Parameter, Var> out = new LinkedHashMap<>();
        Map<String, Parameter> parameters = model.seams().parameters();
        hooks.overrides().forEach((path, v) -> out.put(parameters.get(path), copyLike(v, parameters.get(path))));
        Map<String, Projection> projections = hooks().projections();
        Set<Parameter> done = new HashSet<>();
        for (Map.Entry<String, Projection> e : projections.entrySet()) {
            LinearLayer layer = model.seams().projected(e.getKey());
            Var w = out.getOrDefault(layer.weight(), layer.weight().base());
            Var changed = copyLike(layer.oriented(e.getValue().weight(layer.oriented(w))), layer.weight());
            model.seams().readers(layer.weight()).stream().filter(other -> other != layer).forEach(other -> {
                Projection p = projections.get(other.path());
                if (p == null || !Arrays.equals(changed.tensor().toDoubleArray(),
                        copyLike(other.oriented(p.weight(other.oriented(w))), other.weight()).tensor().toDoubleArray())) {
                    throw new AdapterException(layer.path() + " shares its weight with " + other.path()
                            + "; merging would change both. Untie the weights first.");
                }
            });
            // Its other readers made the same of it.
            if (done.add(layer.weight())) {
                out.put(layer.weight(), changed);
            }
            Var b = layer.bias().map(p -> out.getOrDefault(p, p.base())).orElse(null);
            Var newBias = e.getValue().bias(b);
            if (newBias != b && b == null) {
                throw new AdapterException("adapter '" + name + "' cannot be merged: it adds a bias to " + layer.path()
                        + ", which has none. Keep the adapter beside the model.");
            }
            if (newBias != b) {
                out.put(layer.bias().orElseThrow(), copyLike(newBias, layer.bias().get()));
            }
        }
        hooks.taps().forEach((name, tap) -> fold(tap.shift().orElseThrow(), model.seams().taps().get(name).reader().orElseThrow(), out));
        return out;
    }

    /** {@code b' = b + W shift}, W with what else was merged. */
    private void fold(Var shift, LinearLayer layer, Map<Parameter, Var> out) {
        Parameter bias = layer.bias().orElseThrow(() -> new AdapterException("adapter '" + name + "' cannot be merged: it adds a bias to "
                + layer.path() + ", which has none. Keep the adapter beside the model."));
        Var w = layer.oriented(out.getOrDefault(layer.weight(), layer.weight().base()));
        Var b = out.getOrDefault(bias, bias.base());
        out.put(bias, copyLike(b.add(w.to(shift.dtype()).matmul(shift.reshape(-1, 1)).reshape(-1)), bias));
    }

    /** A copy outside all scopes. F32 where the base is narrower, so that merging loses nothing. */
    private static Var copyLike(Var v, Parameter p) {
        Tensor t = Tensor.empty(v.backend(), v.dtype(), p.shape());
        dev.jotune.tensor.Scope.detach(t);
        return Var.constant(t.copyFrom(v.tensor()));
    }

    /** Undoes {@link #merge}: the original weights, the same bytes, and the adapter active where it was. */
    public void unmerge() {
        if (merged.isEmpty()) {
            throw new AdapterException("adapter '" + name + "' is not merged.");
        }
        placed.forEach((p, content) -> {
            if (p.content() != content) {
                throw new AdapterException("adapter '" + name + "' cannot be un-merged yet: " + p.path()
                        + " was changed again since. Undo the later change first.");
            }
        });
        merged.forEach(Parameter::restore);
        merged.clear();
        placed.clear();
        if (position >= 0) {
            List<String> active = new ArrayList<>(model.seams().active());
            active.add(Math.min(position, active.size()), name);
            model.seams().activate(active.toArray(String[]::new));
        }
    }

    @Override
    public String toString() {
        return name + ": " + method() + ", " + trainableCount() + " trainable";
    }
}
