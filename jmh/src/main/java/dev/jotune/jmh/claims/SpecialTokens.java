package dev.jotune.jmh.claims;

import dev.jotune.models.Models;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.Targets;
import dev.jotune.peft.TuningMethod;
import dev.jotune.peft.methods.FullTuning;
import dev.jotune.peft.methods.Pasta;
import dev.jotune.peft.train.Dataset;
import dev.jotune.peft.train.Evaluation;
import dev.jotune.peft.train.Example;
import dev.jotune.peft.train.LabelledTexts;
import dev.jotune.peft.train.TrainOptions;
import dev.jotune.peft.train.Trainer;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.stream.Stream;

/**
 * A small encoder that learns sentiment: PASTA beside all weights, and beside the head alone.
 *
 * @param steps of a run
 * @param searchSteps of a run that looks for a rate
 * @param length tokens of a text at most
 * @param seeds 1 to this
 * @param measured texts that accuracy is measured on
 */
record SpecialTokens(int steps, int searchSteps, int batch, int length, int seeds, int measured) implements Claim {
    static final SpecialTokens FULL = new SpecialTokens(400, 60, 16, 32, 3, 872);
    private static final String MODEL = "all-minilm-l6-v2";
    private static final String PASTA = "PASTA";
    private static final String WHOLE = "full fine-tuning";
    private static final String HEAD = "head alone";
    private static final List<String> LABELS = List.of("0", "1");
    private static final Map<String, List<Double>> RATES = Map.of(PASTA, List.of(1e-3, 3e-3, 1e-2), WHOLE, List.of(5e-5, 1.5e-4, 5e-4),
            HEAD, List.of(1e-3, 3e-3, 1e-2));
    private static final double BELOW = 3;
    private static final double ABOVE = 5;

    @Override
    public String id() {
        return "S172";
    }

    @Override
    public String registered() {
        return "pasta";
    }

    @Override
    public String method() {
        return PASTA;
    }

    @Override
    public String condition() {
        return "On a small encoder pretrained by MLM, a 2-class sentence task reaches within 3 points of full fine-tuning and beats head-only by "
                + ">= 5 points.";
    }

    @Override
    public String test() {
        return "PastaTest";
    }

    @Override
    public String setup() {
        return Numbers.format("`%s` (6 layers of 384, a distilled masked language model tuned to embed sentences), SST-2: %d updates of %d "
                + "sentences of at most %d tokens; accuracy on %d sentences of its development set. PASTA has two slots, [CLS] and [SEP]; a head "
                + "trains with it and with all weights. Each takes the best of three rates (PASTA and the head alone %s, all weights %s) by the "
                + "training loss of the last half of %d updates with seed 0. Seeds 1 to %d.", MODEL, steps, batch, length, measured,
                RATES.get(PASTA), RATES.get(WHOLE), searchSteps, seeds);
    }

    private SequencedMap<String, TuningMethod> methods(SequenceClassifier model, Tokenizer tokenizer) {
        Integer[] special = Arrays.stream(tokenizer.encode("", true).ids()).boxed().distinct().toArray(Integer[]::new);
        String[] head = Stream.concat(model.freshModules().stream(), Stream.of("classifier")).distinct().toArray(String[]::new);
        SequencedMap<String, TuningMethod> out = new LinkedHashMap<>();
        out.put(PASTA, new Pasta(List.of(special), special.length, Pasta.DEFAULTS.dropout(), Pasta.DEFAULTS.initStd(), List.of()));
        out.put(WHOLE, FullTuning.DEFAULTS);
        out.put(HEAD, new FullTuning(Targets.of(head), Optional.empty()));
        return out;
    }

    @Override
    public void run(Places places, Results results) {
        for (int seed = 0; seed <= seeds; seed++) {
            Models.Loaded loaded = Models.loadClassifier(places.models().resolve(MODEL), LABELS, seed, Backends.cpu(), DType.F32);
            SequenceClassifier model = loaded.as(SequenceClassifier.class);
            Dataset train = read(places, "train.tsv", loaded.requireTokenizer());
            Dataset test = some(read(places, "dev.tsv", loaded.requireTokenizer()));
            long own = seed;
            methods(model, loaded.requireTokenizer()).forEach((name, method) -> {
                if (own == 0) {
                    RATES.get(name).forEach(rate -> search(model, name, method, train, rate, results));
                } else {
                    test(model, name, method, train, test, own, results);
                }
            });
        }
    }

    private Dataset read(Places places, String file, Tokenizer tokenizer) {
        return Dataset.ofLabelled(LabelledTexts.read(places.data().resolve("sst2").resolve(file)), tokenizer, LABELS, length);
    }

    private Dataset some(Dataset all) {
        List<Example> out = new ArrayList<>();
        Arrays.stream(Philox.permutation(0, 0, all.size())).limit(measured).forEach(i -> out.add(all.get(i)));
        return Dataset.of(out);
    }

    private TrainOptions options(int updates, double rate, long seed) {
        return TrainOptions.DEFAULTS.withMaxSteps(updates).withBatchSize(batch).withLearningRate(rate).withSeed(seed).withWarmupSteps(updates / 20);
    }

    private void search(SequenceClassifier model, String name, TuningMethod method, Dataset train, double rate, Results results) {
        Adapter a = Adapters.create(model, "a", method, 0);
        List<Double> losses = Trainer.run(a, train, options(searchSteps, rate, 0)).losses();
        a.detach();
        results.add("kind", "search", "method", name, "rate", rate, "loss", Numbers.mean(losses.subList(losses.size() / 2, losses.size()).stream()
                .mapToDouble(v -> v).toArray()));
    }

    private void test(SequenceClassifier model, String name, TuningMethod method, Dataset train, Dataset test, long seed, Results results) {
        double rate = results.of(this).stream().filter(r -> r.has("kind", "search") && r.has("method", name))
                .min((x, y) -> Double.compare(x.number("loss"), y.number("loss"))).orElseThrow().number("rate");
        Adapter a = Adapters.create(model, "a", method, seed);
        double seconds = Trainer.run(a, train, options(steps, rate, seed)).seconds();
        results.add("kind", "test", "method", name, "rate", rate, "seed", seed, "trained", a.trainableCount(), "seconds", seconds, "accuracy",
                Evaluation.accuracy(model, test, model.seams().inference()).share());
        a.detach();
    }

    private static double[] of(List<Row> rows, String method) {
        return Numbers.of(rows, "accuracy", r -> r.has("kind", "test") && r.has("method", method));
    }

    @Override
    public List<Finding> findings(List<Row> rows) {
        double own = 100 * Numbers.mean(of(rows, PASTA));
        double whole = 100 * Numbers.mean(of(rows, WHOLE));
        double head = 100 * Numbers.mean(of(rows, HEAD));
        return List.of(new Finding("points below full fine-tuning", "at most 3", Numbers.format("%.1f", whole - own), whole - own <= BELOW),
                new Finding("points above the head alone", "at least 5", Numbers.format("%.1f", own - head), own - head >= ABOVE));
    }

    @Override
    public List<Table> tables(List<Row> rows) {
        List<List<String>> cells = new ArrayList<>();
        for (String m : List.of(WHOLE, PASTA, HEAD)) {
            List<Row> own = rows.stream().filter(r -> r.has("kind", "test") && r.has("method", m)).toList();
            double[] accuracy = Arrays.stream(of(rows, m)).map(a -> 100 * a).toArray();
            cells.add(List.of(m, own.getFirst().text("rate"), Numbers.format("%,.0f", own.getFirst().number("trained")),
                    Numbers.spread("%.1f", accuracy), Numbers.list("%.1f", accuracy)));
        }
        return List.of(new Table("Accuracy, %", List.of("method", "rate", "trained values", "accuracy", "by seed"), cells),
                new Table("The search: training loss of the last half", List.of("method", "rate", "loss"), rows.stream()
                        .filter(r -> r.has("kind", "search")).map(r -> List.of(r.text("method"), r.text("rate"),
                                Numbers.format("%.3f", r.number("loss")))).toList()));
    }

    @Override
    public String remark() {
        return "";
    }

    @Override
    public Claim tiny() {
        return new SpecialTokens(2, 2, 2, 8, 1, 4);
    }
}
