package dev.jotune.peft.train;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.RunState;
import dev.jotune.models.Backbone;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.StepHook;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Stream;

/** One run of {@link Trainer}, and its state. */
final class TrainingRun {
    /** All losses of the run, beside the parameters in a checkpoint; no parameter's path begins with a #. */
    private static final String LOSSES = "#losses";
    /** What the method itself remembers. */
    private static final String METHOD = "#method.";
    private static final String TOKENS = "trained_tokens";

    private final Adapter adapter;
    private final Backbone model;
    private final Dataset data;
    private final TrainOptions options;
    private final TrainingStep parts;
    private final Optional<Path> runFolder;
    private final Optional<Checkpoints> checkpoints;
    private final TrainListener listener;
    private final boolean firstCounts;
    private final int maxLength;
    private final long totalSteps;
    private final Descent descent;
    private final List<Double> losses = new ArrayList<>();
    private final List<String> notes = new ArrayList<>();
    private long done;
    /** Examples taken from the stream so far. */
    private long position;
    private long trainedTokens;
    private long saved;

    TrainingRun(Adapter adapter, Dataset given, TrainOptions options, TrainingStep parts, Optional<Path> runFolder,
            TrainListener listener) {
        this.adapter = adapter;
        this.model = adapter.model();
        this.options = options;
        this.parts = parts;
        this.runFolder = runFolder;
        this.listener = listener;
        if (!model.seams().active().contains(adapter.name())) {
            throw new AdapterException("the adapter '" + adapter.name()
                    + "' is not active on its model, so nothing would "
                    + "reach it. Attach and activate it, and unmerge it if it is merged.");
        }
        Group group = model.seams().inference().groups().getFirst();
        firstCounts = group.virtualTokens(model.seams().input().name()) > 0;
        long room = model.contextLength() - group.virtualTokens(model.seams().input().name()) - group.segmentPositions();
        if (room < 2) {
            throw new AdapterException("virtual tokens leave " + room + " of the model's " + model.contextLength()
                    + " positions for text. Use fewer virtual tokens.");
        }
        if (parts.descent().isPresent() && adapter.stepHook().isPresent()) {
            throw new AdapterException("the method " + adapter.method().peftType() + " learns from gradients what to do after a step, and '"
                    + parts.name() + "' has none. Train it with gradients, or take another method.");
        }
        maxLength = (int) (options.maxLength() == 0 ? room : Math.min(room, options.maxLength()));
        data = given.cutTo(maxLength);
        checkData();
        totalSteps = options.totalSteps(data.size());
        descent = parts.descent().map(d -> d.start(options, totalSteps))
                .orElseGet(() -> new Backpropagation(options, totalSteps, parts.transform().orElse((step, t) -> t)));
        checkpoints = runFolder.map(f -> new Checkpoints(f, fingerprint(given)));
    }

    private void checkData() {
        if (data.size() == 0) {
            throw new AdapterException("the data set has no example. Give it at least one text.");
        }
        if (data.labelCount(firstCounts) == 0) {
            throw new AdapterException("none of the " + data.size() + " examples has a token to learn"
                    + (data.cut() > 0 ? " after " + data.cut() + " were cut to " + maxLength
                    + " tokens. Raise maxLength or shorten the prompts."
                    : ". Give texts of at least two tokens, or completions that are not empty."));
        }
        int classes = model instanceof SequenceClassifier c ? c.labels().size() : 0;
        for (int i = 0; i < data.size(); i++) {
            Example e = data.get(i);
            if (e.isClassified() && (e.category() < 0 || e.category() >= classes)) {
                throw new AdapterException("example " + i + " is of class " + e.category() + ", but the model has " + classes
                        + " classes. Load it as a classifier of as many labels as the data have.");
            }
            checkTokens(i, e);
        }
    }

    private void checkTokens(int i, Example e) {
        for (int t = 0; t < e.length(); t++) {
            int label = e.labels()[t];
            if (!known(e.ids()[t]) || label != Example.IGNORED && !known(label)) {
                throw new AdapterException("example " + i + " holds the token id "
                        + (known(e.ids()[t]) ? label : e.ids()[t])
                        + ", but the model's vocabulary has " + vocabulary()
                        + " tokens. Use the tokenizer that belongs to the model.");
            }
        }
        e.rejected().ifPresent(r -> checkTokens(i, r));
    }

    /** Rows of the table that token ids are looked up in. */
    private long vocabulary() {
        return model.seams().input().table().map(t -> t.size(0)).orElseThrow(() -> new AdapterException("a " + model.modelType()
                + " model reads no token ids, and this data set holds nothing else."));
    }

    private boolean known(int id) {
        return id >= 0 && id < vocabulary();
    }

    private SequencedMap<String, String> fingerprint(Dataset given) {
        SequencedMap<String, String> all = options.fingerprint();
        all.put("training step", parts.name());
        all.put("method", adapter.startingConfiguration());
        all.put("adapters", String.join(", ", model.seams().active()));
        all.put("data", given.fingerprint());
        all.put("model", Fingerprints.of(model));
        return all;
    }

    TrainReport run(boolean resume) {
        model.backend().resetPeak();
        long resumedAt = begin(resume);
        if (resumedAt == 0) {
            adapter.stepHook().ifPresent(StepHook::reset);
        }
        if (data.cut() > 0) {
            note(data.cut() + " of " + data.size() + " examples were cut to " + maxLength + " tokens at most.");
        }
        if (options.gradientCheckpointing()) {
            model.setCheckpointing(true);
        }
        long start = System.nanoTime();
        long tokensBefore = trainedTokens;
        try {
            warmUp();
            start = System.nanoTime();
            while (done < totalSteps) {
                step();
                if (done == totalSteps || options.saveEvery() > 0 && done % options.saveEvery() == 0) {
                    save();
                }
            }
        } finally {
            descent.close();
            if (options.gradientCheckpointing()) {
                model.setCheckpointing(false);
            }
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        return new TrainReport(losses, seconds, (trainedTokens - tokensBefore) / Math.max(1e-9, seconds),
                model.backend().peakBytes(), trainedTokens, ProcessMemory.peakResidentBytes(), done, resumedAt, data.cut(),
                maxLength, notes);
    }

    /** Begins a run of which {@link #next} takes the steps. */
    void begin() {
        adapter.stepHook().ifPresent(StepHook::reset);
    }

    /** One step; the loss before it. */
    double next() {
        if (done == totalSteps) {
            throw new IllegalStateException("the run has made all its " + totalSteps + " steps. Begin another.");
        }
        step();
        return losses.getLast();
    }

    /** Ends what runs beside the training. */
    void end() {
        descent.close();
    }

    /**
     * Before the first step a gradient's forward pass brings the weights into the form that training leaves them in, and a large
     * model's kernels are compiled. Sums begin elsewhere in that form: a reference measured before it is taken would differ in its
     * last bits between a run that goes on and one that was never stopped.
     */
    private void warmUp() {
        // What goes down without gradients must not take the memory that they take; other types are never packed.
        if (model.computeType() != DType.F32 || parts.descent().isPresent()) {
            return;
        }
        long weights = model.seams().parameters().values().stream().mapToLong(Parameter::numel).sum();
        try (Scope _ = Scope.open()) {
            Optional<Supplier<Var>> whole = Optional.empty();
            for (long at = position; whole.isEmpty() && at < position + data.size(); at += options.batchSize()) {
                whole = loss(at, maxLength, options.batchSize());
            }
            if (weights < Warmup.LARGE) {
                whole.ifPresent(Supplier::get);
                return;
            }
            // Last the memory of a whole batch, which the system clears when it is first touched.
            List<Supplier<Var>> losses = Stream.of(loss(position, Warmup.SHORT, 1), loss(position, maxLength, 1), whole)
                    .flatMap(Optional::stream).toList();
            Warmup.run(losses, List.copyOf(chosen().values()), options.optimizer(totalSteps));
        }
    }

    /** What a step minimises over {@code rows} examples from {@code at} on; empty if there is nothing to learn from them. */
    private Optional<Supplier<Var>> loss(long at, int length, int rows) {
        Batch batch = Batch.of(data.cutTo(length).stream(options.seed(), at, rows), model.backend(), firstCounts);
        return parts.objective().weight(batch) > 0 ? Optional.of(() -> {
            Pass pass = model.seams().training(options.seed(), done);
            return pass.once(() -> parts.objective().loss(model, batch, pass));
        }) : Optional.empty();
    }

    private void note(String text) {
        notes.add(text);
        listener.onNote(text);
    }

    // ---- one step ----

    private void step() {
        long begun = System.nanoTime();
        double rate = descent.rate();
        Descent.Outcome result;
        long tokens;
        try (Scope _ = Scope.open()) {
            List<Batch> batches = batches();
            tokens = batches.stream().mapToLong(Batch::tokens).sum();
            Descent.Outcome made = descent.step(new StepInput(model, parts.objective(), batches, chosen(), penalty(), options.seed(), done));
            if (Double.isFinite(made.loss())) {
                adapter.stepHook().ifPresent(h -> h.updated(done + 1, made.gradients()));
            }
            result = made;
        } catch (DivergedException e) {
            throw diverged(e.getMessage());
        }
        if (!Double.isFinite(result.loss())) {
            throw diverged("the loss is " + result.loss());
        }
        done++;
        position += (long) options.gradientAccumulation() * options.batchSize();
        losses.add(result.loss());
        trainedTokens += tokens;
        double seconds = Math.max(1e-9, (System.nanoTime() - begun) / 1e9);
        listener.onStep(new StepReport(done, totalSteps, result.loss(), rate, result.gradNorm(), tokens / seconds,
                model.backend().peakBytes()));
    }

    /** The term that the method adds to every objective. */
    private Supplier<Optional<Var>> penalty() {
        return () -> adapter.stepHook().flatMap(StepHook::penalty);
    }

    private List<Batch> batches() {
        List<Batch> batches = new ArrayList<>();
        for (int m = 0; m < options.gradientAccumulation(); m++) {
            List<Example> next = data.stream(options.seed(), position + (long) m * options.batchSize(), options.batchSize());
            batches.add(Batch.of(next, model.backend(), firstCounts));
        }
        return batches;
    }

    private SequencedMap<String, Var> chosen() {
        Set<String> names = parts.selector().select(done, adapter.trainables().keySet());
        SequencedMap<String, Var> out = new LinkedHashMap<>();
        adapter.trainables().forEach((name, v) -> {
            if (names.contains(name)) {
                out.put(name, v);
            }
        });
        if (out.isEmpty()) {
            throw new AdapterException("nothing is selected to train at step " + (done + 1)
                    + ". Choose a selector that "
                    + "takes at least one of: " + String.join(", ", adapter.trainables().keySet()) + ".");
        }
        return out;
    }

    private AdapterException diverged(String what) {
        String where = runFolder.isEmpty() ? "Nothing of this run was saved."
                : saved == 0 ? "There is no checkpoint of this run yet."
                : "The checkpoint of step " + saved + " in " + runFolder.get().resolve(Checkpoints.FOLDER)
                + " is untouched.";
        return new AdapterException(what + " at step " + (done + 1) + " of " + totalSteps + ", at learning rate "
                + descent.rate()
                + ". Lower the learning rate or maxGradNorm, warm up for longer, and start in another "
                + "folder. " + where);
    }

    // ---- stopping and going on ----

    private long begin(boolean resume) {
        if (checkpoints.isEmpty()) {
            if (resume) {
                note("There is no run folder, so the run starts anew.");
            }
            return 0;
        }
        if (!resume) {
            checkpoints.get().requireNone(model.backend());
            return 0;
        }
        Optional<RunState.Loaded> found = checkpoints.get().latest(model.backend());
        if (found.isEmpty()) {
            note("There is no checkpoint in " + runFolder.get() + " yet, so the run starts anew.");
            return 0;
        }
        found.get().problems().forEach(p -> note("A damaged checkpoint was passed over. " + p));
        restore(found.get().state());
        note("The run goes on after step " + done + " of " + totalSteps + ".");
        return done;
    }

    private void restore(RunState state) {
        adapter.trainables().forEach((name, v) -> {
            Tensor t = state.parameters().get(name);
            if (t == null || !Arrays.equals(t.shape(), v.shape())) {
                throw new AdapterException("the checkpoint of step " + state.step()
                        + " does not fit the adapter: its tensor "
                        + name + " is " + t + ", not " + v.tensor() + ". Choose another folder.");
            }
            v.tensor().copyFrom(t);
        });
        Map<String, Tensor> own = new LinkedHashMap<>();
        state.parameters().forEach((name, t) -> {
            if (name.startsWith(METHOD)) {
                own.put(name.substring(METHOD.length()), t);
            }
        });
        adapter.stepHook().ifPresent(h -> h.restore(own));
        descent.restore(state.optimizer(), state.step());
        done = state.step();
        position = state.dataPosition();
        saved = done;
        trainedTokens = Long.parseLong(state.notes().get(TOKENS));
        for (double loss : state.parameters().get(LOSSES).toDoubleArray()) {
            losses.add(loss);
        }
    }

    private void save() {
        if (checkpoints.isEmpty()) {
            return;
        }
        Map<String, String> texts = checkpoints.get().notes();
        texts.put(TOKENS, Long.toString(trainedTokens));
        Path file;
        try (Scope _ = Scope.open()) {
            Map<String, Tensor> parameters = new LinkedHashMap<>();
            adapter.trainables().forEach((name, v) -> parameters.put(name, v.tensor()));
            adapter.stepHook().ifPresent(h -> h.state().forEach((name, t) -> parameters.put(METHOD + name, t)));
            parameters.put(LOSSES, Tensor.of(Backends.reference(), DType.F64,
                    losses.stream().mapToDouble(Double::doubleValue).toArray(), losses.size()));
            file = checkpoints.get().save(new RunState(done, options.seed(), position, losses, checkpoints.get().hash(),
                    texts, parameters, descent.state()));
        }
        saved = done;
        listener.onSaved(done, file);
    }
}
