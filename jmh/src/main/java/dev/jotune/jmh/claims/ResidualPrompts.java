package dev.jotune.jmh.claims;

import dev.jotune.models.Seq2SeqLm;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.TuningMethod;
import dev.jotune.peft.methods.PromptTuning;
import dev.jotune.peft.methods.ResidualPromptTuning;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.stream.Stream;

/**
 * A tiny T5 that has learnt eight named tasks, prompted to do two of them unnamed.
 *
 * @param pretraining updates of all weights
 * @param hidden C
 * @param inner m of the network behind the prompt
 * @param steps updates of a prompt
 * @param rates all of which count
 * @param beyond a rate that is measured too and does not count
 * @param networks what the rate of the network behind the prompt may be, as a share of the prompt's: chosen with seed 1, on a base of its own
 * @param seeds 1 to this
 */
record ResidualPrompts(int pretraining, int hidden, int inner, int steps, List<Double> rates, double beyond, List<Double> networks,
        int seeds) implements Claim {
    static final ResidualPrompts FULL = new ResidualPrompts(2000, 64, 400, 300, List.of(0.01, 0.03, 0.1), 0.3, List.of(1., 0.3, 0.1, 0.03), 5);
    private static final int VOCABULARY = 64;
    private static final int TASKS = 8;
    private static final List<Integer> ASKED = List.of(0, 4);
    private static final int NAMES = 2;
    private static final int CONTENT = 16;
    private static final int GROUPS = 4;
    private static final int EACH = 8;
    private static final int LABELS = 48;
    private static final int LENGTH = 8;
    /** A prompted task is answered with the words of the task so many places on. */
    private static final int OTHER = 5;
    private static final int TOKENS = 10;
    private static final int BATCH = 8;
    private static final int TESTED = 500;
    private static final double POINTS = 3;
    /** Where settings were looked for, the network's rate among them. */
    private static final long SEARCH_BASE = 1;
    private static final long BASE = 2;
    /** More than the texts of any run. */
    private static final long DRAWN = 10_000_000;
    private static final String PLAIN = "prompt tuning";
    private static final String RESIDUAL = "residual prompt tuning";

    @Override
    public String id() {
        return "S072";
    }

    @Override
    public String registered() {
        return "residual-prompt";
    }

    @Override
    public String method() {
        return "Residual prompt tuning";
    }

    @Override
    public String condition() {
        return "Direction (tiny T5-like model, 2 synthetic classification tasks, 5 seeds, 3 learning rates spanning 10x): mean accuracy at n=10 "
                + "beats plain prompt tuning by >= 3 points and its spread over learning rates is at most half.";
    }

    @Override
    public String test() {
        return "EncodedPromptTest";
    }

    @Override
    public String setup() {
        return Numbers.format("A T5 of 2 + 2 layers of %d is trained from nothing (%,d updates of 64 texts) on %d tasks, each of which says one of "
                + "two words about %d tokens of four kinds, such as which of two kinds there are more of; a token before the text names the "
                + "task. Then prompts of %d rows take the name's place, for two of the tasks, whose answers are now the words of two others: %d "
                + "updates of %d texts, AdamW, linear decay, both methods from embeddings of random tokens, m = %d. The rates %s count, %s is "
                + "measured too; seeds 1 to %d. Accuracy is of the likeliest of all tokens, on %d new texts. The paper allows the network a smaller "
                + "rate than the prompt's: which share of it, of %s, is chosen on another base, with seed 1, by the mean accuracy over both tasks "
                + "and the rates that count.", hidden, pretraining, TASKS, LENGTH, TOKENS, steps, BATCH, inner,
                rates, beyond, seeds, TESTED, networks);
    }

    private static int kind(long token) {
        return (int) (token - CONTENT) / EACH;
    }

    private static int count(long[] text, int kind) {
        return (int) Arrays.stream(text).filter(t -> kind(t) == kind).count();
    }

    /** What task {@code t} says of a text: 0 or 1. */
    private static int answer(int task, long[] text) {
        long first = kind(text[0]);
        long last = kind(text[LENGTH - 1]);
        boolean yes = switch (task) {
            case 0 -> count(text, 0) > count(text, 1);
            case 1 -> count(text, 2) > count(text, 3);
            case 2 -> first < 2;
            case 3 -> last % 2 == 0;
            case 4 -> count(text, 0) + count(text, 2) > LENGTH / 2;
            case 5 -> count(text, 3) > 1;
            case 6 -> first == last;
            default -> kind(text[1]) > kind(text[LENGTH - 2]);
        };
        return yes ? 1 : 0;
    }

    /** @param task -1 for a drawn one, which is then named */
    private static TinyT5.Texts texts(int rows, int task, long seed) {
        boolean named = task < 0;
        long[][] sources = new long[rows][];
        long[][] targets = new long[rows][1];
        for (int r = 0; r < rows; r++) {
            long[] text = new long[LENGTH];
            for (int t = 0; t < LENGTH; t++) {
                text[t] = CONTENT + Philox.nextInt(seed, t, r, GROUPS * EACH);
            }
            int own = named ? Philox.nextInt(seed, LENGTH, r, TASKS) : task;
            long[] source = new long[LENGTH + 1];
            source[0] = NAMES + own;
            System.arraycopy(text, 0, source, 1, LENGTH);
            sources[r] = named ? source : text;
            int words = named ? own : (own + OTHER) % TASKS;
            targets[r][0] = LABELS + 2 * words + answer(own, text);
        }
        return new TinyT5.Texts(sources, targets);
    }

    private SequencedMap<String, TuningMethod> methods() {
        SequencedMap<String, TuningMethod> out = new LinkedHashMap<>();
        out.put(PLAIN, new PromptTuning(TOKENS, "SAMPLE_VOCAB", Optional.empty(), Optional.empty(), List.of()));
        out.put(RESIDUAL, new ResidualPromptTuning(TOKENS, inner, 0, "SAMPLE_VOCAB", Optional.empty(), List.of()));
        return out;
    }

    private List<Double> allRates() {
        return Stream.concat(rates.stream(), Stream.of(beyond)).toList();
    }

    private Seq2SeqLm pretrained(long base) {
        Seq2SeqLm model = TinyT5.untrained(VOCABULARY, hidden, 2, 0, base);
        Fit.weights(model, pretraining, 2e-3, base, (step, pass) -> texts(64, -1, DRAWN * base + step).loss(model, pass));
        return model;
    }

    /** The accuracy of a prompt for a task, its network at a share of the rate. */
    private double tuned(Seq2SeqLm model, long base, TuningMethod method, int task, double rate, double network, int seed) {
        Adapter a = Adapters.create(model, "a", method, seed);
        long data = DRAWN * (base + seed);
        Fit.adapter(a, steps, rate, name -> name.startsWith("mlp") || name.startsWith("norm") ? network : 1, seed,
                (step, pass) -> texts(BATCH, task, data + step).loss(model, pass));
        double accuracy = texts(TESTED, task, -2).right(model);
        a.detach();
        return accuracy;
    }

    @Override
    public void run(Places places, Results results) {
        Seq2SeqLm other = pretrained(SEARCH_BASE);
        double network = 1;
        double best = -1;
        for (double share : networks) {
            double mean = Numbers.mean(ASKED.stream().flatMap(task -> rates.stream().map(rate ->
                    tuned(other, SEARCH_BASE, methods().get(RESIDUAL), task, rate, share, 1))).mapToDouble(x -> x).toArray());
            results.add("kind", "search", "network", share, "accuracy", mean);
            network = mean > best ? share : network;
            best = Math.max(best, mean);
        }
        double chosen = network;
        Seq2SeqLm model = pretrained(BASE);
        results.add("kind", "base", "accuracy", texts(4 * TESTED, -1, -1).right(model));
        methods().forEach((name, method) -> ASKED.forEach(task -> allRates().forEach(rate -> {
            for (int seed = 1; seed <= seeds; seed++) {
                results.add("kind", "run", "method", name, "task", task, "rate", rate, "network", chosen, "seed", seed, "accuracy",
                        tuned(model, BASE, method, task, rate, chosen, seed));
            }
        })));
    }

    private static double[] of(List<Row> rows, String method, Integer task, Double rate) {
        return Numbers.of(rows, "accuracy", r -> r.has("kind", "run") && r.has("method", method) && (task == null || r.has("task", task))
                && r.has("rate", rate));
    }

    /** Over tasks, the rates that count, and seeds. */
    private double mean(List<Row> rows, String method) {
        return Numbers.mean(rates.stream().mapToDouble(rate -> Numbers.mean(of(rows, method, null, rate))).toArray());
    }

    /** The greatest less the least mean over the rates, a mean over the tasks. */
    private double spread(List<Row> rows, String method) {
        return Numbers.mean(ASKED.stream().mapToDouble(task -> {
            double[] means = rates.stream().mapToDouble(rate -> Numbers.mean(of(rows, method, task, rate))).toArray();
            return Arrays.stream(means).max().orElseThrow() - Arrays.stream(means).min().orElseThrow();
        }).toArray());
    }

    @Override
    public List<Finding> findings(List<Row> rows) {
        double gain = 100 * (mean(rows, RESIDUAL) - mean(rows, PLAIN));
        double own = 100 * spread(rows, RESIDUAL);
        double plain = 100 * spread(rows, PLAIN);
        return List.of(new Finding("mean accuracy over tasks, rates and seeds, points above plain prompt tuning", "at least 3",
                        Numbers.format("%.1f", gain), gain >= POINTS),
                new Finding("greatest less least mean accuracy of a rate, points", Numbers.format("at most half of plain's %.1f", plain),
                        Numbers.format("%.1f", own), own <= plain / 2));
    }

    @Override
    public List<Table> tables(List<Row> rows) {
        List<List<String>> cells = new ArrayList<>();
        for (String method : methods().keySet()) {
            for (int task : ASKED) {
                List<String> line = new ArrayList<>(List.of(method, "" + task));
                allRates().forEach(rate -> line.add(Numbers.spread("%.3f", of(rows, method, task, rate))));
                cells.add(line);
            }
        }
        List<String> head = new ArrayList<>(List.of("method", "task"));
        allRates().forEach(rate -> head.add("rate " + rate));
        double base = Numbers.mean(Numbers.of(rows, "accuracy", r -> r.has("kind", "base")));
        double network = Numbers.mean(Numbers.of(rows, "network", r -> r.has("kind", "run")));
        return List.of(new Table(Numbers.format("Accuracy, mean ± standard deviation over the seeds, the network at %s times the prompt's rate; the "
                + "model does all its tasks, named, with %.3f", network, base), head, cells),
                new Table("The search, on another base", List.of("network's share of the rate", "accuracy"), rows.stream()
                        .filter(r -> r.has("kind", "search")).map(r -> List.of("" + r.number("network"),
                                Numbers.format("%.3f", r.number("accuracy")))).toList()));
    }

    @Override
    public String remark() {
        return "Settings were looked for on that other base: answers in the tasks' own words left nothing to learn (all above 0.98), and after "
                + "100 updates both methods were still far from done. The rates that count are the decade that held the best rate of both "
                + "methods there. An earlier run had the network at the prompt's own rate, as the published program has it, on the same base and "
                + "seeds: then the residual prompt was 0.2 points above plain prompt tuning, because from 0.03 on the network moved too fast.";
    }

    @Override
    public Claim tiny() {
        return new ResidualPrompts(2, 16, 8, 2, List.of(0.01, 0.1), 0.3, List.of(1., 0.1), 1);
    }
}
