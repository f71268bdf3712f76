package dev.jotune.cli;

import dev.jotune.models.Models;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.train.Dataset;
import dev.jotune.peft.train.Evaluation;
import dev.jotune.peft.train.Example;
import dev.jotune.peft.train.LabelledTexts;
import dev.jotune.peft.train.TrainOptions;
import dev.jotune.peft.train.TrainReport;
import dev.jotune.peft.train.Trainer;
import dev.jotune.tensor.random.Philox;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.function.BiPredicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Trains every row of a comparison on every task with every seed, seed by seed, and measures what it takes. */
final class Comparison {
    /** Of adapter, order and noise while a learning rate is looked for. */
    private static final long SEARCH_SEED = 0;
    /** PEFT's names of a classifier's head. */
    private static final List<String> HEADS = List.of("classifier", "score");

    private final ComparisonResults.Setting setting;
    private final List<Data> tasks;
    private final List<ComparedMethod> methods;
    private final ComparedMethod reference;
    private final ComparisonResults results;
    private final Loader loader;
    private final PrintWriter log;

    /** A task's texts. */
    record Data(ComparisonResults.Task task, LabelledTexts train, LabelledTexts test, List<String> labels) {}

    /** Gives the model, as a classifier of so many labels with a head begun from a seed. */
    interface Loader {
        Models.Loaded load(List<String> labels, long seed);
    }

    /** A model, and a task's texts as it reads them. */
    private record Place(SequenceClassifier model, Tokenizer tokenizer, Data data, Dataset train, Dataset test, ComparedMethod.Places known) {}

    Comparison(ComparisonResults.Setting setting, List<Data> tasks, List<ComparedMethod> methods, ComparedMethod reference,
            ComparisonResults results, Loader loader, PrintWriter log) {
        this.setting = setting;
        this.tasks = tasks;
        this.methods = methods;
        this.reference = reference;
        this.results = results;
        this.loader = loader;
        this.log = log;
    }

    /** The first seed, what steps cost, the other seeds: so that a comparison that is stopped has whole rows. */
    void run(List<Long> seeds) {
        for (int i = 0; i < seeds.size(); i++) {
            long seed = seeds.get(i);
            each(seed, (data, m) -> !results.isDone(data.task().name(), m.name(), seed), (place, m) -> trained(place, m, seed));
            if (i == 0) {
                each(seed, (data, m) -> !isCosted(data.task().name(), m.name(), seed), (place, m) -> cost(place, m));
            }
        }
    }

    private boolean isCosted(String task, String method, long seed) {
        return results.cost(task, method).isPresent() || results.refusals(task, method).stream().anyMatch(r -> r.seed() == seed);
    }

    private void each(long seed, BiPredicate<Data, ComparedMethod> which, BiConsumer<Place, ComparedMethod> what) {
        for (Data data : tasks) {
            List<ComparedMethod> left = methods.stream().filter(m -> which.test(data, m)).toList();
            if (!left.isEmpty()) {
                Place place = place(data, seed);
                warmUp(place);
                left.forEach(m -> one(place, m, seed, what));
            }
        }
    }

    private Place place(Data data, long seed) {
        Models.Loaded loaded = loader.load(data.labels(), seed);
        SequenceClassifier model = loaded.as(SequenceClassifier.class);
        Tokenizer tokenizer = loaded.requireTokenizer();
        int most = Math.min(data.task().maxLength(), model.contextLength());
        Dataset test = Dataset.ofLabelled(data.test(), tokenizer, model.labels(), most);
        // The same ones for everybody, whatever the seed.
        int[] order = Philox.permutation(0, 0, test.size());
        List<Example> some = IntStream.range(0, data.task().evaluated()).mapToObj(i -> test.get(order[i])).toList();
        List<String> head = Stream.concat(model.freshModules().stream(), HEADS.stream()).distinct().toList();
        List<Integer> special = Arrays.stream(tokenizer.encode("", true).ids()).boxed().distinct().toList();
        return new Place(model, tokenizer, data, Dataset.ofLabelled(data.train(), tokenizer, model.labels(), most), Dataset.of(some),
                new ComparedMethod.Places(head, special));
    }

    /** The first steps of a process run code that is yet to be compiled. */
    private void warmUp(Place place) {
        Adapter a = attach(place, reference, Adapters.DEFAULT_NAME, SEARCH_SEED, setting.searchSteps());
        try {
            train(place, a, reference, options(place, 1e-3, setting.searchSteps(), SEARCH_SEED));
            Evaluation.accuracy(place.model(), Dataset.of(List.of(place.test().get(0))), place.model().seams().inference());
        } finally {
            a.detach();
        }
    }

    private void one(Place place, ComparedMethod method, long seed, BiConsumer<Place, ComparedMethod> what) {
        String task = place.data().task().name();
        try {
            what.accept(place, method);
        } catch (RuntimeException e) {
            // It stays in the table: what a model and a method cannot do together is a result.
            results.add(new ComparisonResults.Refused(task, method.name(), seed, Errors.text(e)));
            say("%s, %s, seed %d: refused: %s", task, method.name(), seed, Errors.text(e));
        } finally {
            place.model().seams().attached().forEach(name -> place.model().seams().detach(name));
            // Adapters lie outside the heap, and a small heap has no reason of its own to be collected.
            System.gc();
        }
    }

    private Adapter attach(Place place, ComparedMethod method, String name, long seed, long steps) {
        return Adapters.create(place.model(), name, method.choose(steps, place.known()).method(), seed,
                Optional.of(text -> place.tokenizer().encode(text, false).ids()));
    }

    private TrainOptions options(Place place, double rate, int steps, long seed) {
        return TrainOptions.DEFAULTS.withLearningRate(rate).withMaxSteps(steps).withBatchSize(place.data().task().batchSize()).withSeed(seed)
                .withMaxLength(place.data().task().maxLength()).withSaveEvery(0);
    }

    private TrainReport train(Place place, Adapter adapter, ComparedMethod method, TrainOptions options) {
        return Trainer.run(adapter, place.train(), options, method.choose(options.maxSteps(), place.known()).step(options.seed()),
                Optional.empty(), false, r -> { });
    }

    /** The best of the rates, by the loss on texts that the run had not seen: found once, on the first task that the row trains on. */
    private double rate(Place place, ComparedMethod method) {
        String task = tasks.stream().map(d -> d.task().name()).filter(t -> !results.rates(t, method.name()).isEmpty()).findFirst()
                .orElse(place.data().task().name());
        List<Double> rates = method.rates().isEmpty() ? setting.rates() : method.rates();
        if (rates.size() == 1) {
            return rates.getFirst();
        }
        for (double rate : rates) {
            if (results.rates(task, method.name()).stream().noneMatch(r -> r.rate() == rate) && task.equals(place.data().task().name())) {
                results.add(new ComparisonResults.Rate(task, method.name(), rate, tried(place, method, rate)));
            }
        }
        return results.rates(task, method.name()).stream().filter(r -> rates.contains(r.rate()) && Double.isFinite(r.loss()))
                .min(Comparator.comparingDouble(ComparisonResults.Rate::loss)).map(ComparisonResults.Rate::rate)
                .orElseThrow(() -> new AdapterException("training diverged at every rate of " + rates + ". Try lower ones."));
    }

    private double tried(Place place, ComparedMethod method, double rate) {
        Adapter a = attach(place, method, Adapters.DEFAULT_NAME, SEARCH_SEED, setting.searchSteps());
        try {
            List<Double> losses = train(place, a, method, options(place, rate, setting.searchSteps(), SEARCH_SEED)).losses();
            return mean(losses.subList(losses.size() / 2, losses.size()));
        } catch (AdapterException e) {
            if (e.getMessage().contains("at learning rate")) {
                return Double.NaN;
            }
            throw e;
        } finally {
            a.detach();
        }
    }

    private void trained(Place place, ComparedMethod method, long seed) {
        double rate = rate(place, method);
        String task = place.data().task().name();
        Adapter a = attach(place, method, Adapters.DEFAULT_NAME, seed, setting.steps());
        TrainReport report = train(place, a, method, options(place, rate, setting.steps(), seed));
        Evaluation.Score score = Evaluation.accuracy(place.model(), place.test(), place.model().seams().inference());
        List<Double> losses = report.losses();
        results.add(new ComparisonResults.Run(task, method.name(), seed, rate, score.right(), score.total(),
                mean(losses.subList(losses.size() * 9 / 10, losses.size())), report.seconds(), fileSize(a)));
        say("%s, %s, seed %d: accuracy %.4f at rate %s, %.1f s", task, method.name(), seed, score.share(), rate, report.seconds());
    }

    private void cost(Place place, ComparedMethod method) {
        String task = place.data().task().name();
        ComparisonResults.Cost cost = new StepCost(setting, task, options(place, rate(place, method), 1, SEARCH_SEED), place.train(),
                place.known().head()).of(method, (m, name, steps) -> attach(place, m, name, SEARCH_SEED, steps), reference, place.known());
        results.add(cost);
        say("%s, %s: %,d values of its own, %.2f times a step of %s, %s", task, method.name(), cost.own(), cost.ratio(), reference.name(),
                Bytes.text(cost.memory()));
    }

    private static double mean(List<Double> values) {
        return values.stream().mapToDouble(v -> v).average().orElse(Double.NaN);
    }

    /** Bytes of the tensors that the adapter saves. */
    private static long fileSize(Adapter a) {
        try {
            Path folder = Files.createTempDirectory("jotune-compare");
            try {
                a.save(folder);
                return Files.size(folder.resolve("adapter_model.safetensors"));
            } finally {
                try (Stream<Path> files = Files.walk(folder)) {
                    for (Path f : files.sorted(Comparator.reverseOrder()).toList()) {
                        Files.delete(f);
                    }
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void say(String format, Object... values) {
        log.println(String.format(Locale.ROOT, format, values));
        log.flush();
    }
}
