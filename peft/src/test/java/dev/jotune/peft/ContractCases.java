package dev.jotune.peft;

import static java.util.Map.entry;

import dev.jotune.models.decoder.DecoderConfig;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Predicate;
import java.util.function.ToLongFunction;
import java.util.stream.Stream;

/**
 * What the contract suite must be told of a method: settings to try it with and, for each, the closed form of its
 * trainable count. A method that is registered and not listed here fails the suite.
 */
final class ContractCases {
    static final String[] LINEAR = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
    private static final Map<String, List<Case>> TABLE = Map.of("lora", lora(), "prefix", prefix(), "prompt", prompt(),
            "ia3", ia3(), "vera", vera(), "oft", oft());
    private static final Map<String, Map<String, Map<String, ?>>> SENSELESS = Map.of("lora", senselessLora(),
            "prefix", senselessPrefix(), "prompt", senselessPrompt(), "ia3", senselessIa3(), "vera", senselessVera(), "oft", senselessOft());

    private ContractCases() {}

    /**
     * Settings of a method.
     *
     * @param settings PEFT's fields that differ from the defaults
     * @param count the trainable count by the paper
     * @param fits the models it applies to
     * @param merges those of them whose weights can take it up
     */
    record Case(String name, Map<String, ?> settings, ToLongFunction<DecoderConfig> count, Predicate<DecoderConfig> fits,
            Predicate<DecoderConfig> merges) {
        Case(String name, Map<String, ?> settings, ToLongFunction<DecoderConfig> count) {
            this(name, settings, count, c -> true, c -> true);
        }

        Case on(Predicate<DecoderConfig> models) {
            return new Case(name, settings, count, models, merges);
        }

        Case mergesOn(Predicate<DecoderConfig> models) {
            return new Case(name, settings, count, fits, models);
        }

        TuningMethod of(MethodInfo info) {
            return AdapterConfig.with(info, settings);
        }
    }

    static List<Case> of(MethodInfo info) {
        List<Case> cases = find(info, TABLE, ProjectionCases.TABLE, SegmentCases.TABLE, TapCases.TABLE, PromptCases.TABLE, WeightCases.TABLE);
        if (cases == null) {
            throw new AssertionError("The method '" + info.name() + "' is registered but has no settings in ContractCases. "
                    + "Add some, each with the closed form of its trainable count.");
        }
        return cases;
    }

    /** What the first table that knows a method has of it; null if none does. */
    @SafeVarargs
    private static <T> T find(MethodInfo info, Map<String, T>... tables) {
        return Stream.of(tables).map(t -> t.get(info.name())).filter(Objects::nonNull).findFirst().orElse(null);
    }

    /** The methods that have a place in a decoder with attention; the others are tried by {@link BackboneContractTest} alone. */
    static List<MethodInfo> ofDecoders() {
        return Methods.all().stream().filter(m -> !of(m).isEmpty()).toList();
    }

    /** Settings that must be refused, by a part of the message that says what is wrong. */
    static Map<String, Map<String, ?>> senseless(MethodInfo info) {
        Map<String, Map<String, ?>> out = find(info, SENSELESS, ProjectionCases.SENSELESS, SegmentCases.SENSELESS, TapCases.SENSELESS,
                PromptCases.SENSELESS, WeightCases.SENSELESS);
        if (out == null) {
            throw new AssertionError("The method '" + info.name() + "' has no senseless settings in ContractCases. Add some.");
        }
        return out;
    }

    private static Map<String, Map<String, ?>> senselessLora() {
        return Map.ofEntries(
                entry("r is 0", Map.of("r", 0)),
                entry("r is -4", Map.of("r", -4)),
                entry("lora_dropout is 1.0", Map.of("lora_dropout", 1)),
                entry("lora_dropout is -0.1", Map.of("lora_dropout", -0.1)),
                entry("bias is 'some'", Map.of("bias", "some")),
                entry("matches no linear layer", Map.of("target_modules", List.of("c_attn"))),
                entry("called: down_proj", Map.of("target_modules", List.of())),
                entry("lora_bias is true", Map.of("target_modules", List.of("embed_tokens", "q_proj"), "lora_bias", true,
                        "layers_to_transform", List.of(),
                        "modules_to_save", List.of())),
                entry("token 900 is no row", Map.of("trainable_token_indices", List.of(1, 900))),
                entry("each once", Map.of("trainable_token_indices", List.of(1, 1))),
                entry("no table of embeddings 'wte'", Map.of("trainable_token_indices", Map.of("wte", List.of(1)))),
                entry("not a regular expression", Map.of("target_modules", "(q_proj")),
                entry("within layers [9]", Map.of("layers_to_transform", List.of(9))),
                entry("no module of the model is called 'classifier'", Map.of("modules_to_save", List.of("classifier"))),
                entry("the rank 0", Map.of("target_modules", List.of("q_proj"), "rank_pattern", Map.of("q_proj", 0))),
                entry("init_lora_weights", Map.of("init_lora_weights", "pissa_niter_4")),
                entry("with use_dora", Map.of("init_lora_weights", "olora", "use_dora", true)),
                entry("which has fewer", Map.of("init_lora_weights", "pissa", "r", 40)),
                entry("not for new ones", Map.of("init_lora_weights", "eva")),
                entry("rnak", Map.of("rnak", 3)));
    }

    private static Map<String, Map<String, ?>> senselessPrefix() {
        return Map.of(
                "num_virtual_tokens is 0", Map.of("num_virtual_tokens", 0),
                "num_virtual_tokens is -1", Map.of("num_virtual_tokens", -1),
                "init_weights is 'ones'", Map.of("init_weights", "ones"),
                "prefix_attentions is 'cross'", Map.of("prefix_attentions", "cross"),
                "encoder_hidden_size is 0", Map.of("prefix_projection", true, "encoder_hidden_size", 0),
                "no module of the model is called 'x'", Map.of("modules_to_save", List.of("x")),
                "64", Map.of("num_virtual_tokens", 65));
    }

    private static Map<String, Map<String, ?>> senselessPrompt() {
        return Map.of(
                "num_virtual_tokens is 0", Map.of("num_virtual_tokens", 0),
                "prompt_tuning_init is 'ZERO'", Map.of("prompt_tuning_init", "ZERO"),
                "has no tokens", Map.of("prompt_tuning_init", "TEXT", "prompt_tuning_init_text", ""),
                "64", Map.of("num_virtual_tokens", 65));
    }

    private static Map<String, Map<String, ?>> senselessIa3() {
        return Map.of(
                "matches no linear layer", Map.of("target_modules", List.of("c_attn"), "feedforward_modules", List.of()),
                "'down_proj' is not among target_modules", Map.of("target_modules", List.of("k_proj"), "feedforward_modules", List.of("down_proj")),
                "no module of the model is called 'x'", Map.of("modules_to_save", List.of("x")));
    }

    private static Map<String, Map<String, ?>> senselessVera() {
        return Map.of(
                "r is 0", Map.of("r", 0),
                "vera_dropout is 1.0", Map.of("vera_dropout", 1),
                "bias is 'lora_only'", Map.of("r", 2, "bias", "lora_only"),
                "matches no linear layer", Map.of("r", 2, "target_modules", List.of("c_attn")));
    }

    private static Map<String, Map<String, ?>> senselessOft() {
        return Map.of(
                "r is 4 and oft_block_size is 32", Map.of("r", 4, "oft_block_size", 32),
                "r is 0 and oft_block_size is 0", Map.of("r", 0, "oft_block_size", 0),
                "oft_block_size is -4", Map.of("r", 0, "oft_block_size", -4),
                "num_cayley_neumann_terms is 0", Map.of("use_cayley_neumann", true, "num_cayley_neumann_terms", 0),
                "module_dropout is 0.5", Map.of("module_dropout", 0.5),
                "eps is 0.0", Map.of("coft", true, "eps", 0),
                "matches no linear layer", Map.of("target_modules", List.of("c_attn")));
    }

    /** r (in + out), summed over the modules of all layers. */
    static long pairs(DecoderConfig c, long rank, String... modules) {
        return c.numHiddenLayers() * Stream.of(modules).mapToLong(m -> pair(c, rank, m)).sum();
    }

    static long pair(DecoderConfig c, long rank, String module) {
        long[] sizes = TinyModels.linear(module, c);
        return rank * (sizes[0] + sizes[1]);
    }

    static long out(DecoderConfig c, String... modules) {
        return c.numHiddenLayers() * Stream.of(modules).mapToLong(m -> TinyModels.linear(m, c)[0]).sum();
    }

    static long in(DecoderConfig c, String... modules) {
        return c.numHiddenLayers() * Stream.of(modules).mapToLong(m -> TinyModels.linear(m, c)[1]).sum();
    }

    private static List<Case> ia3() {
        return List.of(
                new Case("plain", Map.of(), c -> out(c, "k_proj", "v_proj") + in(c, "down_proj")),
                new Case("random start", Map.of("init_ia3_weights", false), c -> out(c, "k_proj", "v_proj") + in(c, "down_proj")),
                new Case("inputs", Map.of("target_modules", ".*_proj", "feedforward_modules", ".*(o|up)_proj"),
                        c -> out(c, "q_proj", "k_proj", "v_proj", "gate_proj", "down_proj") + in(c, "o_proj", "up_proj")),
                new Case("saved norm", Map.of("target_modules", List.of("q_proj"), "feedforward_modules", List.of(),
                        "modules_to_save", List.of("model.norm")), c -> out(c, "q_proj") + c.hiddenSize()));
    }

    private static List<Case> vera() {
        return List.of(
                new Case("plain", Map.of("r", 3), c -> out(c, "q_proj", "v_proj") + 2L * c.numHiddenLayers() * 3),
                new Case("without projections in the file", Map.of("r", 2, "save_projection", false, "projection_prng_key", 5),
                        c -> out(c, "q_proj", "v_proj") + 2L * c.numHiddenLayers() * 2),
                new Case("of several sizes, with dropout", Map.of("r", 2, "d_initial", 0.3, "vera_dropout", 0.2,
                        "target_modules", List.of("q_proj", "down_proj", "up_proj")),
                        c -> out(c, "q_proj", "down_proj", "up_proj") + 3L * c.numHiddenLayers() * 2),
                new Case("random start", Map.of("r", 2, "init_weights", false, "layers_to_transform", List.of(1)),
                        c -> out(c, "q_proj", "v_proj") / c.numHiddenLayers() + 2L * 2));
    }

    private static List<Case> oft() {
        return List.of(
                new Case("plain", Map.of("oft_block_size", 4, "use_cayley_neumann", false),
                        c -> in(c, "q_proj", "v_proj") * 3 / 2),
                new Case("neumann", Map.of("oft_block_size", 4), c -> in(c, "q_proj", "v_proj") * 3 / 2),
                new Case("constrained", Map.of("oft_block_size", 4, "coft", true, "eps", 1.5, "use_cayley_neumann", false),
                        c -> in(c, "q_proj", "v_proj") * 3 / 2),
                new Case("shared blocks", Map.of("oft_block_size", 0, "r", 2, "block_share", true, "use_cayley_neumann", false,
                        "target_modules", "all-linear"),
                        c -> c.numHiddenLayers() * Stream.of(LINEAR).mapToLong(m -> triangle(TinyModels.linear(m, c)[1] / 2)).sum()),
                new Case("random start", Map.of("oft_block_size", 2, "init_weights", false, "use_cayley_neumann", false,
                        "target_modules", "all-linear"), c -> in(c, LINEAR) / 2));
    }

    private static long triangle(long size) {
        return size * (size - 1) / 2;
    }

    private static List<Case> lora() {
        List<String> qv = List.of("q_proj", "v_proj");
        return List.of(
                new Case("plain", Map.of("r", 2, "lora_alpha", 3), c -> pairs(c, 2, "q_proj", "v_proj")),
                new Case("rslora", Map.of("r", 3, "lora_alpha", 2, "use_rslora", true), c -> pairs(c, 3, "q_proj", "v_proj")),
                new Case("dropout", Map.of("r", 2, "lora_dropout", 0.3), c -> pairs(c, 2, "q_proj", "v_proj")),
                new Case("gaussian", Map.of("r", 2, "init_lora_weights", "gaussian"), c -> pairs(c, 2, "q_proj", "v_proj")),
                new Case("random start", Map.of("r", 2, "init_lora_weights", false), c -> pairs(c, 2, "q_proj", "v_proj")),
                new Case("pissa", Map.of("r", 2, "lora_alpha", 3, "init_lora_weights", "pissa"), c -> pairs(c, 2, "q_proj", "v_proj")),
                new Case("olora", Map.of("r", 2, "lora_alpha", 3, "init_lora_weights", "olora"), c -> pairs(c, 2, "q_proj", "v_proj")),
                new Case("patterns", Map.of("r", 2, "target_modules", List.of("q_proj", "up_proj"),
                        "rank_pattern", Map.of("layers.0.self_attn.q_proj", 1, "up_proj", 3),
                        "alpha_pattern", Map.of(".*\\.1\\.mlp\\.up_proj", 5)),
                        c -> pairs(c, 3, "up_proj") + pair(c, 1, "q_proj") + pair(c, 2, "q_proj")),
                new Case("bias on B", Map.of("r", 2, "lora_bias", true, "target_modules", List.of("q_proj", "o_proj")),
                        c -> pairs(c, 2, "q_proj", "o_proj") + out(c, "q_proj", "o_proj")).mergesOn(DecoderConfig::attentionBias),
                new Case("all biases", Map.of("r", 2, "bias", "all"), c -> pairs(c, 2, "q_proj", "v_proj") + out(c, LINEAR))
                        .on(c -> c.attentionBias() && c.mlpBias()),
                new Case("biases of targets", Map.of("r", 2, "bias", "lora_only"),
                        c -> pairs(c, 2, "q_proj", "v_proj") + out(c, "q_proj", "v_proj")).on(DecoderConfig::attentionBias),
                new Case("all-linear", Map.of("r", 1, "lora_alpha", 1, "target_modules", "all-linear"), c -> pairs(c, 1, LINEAR)),
                new Case("excluding", Map.of("r", 2, "target_modules", qv, "exclude_modules", List.of("layers.1.self_attn.v_proj")),
                        c -> pairs(c, 2, "q_proj", "v_proj") - pair(c, 2, "v_proj")),
                new Case("one layer", Map.of("r", 2, "layers_to_transform", List.of(1)),
                        c -> pair(c, 2, "q_proj") + pair(c, 2, "v_proj")),
                new Case("by pattern", Map.of("r", 2, "target_modules", ".*layers\\.0\\.mlp\\.(up|down)_proj"),
                        c -> pair(c, 2, "up_proj") + pair(c, 2, "down_proj")),
                new Case("head", Map.of("r", 2, "target_modules", List.of("v_proj", "lm_head")),
                        c -> pairs(c, 2, "v_proj") + pair(c, 2, "lm_head")).mergesOn(c -> !c.tieWordEmbeddings()),
                new Case("embedding", Map.of("r", 2, "target_modules", List.of("embed_tokens", "q_proj")),
                        c -> pairs(c, 2, "q_proj") + 2L * (c.vocabSize() + c.hiddenSize())).mergesOn(c -> !c.tieWordEmbeddings()),
                new Case("rows of tokens", Map.of("r", 2, "trainable_token_indices", List.of(3, 1, 4, 0, 5, 9, 2, 6, 8, 7)),
                        c -> pairs(c, 2, "q_proj", "v_proj") + 10L * c.hiddenSize()),
                new Case("saved head", Map.of("r", 2, "modules_to_save", List.of("lm_head")),
                        c -> pairs(c, 2, "q_proj", "v_proj") + (long) c.vocabSize() * c.hiddenSize()).mergesOn(c -> !c.tieWordEmbeddings()),
                new Case("saved and tied", Map.of("r", 2, "ensure_weight_tying", true, "modules_to_save", List.of("model.embed_tokens")),
                        c -> pairs(c, 2, "q_proj", "v_proj") + (long) c.vocabSize() * c.hiddenSize()).on(DecoderConfig::tieWordEmbeddings),
                new Case("saved embedding and norm", Map.of("r", 2, "modules_to_save", List.of("embed_tokens", "norm")),
                        // As in PEFT a name is the end of a path, so both norms of every block are meant too.
                        c -> pairs(c, 2, "q_proj", "v_proj") + (c.vocabSize() + 2L * c.numHiddenLayers() + 1) * c.hiddenSize())
                        .mergesOn(c -> !c.tieWordEmbeddings()));
    }

    /** n 2 L G D. */
    private static long table(DecoderConfig c, long n) {
        return n * 2 * c.numHiddenLayers() * c.numKeyValueHeads() * c.headDim();
    }

    /** E [n, G D] and the two layers of the MLP with their biases. */
    private static long encoder(DecoderConfig c, long n, long inner) {
        long token = (long) c.numKeyValueHeads() * c.headDim();
        return n * token + (token + 1) * inner + (inner + 1) * table(c, 1);
    }

    private static List<Case> prefix() {
        return List.of(
                new Case("direct", Map.of("num_virtual_tokens", 3), c -> table(c, 3)),
                new Case("zero", Map.of("num_virtual_tokens", 2, "init_weights", "zero"), c -> table(c, 2)),
                new Case("projected", Map.of("num_virtual_tokens", 3, "prefix_projection", true, "encoder_hidden_size", 5),
                        c -> encoder(c, 3, 5)),
                new Case("projected at the token's width", Map.of("num_virtual_tokens", 2, "prefix_projection", true),
                        c -> encoder(c, 2, (long) c.numKeyValueHeads() * c.headDim())));
    }

    private static List<Case> prompt() {
        return List.of(
                new Case("random", Map.of("num_virtual_tokens", 3), c -> 3L * c.hiddenSize()),
                new Case("vocabulary", Map.of("num_virtual_tokens", 2, "prompt_tuning_init", "SAMPLE_VOCAB"),
                        c -> 2L * c.hiddenSize()),
                new Case("text", Map.of("num_virtual_tokens", 5, "prompt_tuning_init", "TEXT", "prompt_tuning_init_text", "abc"),
                        c -> 5L * c.hiddenSize()));
    }
}
