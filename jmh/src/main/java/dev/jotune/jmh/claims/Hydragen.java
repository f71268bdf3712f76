package dev.jotune.jmh.claims;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.models.Architectures;
import dev.jotune.models.CausalLm;
import dev.jotune.models.Config;
import dev.jotune.models.KvCache;
import dev.jotune.models.RandomWeights;
import dev.jotune.models.TokenTree;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Attention of one decoding step behind a prefix that all rows share.
 *
 * @param rows b
 * @param prefix tokens that all rows begin with
 * @param suffix tokens of each row's own
 * @param heads H
 * @param groups numbers of key heads, one measurement each
 * @param size D
 * @param rounds of each launch
 */
record Hydragen(int rows, int prefix, int suffix, int heads, List<Integer> groups, int size, int rounds) implements Claim {
    static final Hydragen FULL = new Hydragen(64, 2048, 64, 8, List.of(8, 2), 64, 15);
    private static final int VOCABULARY = 64;
    private static final double FASTER = 5;
    private static final String CONFIG = """
            {"model_type": "llama", "vocab_size": %d, "hidden_size": %d, "intermediate_size": 64, "num_hidden_layers": 1,
             "num_attention_heads": %d, "num_key_value_heads": %d, "max_position_embeddings": %d, "tie_word_embeddings": true}""";

    @Override
    public String id() {
        return "S084";
    }

    @Override
    public String registered() {
        return "hydragen";
    }

    @Override
    public String method() {
        return "Hydragen";
    }

    @Override
    public String condition() {
        return "KV memory equals prefix + b*suffix rows. Decode attention at b=64, prefix 2048, suffix 64 is at least 5x faster than the "
                + "per-sequence path on the CPU backend.";
    }

    @Override
    public String test() {
        return "TokenTreeTest";
    }

    @Override
    public String setup() {
        return Numbers.format("One layer of a Llama with random weights, F32, b = %d rows that share their first %,d tokens and have %d of "
                + "their own each; %d query heads of %d. The keys of the shared tokens lie once in a `TokenTree`, or with every row in its own "
                + "cache (the per-sequence path). One step of attention for all rows, one query each, in turn on both, %d rounds; the ratio is "
                + "the median over the rounds, with its quartiles. One thread computes, and its processor time counts.",
                rows, prefix, suffix, heads, size, rounds);
    }

    @Override
    public boolean isTimed() {
        return true;
    }

    @Override
    public void run(Places places, Results results) {
        for (int g : groups) {
            try (Scope _ = Scope.open()) {
                measure(g, results);
            }
        }
    }

    private void measure(int keyHeads, Results results) {
        Backend cpu = Backends.cpu();
        CausalLm model = Architectures.build(Config.parse(CONFIG.formatted(VOCABULARY, heads * size, heads, keyHeads, 2 * (prefix + suffix)),
                "the experiment"), new RandomWeights(cpu, DType.F32, VOCABULARY, heads * size, 64, keyHeads * size, 0), cpu, DType.F32)
                .as(CausalLm.class);
        Tensor key = noise(cpu, 1, rows, keyHeads, suffix, size);
        Tensor value = noise(cpu, 2, rows, keyHeads, suffix, size);
        Var query = Var.constant(noise(cpu, 3, rows, heads, 1, size));
        double scale = 1 / Math.sqrt(size);
        try (TokenTree tree = TokenTree.of(model, Pass.inference(List.of()), prompts(), prefix)) {
            KvCache shared = tree.newCache(suffix);
            shared.grow(null, suffix);
            List<Segment> behind = shared.append(0, key, value, Visible.causal(suffix - 1));
            KvCache each = (KvCache) model.newCache(rows, prefix + suffix);
            each.grow(null, prefix + suffix);
            List<Segment> apart = each.append(0, whole(behind, key, Segment::key), whole(behind, value, Segment::value),
                    Visible.causal(prefix + suffix - 1));
            Turns turns = Turns.of(() -> attend(query, behind, scale), () -> attend(query, apart, scale), rounds);
            results.add("groups", keyHeads, "ratio", turns.ratio(), "low", turns.low(), "high", turns.high(), "shared_s", turns.first(),
                    "apart_s", turns.second(), "difference", difference(query, behind, apart, scale), "shared_bytes", shared.bytes(),
                    "apart_bytes", each.bytes(), "token_bytes", 2L * keyHeads * size * Float.BYTES);
            shared.free();
            each.free();
        }
    }

    /** The prefix and one token more, which is never shared. */
    private int[][] prompts() {
        int[][] out = new int[rows][prefix + 1];
        for (int b = 0; b < rows; b++) {
            for (int t = 0; t <= prefix; t++) {
                out[b][t] = t < prefix ? Philox.nextInt(1, 0, t, VOCABULARY) : b % VOCABULARY;
            }
        }
        return out;
    }

    private static Tensor noise(Backend cpu, long stream, long... shape) {
        Tensor t = Tensor.empty(cpu, DType.F32, shape);
        cpu.normal(t, 7, stream);
        return t;
    }

    private interface Part {
        Var of(Segment s);
    }

    /** What the rows share and what they have of their own, for each row in a tensor of its own. */
    private Tensor whole(List<Segment> behind, Tensor own, Part part) {
        List<Var> all = new ArrayList<>();
        behind.stream().filter(s -> s.rows().isPresent()).forEach(s -> {
            Var v = part.of(s);
            all.add(v.expandTo(rows, v.size(1), v.size(2), v.size(3)));
        });
        all.add(Var.constant(own));
        return Recording.off(() -> Var.concat(2, all.toArray(Var[]::new))).tensor();
    }

    private static void attend(Var query, List<Segment> segments, double scale) {
        try (Scope _ = Scope.open()) {
            Recording.off(() -> Attention.attend(query, segments, scale, 0).out());
        }
    }

    private static double difference(Var query, List<Segment> a, List<Segment> b, double scale) {
        double[] x = Recording.off(() -> Attention.attend(query, a, scale, 0).out()).tensor().toDoubleArray();
        double[] y = Recording.off(() -> Attention.attend(query, b, scale, 0).out()).tensor().toDoubleArray();
        double most = 0;
        for (int i = 0; i < x.length; i++) {
            most = Math.max(most, Math.abs(x[i] - y[i]));
        }
        return most;
    }

    @Override
    public List<Finding> findings(List<Row> rows) {
        double[] ratios = Numbers.of(rows, "ratio", r -> r.has("groups", heads));
        double wanted = (prefix + (double) rows() * suffix) * rows.getFirst().number("token_bytes");
        double stored = rows.getFirst().number("shared_bytes");
        double difference = Arrays.stream(Numbers.of(rows, "difference", _ -> true)).max().orElse(Double.NaN);
        return List.of(
                new Finding("largest difference of the two outputs", "at most 1e-5", Numbers.format("%.1e", difference), difference <= 1e-5),
                new Finding("bytes of keys and values with a shared prefix", Numbers.format("%,.0f", wanted), Numbers.format("%,.0f", stored),
                        stored == wanted),
                new Finding("time of the per-sequence path / time with the prefix shared, as many key heads as query heads",
                        "at least 5", Numbers.format("%.1f (launches: %s)", Numbers.median(ratios), Numbers.list("%.1f", ratios)),
                        Numbers.median(ratios) >= FASTER));
    }

    @Override
    public List<Table> tables(List<Row> rows) {
        return List.of(new Table("Each launch", List.of("query / key heads", "per-sequence / shared", "shared, ms", "per sequence, ms",
                "shared, MB", "per sequence, MB"), rows.stream().map(r -> List.of(heads + " / " + r.text("groups"),
                Numbers.format("%.1f (%.1f to %.1f)", r.number("ratio"), r.number("low"), r.number("high")),
                Numbers.format("%.1f", 1e3 * r.number("shared_s")), Numbers.format("%.1f", 1e3 * r.number("apart_s")),
                Numbers.format("%.1f", r.number("shared_bytes") / (1 << 20)),
                Numbers.format("%.1f", r.number("apart_bytes") / (1 << 20)))).toList()));
    }

    @Override
    public String remark() {
        return "Both paths form the same scores; the per-sequence path reads each row's own copy of the prefix from memory, the other one "
                + "copy from the cache of the processor. Where four query heads share a key head, the per-sequence path already uses each key "
                + "four times, and there is less to gain: the second rows of the table.";
    }

    @Override
    public Claim tiny() {
        return new Hydragen(3, 8, 4, 2, List.of(2, 1), 8, 2);
    }
}
