package dev.jotune.peft;

import dev.jotune.models.Backbone;
import dev.jotune.models.Encoder;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.mamba.Mamba;
import dev.jotune.models.mamba.MambaConfig;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.TapSite;
import dev.jotune.peft.methods.BottleneckAdapter;
import dev.jotune.peft.methods.Lofit;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.methods.Pasta;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.methods.PromptGating;
import dev.jotune.peft.methods.PromptTuning;
import dev.jotune.peft.methods.StateOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.ToLongBiFunction;
import java.util.function.ToLongFunction;
import java.util.stream.IntStream;

/**
 * A method that {@link BackboneContractTest} tries on every architecture.
 *
 * @param place what a model must have; where it has none, attaching is refused with {@code refusal}
 * @param count the closed form of what trains beside modules that train whole
 * @param wrong settings that are refused everywhere, with {@code error}
 */
record BackboneCase(String name, TuningMethod method, Predicate<Backbone> place, String refusal, ToLongBiFunction<Backbone, Adapter> count,
        TuningMethod wrong, String error) {
    private static final int RANK = 2;
    static final int TOKENS = 3;
    static final BackboneCase LORA = lora();

    /** What is tried on a specimen; or of that only what begins as the property {@code jotune.contract} says. */
    static List<BackboneCase> on(Specimen s) {
        List<BackboneCase> out = new ArrayList<>(List.of(LORA, dora(), shira(), prefix(), prompt(), adapter("houlsby"), lofit(),
                offset("h", 0), offset("h", 2), offset("y", 0), pasta(), gating(), adalora()));
        if (!s.wide()) {
            // Their derivatives are the first one's; the reference backend takes its time.
            out.add(adapter("pfeiffer"));
            out.add(adapter("parallel"));
        }
        if (s.golden().json().get("model_type").asText().equals("qwen2_moe")) {
            // A gate of one output has fewer numbers than SHiRA changes.
            out.removeIf(c -> c.name.equals("shira"));
        }
        List<String> only = List.of(System.getProperty("jotune.contract", "").split(","));
        return out.stream().filter(c -> only.stream().anyMatch(c.name::startsWith)).toList();
    }

    boolean fits(Backbone model) {
        return place.test(model);
    }

    @Override
    public String toString() {
        return name;
    }

    private static BackboneCase lora() {
        Lora lora = Lora.DEFAULTS.withRank(RANK, 4).withTargets(Targets.matching(Targets.ALL_LINEAR));
        return linear("lora", lora, l -> RANK * (l.in() + l.out()), lora.withTargets(Targets.of("no_such_module")), "no_such_module");
    }

    private static BackboneCase dora() {
        Lora dora = Lora.DEFAULTS.withDora().withRank(RANK, 4).withTargets(Targets.matching(Targets.ALL_LINEAR));
        return linear("dora", dora, l -> RANK * (l.in() + l.out()) + l.out(), dora.withRank(0, 4), "r is 0");
    }

    private static BackboneCase shira() {
        MethodInfo info = Methods.named("shira");
        return linear("shira", Methods.configure(info, Map.of("r", 1, "target_modules", Targets.ALL_LINEAR)), l -> l.in() + l.out(),
                Methods.configure(info, Map.of("r", 0, "target_modules", Targets.ALL_LINEAR)), "r is 0");
    }

    /** A method on all linear layers, which every model has. */
    private static BackboneCase linear(String name, TuningMethod method, ToLongFunction<LinearLayer> count, TuningMethod wrong, String error) {
        return new BackboneCase(name, method, m -> true, "", (model, a) -> a.hooks().projections().keySet().stream()
                .map(model.seams().projections()::get).mapToLong(count).sum(), wrong, error);
    }

    /** Mamba has no attention to put a prefix into. */
    private static BackboneCase prefix() {
        return new BackboneCase("prefix", PrefixTuning.DEFAULTS.withTokens(TOKENS), m -> !m.seams().attentions().isEmpty(), "needs attentions",
                (model, _) -> prefixes(model), PrefixTuning.DEFAULTS.withTokens(0), "num_virtual_tokens");
    }

    private static long prefixes(Backbone model) {
        List<AttentionSite> sites = model.seams().attentions();
        // As in peft: P has the layers of the encoder, whatever the decoder reads of it.
        return model instanceof Seq2SeqLm ? 2L * TOKENS * model.layers() * sites.getLast().groups() * sites.getLast().headDim()
                : sites.stream().mapToLong(a -> 2L * TOKENS * a.groups() * a.headDim()).sum();
    }

    /** A mixer of patches has weights for each patch and none for further ones. */
    private static BackboneCase prompt() {
        return new BackboneCase("prompt", PromptTuning.DEFAULTS.withTokens(TOKENS), m -> !m.seams().embeddings().isEmpty(),
                "needs an embedding input", (model, a) -> model instanceof Seq2SeqLm ? 2L * TOKENS * model.hiddenSize()
                        : model.seams().embeddings().values().stream().filter(e -> a.hooks().virtualTokens().containsKey(e.name()))
                                .mapToLong(EmbeddingSite::hiddenSize).map(c -> c * TOKENS).sum(),
                PromptTuning.DEFAULTS.withTokens(-1), "num_virtual_tokens");
    }

    /** One adapter a block for two placements, one for every part of it for the third; a mixer of patches has no such parts. */
    private static BackboneCase adapter(String placement) {
        BottleneckAdapter method = new BottleneckAdapter(placement, 4, "gelu", 1, List.of());
        boolean parts = !placement.equals("pfeiffer");
        return new BackboneCase("adapter " + placement, method,
                m -> !parts || m.seams().taps().keySet().stream().anyMatch(t -> t.endsWith(".attn.out")
                || t.endsWith(".mixer.out")), "has no place in", (model, _) -> model.seams().taps().values().stream()
                        .filter(t -> placement.equals("houlsby") ? isPart(t.name()) || isMlp(t.name()) : parts ? isMlp(t.name()) : isBlock(t.name()))
                        .mapToLong(BackboneCase::bottleneck).sum(), method.reducedBy(0), "reduction_factor is 0");
    }

    private static BackboneCase lofit() {
        return new BackboneCase("lofit", Lofit.DEFAULTS, m -> !m.seams().attentions().isEmpty(), "needs heads of attention",
                (model, _) -> model.seams().attentions().stream().mapToLong(s -> (long) s.heads() * s.headDim()).sum(),
                Lofit.DEFAULTS.at(List.of("layers.0.attn.99")), "no head layers.0.attn.99");
    }

    private static BackboneCase offset(String variant, int r) {
        StateOffset method = new StateOffset(variant, r, List.of());
        return new BackboneCase("state-offset " + variant + (r > 0 ? " of rank " + r : ""), method,
                m -> m instanceof Mamba, "is for state space models",
                (model, _) -> {
                    MambaConfig c = ((Mamba) model).config();
                    long e = c.intermediateSize();
                    return c.numHiddenLayers() * (variant.equals("y") ? e : r > 0 ? r * (e + c.stateSize()) : e * c.stateSize());
                }, method.of("x"), "variant is 'x'");
    }

    /** The specimens' texts have no special tokens of their own: some of the tokens that they have are taken for special. */
    private static BackboneCase pasta() {
        Pasta method = Pasta.DEFAULTS.withTokens(IntStream.range(3, 40).boxed().toArray(Integer[]::new));
        return new BackboneCase("pasta", method, m -> m instanceof Encoder, "is for text encoders",
                (model, _) -> model.layers() * 3L * model.seams().taps().get("embed").width(),
                Pasta.DEFAULTS.withTokens(), "");
    }

    /** No update of the contract takes a rank away: {@code AdaLoraTest} has those. */
    private static BackboneCase adalora() {
        Map<String, Object> settings = Map.of("init_r", RANK, "target_r", 1, "total_step", 100, "tinit", 50, "lora_alpha", 4,
                "target_modules", Targets.ALL_LINEAR);
        MethodInfo info = Methods.named("adalora");
        return linear("adalora", Methods.configure(info, settings), l -> RANK * (l.in() + l.out() + 1),
                Methods.configure(info, Map.of("init_r", RANK, "target_r", 1, "target_modules", Targets.ALL_LINEAR)), "total_step is 0");
    }

    /** The encoder of an encoder-decoder. */
    private static BackboneCase gating() {
        int inner = 4;
        PromptGating method = PromptGating.DEFAULTS.sized(TOKENS, inner);
        return new BackboneCase("prompt-gating", method, m -> m instanceof Seq2SeqLm,
                "prompt gating needs", (model, a) -> {
                    EmbeddingSite site = model.seams().input();
                    long gates = a.hooks().taps().keySet().stream().mapToLong(t -> 2 * (inner + 1) * model.seams().taps().get(t).width()).sum();
                    return 3L * (TOKENS * inner + inner * inner + inner) + (inner + 1L) * site.hiddenSize() + gates;
                }, method.sized(TOKENS, 0), "encoder_hidden_size is 0");
    }

    private static boolean isPart(String tap) {
        return tap.endsWith(".attn.out") || tap.endsWith(".cross.out");
    }

    private static boolean isMlp(String tap) {
        return tap.endsWith(".mlp.out") || tap.endsWith(".mixer.out");
    }

    private static boolean isBlock(String tap) {
        return Character.isDigit(tap.charAt(tap.length() - 1));
    }

    private static long bottleneck(TapSite t) {
        long m = t.width() / 4;
        return 2 * t.width() * m + m + t.width();
    }
}
