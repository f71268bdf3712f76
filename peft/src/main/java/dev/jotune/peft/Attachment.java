package dev.jotune.peft;

import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Projection;
import dev.jotune.models.seam.SegmentSource;
import dev.jotune.models.seam.Tap;
import dev.jotune.models.seam.TapSite;
import dev.jotune.models.seam.VirtualTokens;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** What a method declares while it is being attached: trainable tensors under their file keys, and hooks. */
public final class Attachment {
    /** What gives a model's outputs; {@code all-linear} leaves it alone, as in PEFT. */
    private static final Set<String> HEADS = Set.of("lm_head", "proj_out", "cls.predictions.decoder", "lm_head.decoder",
            "vocab_projector", "score", "classifier", "classifier.out_proj");

    /** How keys begin where PEFT's method wraps the model. */
    public static final String WRAPPED = "base_model.model.";

    /** How they begin where the method leaves the model as it is and changes its input alone. */
    public static final String UNWRAPPED = "base_model.";

    private final Backbone model;
    private final long seed;
    private final Optional<Map<String, Tensor>> saved;
    private final Optional<Function<String, int[]>> tokenizer;
    private final SequencedMap<String, Var> trainables = new LinkedHashMap<>();
    private final SequencedMap<String, Supplier<Tensor>> exports = new LinkedHashMap<>();
    private final Map<String, Projection> projections = new LinkedHashMap<>();
    private final Map<String, Var> overrides = new LinkedHashMap<>();
    private final Map<String, Tap> taps = new LinkedHashMap<>();
    private final Set<String> read = new HashSet<>();
    private final List<String> whole;
    private Optional<SegmentSource> segments = Optional.empty();
    private final Map<String, VirtualTokens> virtualTokens = new LinkedHashMap<>();

    /**
     * @param saved the tensors of an adapter file, if one is being loaded
     * @param tokenizer text to token ids without special tokens, for methods that start from text
     * @param whole modules that are trained whole, and so are no targets
     */
    Attachment(Backbone model, long seed, Optional<Map<String, Tensor>> saved, Optional<Function<String, int[]>> tokenizer,
            List<String> whole) {
        this.model = model;
        this.seed = seed;
        this.saved = saved;
        this.tokenizer = tokenizer;
        this.whole = List.copyOf(whole);
    }

    public Backbone model() {
        return model;
    }

    /** Fixes the noise of every start. */
    public long seed() {
        return seed;
    }

    /** The ids of {@code text}, without special tokens. */
    public int[] tokens(String text) {
        return tokenizer.orElseThrow(() -> new AdapterException("starting from a text needs the model's tokenizer, "
                + "and this model came without one. Load the model from a folder with a tokenizer.json.")).apply(text);
    }

    /** True if an adapter file is being loaded: its tensors replace every start. */
    public boolean isLoading() {
        return saved.isPresent();
    }

    /** Whether the adapter file being loaded holds {@code key}. */
    public boolean holds(String key) {
        return saved.map(s -> s.containsKey(key)).orElse(false);
    }

    /** The adapter file's key of a tensor that belongs to a module of the model. */
    public static String key(String path) {
        return WRAPPED + path;
    }

    /**
     * A trainable tensor stored as it is under {@code key}. It starts as {@code init} says, or as the file being loaded
     * holds it.
     */
    public Var trainable(String key, Init init, long... shape) {
        Var v = internal(key, init, shape);
        exports.put(key, v::tensor);
        return v;
    }

    /** A trainable tensor that the adapter file does not hold (the encoder behind a prefix). */
    public Var internal(String key, Init init, long... shape) {
        Tensor start;
        if (isLoading()) {
            start = Init.copyOf(stored(key, shape)).make(model.backend(), model.computeType(), 0, 0, shape);
        } else {
            start = init.make(model.backend(), model.computeType(), seed, trainables.size(), shape);
        }
        Var v = Var.parameter(dev.jotune.tensor.Scope.detach(start));
        if (trainables.put(key, v) != null) {
            throw new IllegalStateException("trainable " + key + " declared twice");
        }
        return v;
    }

    /** A tensor that the adapter file holds and that does not train. */
    public Var fixed(String key, long... shape) {
        return fixed(key, Init.copyOf(stored(key, shape)), shape);
    }

    /** The same, for adapters that are new as well: it is made as {@code init} says, or read from the file being loaded. */
    public Var fixed(String key, Init init, long... shape) {
        Init start = isLoading() ? Init.copyOf(stored(key, shape)) : init;
        Tensor t = start.make(model.backend(), model.computeType(), seed, exports.size(), shape);
        Var v = Var.constant(dev.jotune.tensor.Scope.detach(t));
        exports.put(key, v::tensor);
        return v;
    }

    /**
     * A weight of the model that PEFT writes into the adapter's file although it does not train. A file may lack it.
     *
     * @throws AdapterException if the file holds another one than the model
     */
    public void note(Parameter p, String key) {
        if (holds(key) && !Arrays.equals(stored(key, p.shape()).to(DType.F32).toDoubleArray(),
                p.base().tensor().to(DType.F32).toDoubleArray())) {
            throw new AdapterException("the adapter's " + key + " is not this model's " + p.path()
                    + ". It was made for another base model.");
        }
        exports.put(key, () -> p.base().tensor());
    }

    private Tensor stored(String key, long... shape) {
        Tensor t = saved.orElseThrow().get(key);
        if (t == null) {
            throw new AdapterException("the adapter file lacks the tensor " + key + " of shape " + Arrays.toString(shape)
                    + ". Its adapter_config.json and its tensors do not belong together.");
        }
        read.add(key);
        if (!Arrays.equals(t.shape(), shape)) {
            throw new AdapterException("the adapter's tensor " + key + " has shape " + Arrays.toString(t.shape())
                    + ", this model and configuration ask for " + Arrays.toString(shape)
                    + ". Was it made for another base model?");
        }
        if (!t.dtype().isFloating()) {
            throw new AdapterException("the adapter's tensor " + key + " has type " + t.dtype() + ", expected a floating type. "
                    + "Save the adapter again as F32.");
        }
        double[] values = t.toDoubleArray();
        for (int i = 0; i < values.length; i++) {
            if (!Double.isFinite(values[i])) {
                throw new AdapterException("the adapter's tensor " + key + " holds " + values[i] + " at element " + i
                        + ". Its training went wrong: use an earlier checkpoint.");
            }
        }
        return t.to(model.backend());
    }

    /** A tensor of the adapter file that is computed from trainables when it is saved. */
    public void export(String key, Supplier<Tensor> value) {
        exports.put(key, value);
    }

    /** Refuses a number of virtual tokens that leaves the model no room for a text. */
    public void checkVirtualTokens(int n) {
        if (n <= 0) {
            throw new AdapterException("num_virtual_tokens is " + n + "; it must be positive.");
        }
        if (n >= model.contextLength()) {
            throw new AdapterException("num_virtual_tokens is " + n + ", but the model's context has " + model.contextLength()
                    + " positions. Use fewer, so that a text fits behind them.");
        }
    }

    /** Hangs a method on a linear layer (seam 1). */
    public void project(LinearLayer layer, Projection p) {
        projections.put(layer.path(), p);
    }

    /** Adds segments to every attention (seam 2). */
    public void segments(SegmentSource source) {
        segments = Optional.of(source);
    }

    /** Puts embedding rows before the input of the embedding site {@code site} (seam 4). */
    public void virtualTokens(EmbeddingSite site, VirtualTokens tokens) {
        virtualTokens.put(site.name(), tokens);
    }

    /** The activations whose whole name matches, but for those that are only shown. */
    public List<TapSite> taps(Pattern name) {
        return model.seams().taps().values().stream().filter(t -> t.kind() != TapSite.Kind.SHOWN && name.matcher(t.name()).matches()).toList();
    }

    /** Holds a named activation (seam 3). */
    public void tap(String name, Tap tap) {
        taps.put(name, tap);
    }

    /** A trainable copy of one of the model's own weights, stored under {@code key}. */
    public void override(Parameter p, String key) {
        overrides.put(p.path(), trainable(key, Init.copyOf(p.base().tensor()), p.shape()));
    }

    /**
     * Trainable copies of the model's own biases, as PEFT's field {@code bias} asks for.
     *
     * @param which {@code none}, {@code all}, or {@code only}
     * @param only the method's word for those of the targets: {@code lora_only}
     * @throws AdapterException for another word
     */
    public void biases(String which, String only, List<LinearLayer> targets) {
        if (!List.of("none", "all", only).contains(which)) {
            throw new AdapterException("bias is '" + which + "'; it must be none, all or " + only + ".");
        }
        for (Parameter p : model.seams().parameters().values()) {
            boolean adapted = targets.stream().anyMatch(l -> p.path().equals(l.path() + ".bias"));
            if (p.path().endsWith(".bias") && (which.equals("all") || which.equals(only) && adapted)) {
                override(p, key(adapted ? p.path().replaceFirst("bias$", "base_layer.bias") : p.path()));
            }
        }
    }

    /**
     * Trainable copies of whole modules ({@code modules_to_save}): each must name at least one module, by how its path
     * ends.
     *
     * @param keys {@link #WRAPPED} or {@link #UNWRAPPED}: how the copies' keys begin
     */
    public void modulesToSave(List<String> modules, String keys) {
        Set<String> done = new HashSet<>();
        for (String m : modules) {
            boolean any = false;
            for (Parameter p : model.seams().parameters().values()) {
                if (isWithin(m, p.path())) {
                    any = true;
                    if (done.add(p.path())) {
                        override(p, keys + p.path());
                    }
                }
            }
            if (!any && TaskType.isOptional(m, model)) {
                continue;
            }
            // A tied head has no weight of its own; PEFT then copies the tied one.
            LinearLayer tied = model.seams().projections().get(m);
            if (!any && tied != null) {
                throw new AdapterException("modules_to_save: '" + m + "' shares its weight with " + tied.weight().path()
                        + " in this model. Name that module, or untie the weights.");
            }
            if (!any) {
                throw new AdapterException("modules_to_save: no module of the model is called '" + m + "'. It has: "
                        + modulesPreview());
            }
        }
    }

    private static boolean isHead(LinearLayer l) {
        return HEADS.stream().anyMatch(h -> l.path().equals(h) || l.path().endsWith("." + h));
    }

    /** Whether the parameter lies in a module whose path ends with {@code name}: a text, as in PEFT, not a whole segment. */
    static boolean isWithin(String name, String parameter) {
        for (int dot = parameter.indexOf('.'); dot >= 0; dot = parameter.indexOf('.', dot + 1)) {
            if (parameter.startsWith(name, dot - name.length()) && dot >= name.length()) {
                return true;
            }
        }
        return false;
    }

    private String modulesPreview() {
        return model.seams().parameters().keySet().stream().map(p -> p.substring(0, p.lastIndexOf('.')))
                .map(p -> p.substring(p.lastIndexOf('.') + 1)).distinct().sorted().collect(Collectors.joining(", "));
    }

    /**
     * The linear layers that {@code targets} and the filters choose.
     *
     * @throws AdapterException if that is none
     */
    public List<LinearLayer> linears(Targets targets, Optional<Targets> exclude, List<Integer> layers, List<String> layersPattern) {
        List<LinearLayer> chosen = model.seams().projections().values().stream()
                .filter(l -> targets.isAllLinear() ? !isHead(l) : targets.matches(l.path()))
                .filter(l -> whole.stream().noneMatch(m -> isWithin(m, l.path() + ".")))
                .filter(l -> exclude.isEmpty() || !exclude.get().matches(l.path()))
                .filter(l -> layers.isEmpty() || Targets.layerOf(l.path(), layersPattern).filter(layers::contains).isPresent())
                .toList();
        if (chosen.isEmpty()) {
            String have = model.seams().projections().keySet().stream().map(p -> p.substring(p.lastIndexOf('.') + 1))
                    .distinct().sorted().collect(Collectors.joining(", "));
            throw new AdapterException("target_modules " + targets.toJson() + " matches no linear layer of the model"
                    + (layers.isEmpty() ? "" : " within layers " + layers) + ". Its linear layers are called: " + have + ".");
        }
        for (String n : targets.names()) {
            boolean embedding = model.seams().embeddings().values().stream().flatMap(e -> e.table().stream())
                    .anyMatch(p -> p.path().equals(n + ".weight") || p.path().endsWith("." + n + ".weight"));
            boolean linear = model.seams().projections().keySet().stream().anyMatch(p -> Targets.of(n).matches(p));
            if (embedding && !linear) {
                throw new AdapterException("target_modules: '" + n + "' is an embedding; only linear layers can be targeted. "
                        + "To train it whole, name it in modules_to_save.");
            }
        }
        return chosen;
    }

    Hooks hooks(String name) {
        return new Hooks(name, projections, overrides, segments, virtualTokens, taps);
    }

    SequencedMap<String, Var> trainables() {
        return trainables;
    }

    SequencedMap<String, Supplier<Tensor>> exports() {
        return exports;
    }

    /** Tensors of the file being loaded that nothing asked for. */
    Set<String> unread() {
        Set<String> rest = new java.util.TreeSet<>(saved.map(Map::keySet).orElse(Set.of()));
        rest.removeAll(read);
        return rest;
    }
}
