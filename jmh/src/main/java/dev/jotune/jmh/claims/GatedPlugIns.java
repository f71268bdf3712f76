package dev.jotune.jmh.claims;

import dev.jotune.autograd.Recording;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Tap;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.TuningMethod;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.methods.PromptGating;
import dev.jotune.peft.methods.PromptTuning;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/**
 * Plug-ins for one aspect each, trained apart and used together.
 *
 * @param pretraining updates of all weights
 * @param layers of encoder and decoder each
 * @param dropout while the base and the plug-ins train
 * @param steps updates of a plug-in
 * @param tokens of a plug-in
 * @param inner m of the networks behind gates
 * @param seeds 1 to this: of base and plug-ins
 * @param rate of the plug-ins
 */
record GatedPlugIns(int pretraining, int hidden, int layers, double dropout, int steps, int tokens, int inner, int seeds, double rate)
        implements Claim {
    static final GatedPlugIns FULL = new GatedPlugIns(2000, 48, 3, 0.1, 300, 4, 32, 3, 5e-3);
    private static final int VOCABULARY = 64;
    private static final int NUMBERS = 8;
    private static final int CHOICES = 3;
    private static final int FIRST_NAMES = 20;
    private static final int SECOND_NAMES = 24;
    private static final int NUMBER = 30;
    private static final int FILLER = 40;
    private static final int FILLERS = 20;
    private static final int ROWS = 32;
    private static final int TESTED = 64;
    private static final double SHARE = 0.7;
    private static final double POINTS = 10;
    private static final String GATED = "prompt gating";
    private static final String EVERYWHERE = "prefixes in every attention";

    @Override
    public String id() {
        return "S015";
    }

    @Override
    public String registered() {
        return "prompt-gating";
    }

    @Override
    public String method() {
        return "Prompt gating";
    }

    @Override
    public String condition() {
        return "Train two aspects separately on disjoint synthetic data, concatenate unseen pairs: both constraints satisfied in >= 70% of outputs "
                + "and >= 10 points above concatenating two ordinary per-layer prefixes trained the same way.";
    }

    @Override
    public String test() {
        return "PromptGatingTest";
    }

    @Override
    public String setup() {
        return Numbers.format("A T5 of %d + %d layers of %d is trained from nothing (%,d updates of 64 texts, dropout %s) to answer a number with "
                + "two others, a + p and a + q modulo %d in two alphabets, where p and q, of %d each, are named somewhere in a text of up to twelve "
                + "tokens, or only one of them, or none; what is not named is drawn. A plug-in of %d tokens (networks of %d behind gates) is "
                + "trained for each p on texts that name nothing, q drawn, and for each q likewise: %d updates of %d texts, rate %s, the same "
                + "for all methods. Then each of the %d pairs works together, the plug-in of p first, on %d new texts; an output is right if "
                + "both numbers are. Bases and plug-ins of seeds 1 to %d.", layers, layers, hidden, pretraining, dropout, NUMBERS, CHOICES,
                tokens, inner, steps, ROWS, rate, CHOICES * CHOICES, TESTED, seeds);
    }

    private SequencedMap<String, TuningMethod> methods() {
        SequencedMap<String, TuningMethod> out = new LinkedHashMap<>();
        out.put(GATED, PromptGating.DEFAULTS.sized(tokens, inner));
        out.put(EVERYWHERE, PrefixTuning.DEFAULTS.withTokens(tokens).everywhere());
        out.put("prefixes in the decoder", PrefixTuning.DEFAULTS.withTokens(tokens));
        out.put("prompts", PromptTuning.DEFAULTS.withTokens(tokens));
        return out;
    }

    /** @param p the first aspect, or -1 for a drawn one; {@code named}: whether sources may name aspects */
    private static TinyT5.Texts texts(int rows, int p, int q, long seed, boolean named) {
        int length = 3 + Philox.nextInt(seed, 9, 0, 10);
        long[][] sources = new long[rows][length];
        long[][] targets = new long[rows][2];
        for (int r = 0; r < rows; r++) {
            int a = Philox.nextInt(seed, 0, r, NUMBERS);
            int ownP = p >= 0 ? p : Philox.nextInt(seed, 1, r, CHOICES);
            int ownQ = q >= 0 ? q : Philox.nextInt(seed, 2, r, CHOICES);
            for (int t = 0; t < length - 1; t++) {
                sources[r][t] = FILLER + Philox.nextInt(seed, 10 + t, r, FILLERS);
            }
            if (named) {
                int which = Philox.nextInt(seed, 3, r, 4);
                int at = Philox.nextInt(seed, 4, r, length - 1);
                int other = (at + 1 + Philox.nextInt(seed, 5, r, length - 2)) % (length - 1);
                sources[r][at] = (which & 1) != 0 ? FIRST_NAMES + ownP : sources[r][at];
                sources[r][other] = (which & 2) != 0 ? SECOND_NAMES + ownQ : sources[r][other];
            }
            sources[r][length - 1] = NUMBER + a;
            targets[r][0] = 2 + (a + ownP) % NUMBERS;
            targets[r][1] = 2 + NUMBERS + (a + ownQ) % NUMBERS;
        }
        return new TinyT5.Texts(sources, targets);
    }

    @Override
    public void run(Places places, Results results) {
        for (int seed = 1; seed <= seeds; seed++) {
            long own = seed;
            Seq2SeqLm model = TinyT5.untrained(VOCABULARY, hidden, layers, dropout, seed);
            Fit.weights(model, pretraining, 2e-3, seed, (step, pass) -> texts(2 * ROWS, -1, -1, 1_000_000 * own + step, true).loss(model, pass));
            methods().forEach((name, method) -> {
                double alone = trained(model, method, own);
                double[] growth = growth(model);
                results.add("kind", "run", "method", name, "seed", own, "alone", alone, "together", together(model), "first", growth[0],
                        "last", growth[growth.length - 1]);
                model.seams().attached().forEach(model.seams()::detach);
            });
        }
    }

    /** Trains all plug-ins, each alone; how often one alone does what it is for. */
    private double trained(Seq2SeqLm model, TuningMethod method, long seed) {
        for (int i = 0; i < 2 * CHOICES; i++) {
            int k = i;
            model.seams().activate();
            Adapter a = Adapters.create(model, "plug-in " + k, method, 100 * seed + k);
            model.seams().activate(a.name());
            Fit.adapter(a, steps, rate, seed, (step, pass) -> texts(ROWS, k < CHOICES ? k : -1, k < CHOICES ? -1 : k - CHOICES,
                    1_000_000 * (seed + 50) + step, false).loss(model, pass));
        }
        double alone = 0;
        for (int i = 0; i < 2 * CHOICES; i++) {
            model.seams().activate("plug-in " + i);
            boolean first = i < CHOICES;
            alone += texts(TESTED, first ? i : -1, first ? -1 : i - CHOICES, 99_999, false).rightAt(model, first ? 0 : 1) / (2 * CHOICES);
        }
        return alone;
    }

    private static double together(Seq2SeqLm model) {
        double sum = 0;
        for (int p = 0; p < CHOICES; p++) {
            for (int q = 0; q < CHOICES; q++) {
                model.seams().activate("plug-in " + p, "plug-in " + (CHOICES + q));
                sum += texts(TESTED, p, q, 99_999, false).right(model) / (CHOICES * CHOICES);
            }
        }
        return sum;
    }

    /** How much a second plug-in changes the text's states behind each block of the encoder, relative to their size. */
    private double[] growth(Seq2SeqLm model) {
        double[] sum = new double[layers];
        for (int p = 0; p < CHOICES; p++) {
            Hooks first = model.seams().hooks("plug-in " + p);
            Hooks second = model.seams().hooks("plug-in " + (CHOICES + p));
            List<double[]> one = states(model, List.of(first));
            List<double[]> both = states(model, List.of(first, second));
            for (int l = 0; l < layers; l++) {
                double change = 0;
                double size = 0;
                for (int i = 0; i < one.get(l).length; i++) {
                    change += Math.pow(both.get(l)[i] - one.get(l)[i], 2);
                    size += Math.pow(one.get(l)[i], 2);
                }
                sum[l] += Math.sqrt(change / size) / CHOICES;
            }
        }
        return sum;
    }

    /** The text's states behind each block of the encoder. */
    private List<double[]> states(Seq2SeqLm model, List<Hooks> under) {
        List<double[]> out = new ArrayList<>();
        SequencedMap<String, Tap> taps = new LinkedHashMap<>();
        for (int l = 0; l < layers; l++) {
            taps.put("encoder.layers." + l, (_, x, _) -> {
                out.add(x.slice(1, x.size(1) - 1, x.size(1)).tensor().contiguous().toDoubleArray());
                return x;
            });
        }
        List<Hooks> all = new ArrayList<>(under);
        all.add(Hooks.ofTaps("watch", taps));
        Recording.off(() -> model.encode(texts(TESTED, 0, 0, 99_999, false).source(), Pass.inference(all)));
        return out;
    }

    private static double[] of(List<Row> rows, String name, String method) {
        return Numbers.of(rows, name, r -> r.has("method", method));
    }

    @Override
    public List<Finding> findings(List<Row> rows) {
        double own = Numbers.mean(of(rows, "together", GATED));
        double prefixes = Numbers.mean(of(rows, "together", EVERYWHERE));
        return List.of(new Finding("share of outputs that satisfy both", "at least 0.70", Numbers.format("%.2f", own), own >= SHARE),
                new Finding("points above prefixes in every attention", "at least 10", Numbers.format("%.0f", 100 * (own - prefixes)),
                        100 * (own - prefixes) >= POINTS));
    }

    @Override
    public List<Table> tables(List<Row> rows) {
        return List.of(new Table("Shares of outputs, and how much the second plug-in changes the text's state behind the first and the last "
                + "block of the encoder, relative to its size", List.of("method", "alone: its own number right", "together: both right",
                "by seed", "change, first block", "change, last block"), methods().keySet().stream().map(m -> List.of(m,
                Numbers.spread("%.2f", of(rows, "alone", m)), Numbers.spread("%.2f", of(rows, "together", m)),
                Numbers.list("%.2f", of(rows, "together", m)), Numbers.format("%.2f", Numbers.mean(of(rows, "first", m))),
                Numbers.format("%.2f", Numbers.mean(of(rows, "last", m))))).toList()));
    }

    @Override
    public String remark() {
        return "Why not: prefixes in every attention satisfy both constraints almost always here, so that ten points above them do not exist; the "
                + "task is too easy to tell the two apart. Prefixes in the decoder alone, which is what PEFT's prefix tuning of an encoder-decoder "
                + "is, and plain prompts lose much when they meet. The catalogue also asks whether what the second plug-in changes grows more "
                + "slowly with depth than under prefixes: it does not, it grows from the first block to the last, and under prefixes it shrinks.";
    }

    @Override
    public Claim tiny() {
        return new GatedPlugIns(2, 16, 1, 0.1, 2, 2, 4, 1, 1e-3);
    }
}
