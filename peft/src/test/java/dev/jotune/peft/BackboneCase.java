package dev.jotune.peft;

import dev.jotune.models.Backbone;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.TapSite;
import dev.jotune.peft.methods.BottleneckAdapter;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.methods.PromptTuning;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import java.util.function.ToLongBiFunction;

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
        List<BackboneCase> out = new ArrayList<>(List.of(LORA, prefix(), prompt(), adapter("houlsby")));
        if (!s.wide()) {
            // Their derivatives are the first one's; the reference backend takes its time.
            out.add(adapter("pfeiffer"));
            out.add(adapter("parallel"));
        }
        return out.stream().filter(c -> c.name.startsWith(System.getProperty("jotune.contract", ""))).toList();
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
        return new BackboneCase("lora", lora, m -> true, "", (model, a) -> a.hooks().projections().keySet().stream()
                .map(model.seams().projections()::get).mapToLong(l -> RANK * (l.in() + l.out())).sum(),
                lora.withTargets(Targets.of("no_such_module")), "no_such_module");
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
        return new BackboneCase("adapter " + placement, method, m -> !parts || m.seams().taps().keySet().stream().anyMatch(t -> t.endsWith(".attn.out")
                || t.endsWith(".mixer.out")), "has no place in", (model, _) -> model.seams().taps().values().stream()
                        .filter(t -> placement.equals("houlsby") ? isPart(t.name()) || isMlp(t.name()) : parts ? isMlp(t.name()) : isBlock(t.name()))
                        .mapToLong(BackboneCase::bottleneck).sum(), method.reducedBy(0), "reduction_factor is 0");
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
