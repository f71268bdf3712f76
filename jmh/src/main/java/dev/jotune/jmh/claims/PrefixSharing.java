package dev.jotune.jmh.claims;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Schedule;
import dev.jotune.models.Architectures;
import dev.jotune.models.CausalLm;
import dev.jotune.models.Config;
import dev.jotune.models.RandomWeights;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.Targets;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.objectives.Preference;
import dev.jotune.peft.objectives.PreferenceLoss;
import dev.jotune.peft.train.Batch;
import dev.jotune.peft.train.Example;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * A step of DPO whose pairs share their prompt's columns, beside one whose pairs are rows of their own.
 *
 * @param hidden C, heads of 64 or fewer
 * @param pairs of a batch
 * @param prompt tokens of a prompt
 * @param response tokens of an answer
 * @param rounds of each launch
 */
record PrefixSharing(int layers, int hidden, int pairs, int prompt, int response, int rounds) implements Claim {
    static final PrefixSharing FULL = new PrefixSharing(4, 256, 2, 512, 64, 9);
    private static final int VOCABULARY = 4096;
    private static final double SHARE = 0.7;
    private static final String CONFIG = """
            {"model_type": "llama", "vocab_size": %d, "hidden_size": %d, "intermediate_size": %d, "num_hidden_layers": %d,
             "num_attention_heads": %d, "num_key_value_heads": %d, "max_position_embeddings": 2048, "tie_word_embeddings": true}""";

    @Override
    public String id() {
        return "S034";
    }

    @Override
    public String registered() {
        return "dpo";
    }

    @Override
    public String method() {
        return "DPO with prefix sharing";
    }

    @Override
    public String condition() {
        return "Measured step time with prompt:response = 8:1 is at most 0.7x of the concatenated-pairs baseline on CPU, block-skip counters "
                + "matching the analytic count.";
    }

    @Override
    public String test() {
        return "PrefixSharingTest";
    }

    @Override
    public String setup() {
        return Numbers.format("A Llama with random weights, %d layers of %d, vocabulary %,d, F32; LoRA of rank 8 on all linear layers. A step: "
                + "%d pairs with prompts of %d tokens and answers of %d, the reference's log-probabilities, DPO's loss, gradients, AdamW. In turn "
                + "with pairs that share their prompt's columns and with pairs in rows of their own, %d rounds; the ratio is the median over "
                + "the rounds, with its quartiles. One thread computes, and its processor time counts.", layers, hidden,
                VOCABULARY, pairs, prompt, response, rounds);
    }

    @Override
    public boolean isTimed() {
        return true;
    }

    @Override
    public void run(Places places, Results results) {
        Backend cpu = Backends.cpu();
        int heads = Math.max(2, hidden / 64);
        CausalLm model = Architectures.build(Config.parse(CONFIG.formatted(VOCABULARY, hidden, 8 * hidden / 3, layers, heads, heads),
                "the experiment"), new RandomWeights(cpu, DType.F32, VOCABULARY, hidden, 8L * hidden / 3, hidden, 0), cpu, DType.F32)
                .as(CausalLm.class);
        Adapter adapter = Adapters.create(model, "dpo", Lora.DEFAULTS.withTargets(Targets.matching(Targets.ALL_LINEAR)), 1);
        Batch batch = Batch.of(examples(), cpu, false);
        Optimizer optimizer = new AdamW(0).with(Schedule.constant(1e-4));
        Turns turns = Turns.of(() -> step(adapter, objective(true), batch, optimizer), () -> step(adapter, objective(false), batch, optimizer),
                rounds);
        long[] shared = counted(model, adapter, objective(true), batch);
        long[] apart = counted(model, adapter, objective(false), batch);
        results.add("share", 1 / turns.ratio(), "low", 1 / turns.high(), "high", 1 / turns.low(), "shared_s", turns.first(), "apart_s",
                turns.second(), "shared_columns", shared[0], "apart_columns", apart[0], "shared_scores", shared[1], "apart_scores", apart[1]);
    }

    private static Preference objective(boolean shares) {
        return new Preference(new PreferenceLoss.Dpo(0.1, 0), shares, List.of());
    }

    private List<Example> examples() {
        List<Example> out = new ArrayList<>();
        for (int i = 0; i < pairs; i++) {
            out.add(text(i, 0).preferredTo(text(i, 1)));
        }
        return out;
    }

    /** Answers differ from their first token on. */
    private Example text(int pair, int answer) {
        int[] ids = new int[prompt + response];
        Arrays.setAll(ids, t -> t < prompt ? Philox.nextInt(3, pair, t, VOCABULARY)
                : 2 * Philox.nextInt(4 + answer, pair, t, VOCABULARY / 2) + answer);
        int[] labels = ids.clone();
        Arrays.fill(labels, 0, prompt, Example.IGNORED);
        return new Example(ids, labels);
    }

    private static void step(Adapter adapter, Preference objective, Batch batch, Optimizer optimizer) {
        try (Scope _ = Scope.open()) {
            Pass pass = adapter.model().seams().training(0, optimizer.steps());
            Var loss = pass.once(() -> objective.loss(adapter.model(), batch, pass));
            optimizer.step(adapter.trainables(), Gradients.consume(loss, List.copyOf(adapter.trainables().values())));
        }
    }

    /** Columns that the policy reads, and scores that it forms in one head: probabilities that are not 0. */
    private static long[] counted(CausalLm model, Adapter adapter, Preference objective, Batch batch) {
        long[] counts = new long[2];
        Hooks counter = Hooks.ofTaps("counter", Map.of("embed", (_, x, _) -> {
            counts[0] += x.size(0) * x.size(1);
            return x;
        }, model.seams().attentions().getFirst().weightsTap(), (_, w, _) -> {
            counts[1] += Arrays.stream(w.select(1, 0).tensor().toDoubleArray()).filter(p -> p != 0).count();
            return w;
        }));
        try (Scope _ = Scope.open()) {
            objective.loss(model, batch, Pass.inference(List.of(adapter.hooks(), counter)));
        }
        return counts;
    }

    private long scores(boolean shares) {
        long p = prompt;
        long c = response;
        return pairs * (shares ? p * (p + 1) / 2 + 2 * (c * p + c * (c + 1) / 2) : (p + c) * (p + c + 1));
    }

    @Override
    public List<Finding> findings(List<Row> rows) {
        double[] shares = Numbers.of(rows, "share", _ -> true);
        Row some = rows.getFirst();
        long columns = (long) pairs * (prompt + 2L * response);
        return List.of(
                new Finding("time of a step with shared prompts / time of one with rows of their own", "at most 0.7",
                        Numbers.format("%.2f (launches: %s)", Numbers.median(shares),
                                Numbers.list("%.2f", shares)),
                        Numbers.median(shares) <= SHARE),
                new Finding("columns of tokens that the policy reads", Numbers.format("%,d", columns),
                        Numbers.format("%,.0f", some.number("shared_columns")), some.number("shared_columns") == columns),
                new Finding("scores of a head that the policy forms", Numbers.format("%,d", scores(true)),
                        Numbers.format("%,.0f", some.number("shared_scores")), some.number("shared_scores") == scores(true)));
    }

    @Override
    public List<Table> tables(List<Row> rows) {
        return List.of(new Table("Each launch", List.of("shared / apart", "shared, s", "apart, s", "columns, shared", "columns, apart",
                "scores, shared", "scores, apart"), rows.stream().map(r -> List.of(
                Numbers.format("%.2f (%.2f to %.2f)", r.number("share"), r.number("low"), r.number("high")),
                Numbers.format("%.2f", r.number("shared_s")), Numbers.format("%.2f", r.number("apart_s")),
                Numbers.format("%,.0f", r.number("shared_columns")), Numbers.format("%,.0f", r.number("apart_columns")),
                Numbers.format("%,.0f", r.number("shared_scores")), Numbers.format("%,.0f", r.number("apart_scores")))).toList()));
    }

    @Override
    public String remark() {
        return "There are no blocks to skip and so no counters of them: answers attend to two segments, prompt and own keys, and no score "
                + "between two answers is formed. Counted are columns, at the first tap, and probabilities that are not 0, in the first "
                + "head of the first layer. Less than the share of columns cannot be reached, since the head and the update cost the same.";
    }

    @Override
    public Claim tiny() {
        return new PrefixSharing(1, 16, 2, 16, 2, 2);
    }
}
