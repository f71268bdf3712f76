package dev.jotune.peft;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.HookSource;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Projection;
import dev.jotune.models.seam.RowProjection;
import dev.jotune.models.seam.SegmentSource;
import dev.jotune.models.seam.Tap;
import dev.jotune.models.seam.TapSite;
import dev.jotune.models.seam.VirtualTokens;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.regex.Pattern;

/** What a method declares while it is being attached: trainable tensors under their file keys, and hooks. */
public final class Attachment {
    /** How keys begin where PEFT's method wraps the model. */
    public static final String WRAPPED = "base_model.model.";

    /** How they begin where the method leaves the model as it is and changes its input alone. */
    public static final String UNWRAPPED = "base_model.";

    private final Backbone model;
    private final long seed;
    private final Optional<Stored> saved;
    private final Optional<Function<String, int[]>> tokenizer;
    private final SequencedMap<String, Var> trainables = new LinkedHashMap<>();
    private final SequencedMap<String, Supplier<Tensor>> exports = new LinkedHashMap<>();
    private final Map<String, Projection> projections = new LinkedHashMap<>();
    private final Copies copies;
    private final Map<String, Tap> taps = new LinkedHashMap<>();
    private final List<String> whole;
    private boolean notesEmbeddings = true;
    private Optional<SegmentSource> segments = Optional.empty();
    private Optional<HookSource> source = Optional.empty();
    private final Map<String, VirtualTokens> virtualTokens = new LinkedHashMap<>();
    private Optional<StepHook> hook = Optional.empty();
    private Optional<Supplier<TuningMethod>> savedAs = Optional.empty();

    /**
     * @param saved the tensors of an adapter file, if one is being loaded
     * @param tokenizer text to token ids without special tokens, for methods that start from text
     * @param whole modules that are trained whole, and so are no targets
     */
    Attachment(Backbone model, long seed, Optional<Map<String, Tensor>> saved, Optional<Function<String, int[]>> tokenizer,
            List<String> whole) {
        this.model = model;
        this.seed = seed;
        this.saved = saved.map(Stored::new);
        this.tokenizer = tokenizer;
        this.whole = List.copyOf(whole);
        this.copies = new Copies(this, this.whole);
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
        return saved.map(s -> s.holds(key)).orElse(false);
    }

    /** Whether the adapter file being loaded holds {@code n} rows under {@code key}. */
    boolean holdsRows(String key, long n) {
        return saved.map(s -> s.holdsRows(key, n)).orElse(false);
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
     * Whole numbers that the adapter file holds as I32, and that do not train.
     *
     * @param start what a new adapter takes
     * @param bounds of each row of {@code shape [rows, n]}: its numbers are in {@code [0, bound)}
     */
    public long[][] integers(String key, Supplier<long[][]> start, long[] bounds, long n) {
        long[] shape = {bounds.length, n};
        long[][] values = isLoading() ? saved.orElseThrow().integers(key, bounds, n) : start.get();
        Tensor t = dev.jotune.tensor.Scope.detach(Tensor.of(model.backend(), Arrays.stream(values).flatMapToLong(Arrays::stream).toArray(), shape)
                .to(DType.I32));
        exports.put(key, () -> t);
        return values;
    }

    /** Has no embeddings written into the file. */
    public void noteNoEmbeddings() {
        notesEmbeddings = false;
    }

    /**
     * A weight of the model that PEFT writes into the adapter's file although it does not train. A file may lack it, or hold another one,
     * of a model that was loaded in a narrower type or had its embeddings changed before: then that takes the place of the model's, as
     * in PEFT.
     */
    private void note(Parameter p, String key) {
        if (holds(key) && !Arrays.equals(stored(key, p.shape()).to(DType.F32).toDoubleArray(),
                p.base().tensor().to(DType.F32).toDoubleArray())) {
            copies.replace(p, () -> fixed(key, p.shape()));
        }
        exports.putIfAbsent(key, () -> p.base().tensor());
    }

    private Tensor stored(String key, long... shape) {
        return saved.orElseThrow().numbers(key, shape).to(model.backend());
    }

    /** A tensor of the adapter file that is computed from trainables when it is saved. */
    public void export(String key, Supplier<Tensor> value) {
        exports.put(key, value);
    }

    /** The same of a tensor that a file being loaded may hold too, {@code shape}: it follows from others there. */
    public void derived(String key, Supplier<Tensor> value, long... shape) {
        saved.filter(s -> s.holds(key)).ifPresent(s -> s.numbers(key, shape));
        export(key, value);
    }

    /** Refuses a number of virtual tokens that leaves the model no room for a text. */
    public void checkVirtualTokens(int n) {
        Require.positive("num_virtual_tokens", n);
        if (n >= model.contextLength()) {
            throw new AdapterException("num_virtual_tokens is " + n + ", but the model's context has " + model.contextLength()
                    + " positions. Use fewer, so that a text fits behind them.");
        }
    }

    /** Whether {@code layer} is a table of embeddings: a {@link RowProjection} hangs there. */
    public boolean isTable(LinearLayer layer) {
        return model.seams().tables().get(layer.path()) == layer;
    }

    /** Hangs a method on a linear layer or a table (seam 1). */
    public void project(LinearLayer layer, Projection p) {
        projections.put(layer.path(), p);
    }

    /** Has all hooks but trainable copies of weights made anew for every pass. */
    public void writtenBy(HookSource hooks) {
        source = Optional.of(hooks);
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

    /** What the method does in every training step beside its forward (seam 6). */
    public void eachStep(StepHook h) {
        hook = Optional.of(h);
    }

    /** The hyper-parameters that a file of the adapter states, of a method that training changes. */
    public void savedAs(Supplier<TuningMethod> method) {
        savedAs = Optional.of(method);
    }

    Optional<StepHook> hook() {
        return hook;
    }

    Supplier<TuningMethod> method(TuningMethod unchanged) {
        return savedAs.orElse(() -> unchanged);
    }

    /** A trainable copy of one of the model's own weights, stored under {@code key}. */
    public void override(Parameter p, String key) {
        copies.override(p, key);
    }

    /**
     * Trainable copies of the model's own biases, as PEFT's field {@code bias} asks for; those of modules that are trained
     * whole are among theirs.
     *
     * @param which {@code none}, {@code all}, or {@code only}
     * @param only the method's word for those of the targets: {@code lora_only}
     * @throws AdapterException for another word
     */
    public void biases(String which, String only, List<LinearLayer> targets) {
        copies.biases(which, only, targets);
    }

    /**
     * Trainable copies of whole modules ({@code modules_to_save}): each must name at least one module, by how its path
     * ends.
     *
     * @param keys {@link #WRAPPED} or {@link #UNWRAPPED}: how the copies' keys begin
     */
    public void modulesToSave(List<String> modules, String keys) {
        copies.modulesToSave(modules, keys, false);
    }

    /**
     * The same, PEFT's way with weights that are tied: each reader gets a copy of its own.
     *
     * @param tie whether a table of embeddings keeps the head tied; an adapter from a file that lacks the head's weight does not
     */
    public void modulesToSave(List<String> modules, String keys, boolean tie) {
        copies.modulesToSave(modules, keys, tie);
    }

    /**
     * The linear layers that {@code targets} and the filters choose, for methods that cannot change a table.
     *
     * @throws AdapterException if that is none, or a table of embeddings is among them
     */
    public List<LinearLayer> linears(Targets targets, Optional<Targets> exclude, List<Integer> layers, List<String> layersPattern) {
        List<LinearLayer> chosen = modules(targets, exclude, layers, layersPattern);
        chosen.stream().filter(this::isTable).findFirst().ifPresent(t -> {
            throw Choice.isEmbedding(t.path());
        });
        return chosen;
    }

    /**
     * The linear layers and tables of embeddings that {@code targets} and the filters choose.
     *
     * @throws AdapterException if that is none
     */
    public List<LinearLayer> modules(Targets targets, Optional<Targets> exclude, List<Integer> layers, List<String> layersPattern) {
        // An adapter that was made where experts lie in one tensor has nothing for each, whatever its names match.
        List<LinearLayer> chosen = new Choice(model, whole).of(targets, exclude, layers, layersPattern).stream()
                .filter(l -> !isLoading() || model.seams().stacks().stream().noneMatch(s -> s.isExpert(l))
                        || saved.orElseThrow().holdsAnyOf(key(l.path()) + ".")).toList();
        if (notesEmbeddings) {
            List<LinearLayer> noted = Choice.embeddings(model, targets, chosen);
            noted.forEach(l -> note(l.weight(), key(l.path()) + ".base_layer.weight"));
            // Of a head whose adapter is its table's.
            noted.stream().flatMap(l -> model.seams().readers(l.weight()).stream()).filter(l -> !noted.contains(l))
                    .map(l -> key(l.path()) + ".base_layer.weight").filter(this::holds)
                    .forEach(key -> derived(key, noted.getFirst().weight().base()::tensor, noted.getFirst().weight().shape()));
        }
        return chosen;
    }

    Hooks hooks(String name) {
        return source.map(s -> Recording.off(() -> s.hooks(name)).withOverrides(copies.overrides()))
                .orElseGet(() -> new Hooks(name, projections, copies.overrides(), segments, virtualTokens, taps));
    }

    Optional<HookSource> source() {
        return source;
    }

    SequencedMap<String, Var> trainables() {
        return trainables;
    }

    SequencedMap<String, Supplier<Tensor>> exports() {
        return exports;
    }

    /** Tensors of the file being loaded that nothing asked for. */
    Set<String> unread() {
        return saved.map(Stored::unread).orElse(Set.of());
    }
}
