package dev.jotune.cli;

import dev.jotune.models.GenerationDefaults;
import dev.jotune.peft.objectives.AnchoredSft;
import dev.jotune.peft.objectives.Grpo;
import dev.jotune.peft.objectives.PolicyLoss;
import dev.jotune.peft.objectives.Preference;
import dev.jotune.peft.objectives.PreferenceLoss;
import dev.jotune.peft.objectives.ReferenceFreeLoss;
import dev.jotune.peft.objectives.Reward;
import dev.jotune.peft.steps.BlackBox;
import dev.jotune.peft.steps.GradientMask;
import dev.jotune.peft.steps.Lisa;
import dev.jotune.peft.steps.Mezo;
import dev.jotune.peft.train.Objective;
import dev.jotune.peft.train.TrainingStep;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import picocli.CommandLine.Option;

/** The training step's exchangeable parts: what is minimised, and how. */
final class StepOptions {
    private static final String USUAL = "cross-entropy";

    @Option(names = "--objective", paramLabel = "NAME", defaultValue = USUAL, description = "What is minimised: cross-entropy; of pairs "
            + "{\"prompt\", \"chosen\", \"rejected\"}: dpo, robust-dpo, hinge, ipo, orpo, simpo, cpo; asft (anchored), dft, sft-kl; grpo "
            + "(answers that the model writes itself, rewarded by a rule). Default: ${DEFAULT-VALUE}.")
    private String objective;

    @Option(names = "--trainer", paramLabel = "NAMES", defaultValue = "gradients", split = ",", description = "How: gradients; mezo "
            + "(forward passes alone, the memory of inference); lisa (a few layers at a time); gmt (the largest gradients alone); "
            + "bbt (CMA-ES, no gradients). "
            + "lisa,gmt go together. Default: ${DEFAULT-VALUE}.")
    private List<String> trainers;

    @Option(names = "--preference-beta", paramLabel = "X", description = "Of preferences. Default: 0.1; simpo 2.")
    private Double beta;

    @Option(names = "--preference-smoothing", paramLabel = "X", defaultValue = "0", description = "Share of wrong labels that dpo, robust-dpo "
            + "and simpo reckon with. Default: ${DEFAULT-VALUE}.")
    private double smoothing;

    @Option(names = "--preference-margin", paramLabel = "X", defaultValue = "0.5", description = "Gamma of simpo. Default: ${DEFAULT-VALUE}.")
    private double margin;

    @Option(names = "--preference-weight", paramLabel = "X", description = "Of orpo's odds (default 0.1) or cpo's likelihood (default 1).")
    private Double weight;

    @Option(names = "--separate-rows", description = "Give both answers of a pair rows of their own instead of one with a shared prompt.")
    private boolean separate;

    @Option(names = "--anchor", paramLabel = "X", defaultValue = "0.05", description = "Lambda of asft and sft-kl. Default: ${DEFAULT-VALUE}.")
    private double anchor;

    @Option(names = "--reward", paramLabel = "NAME", defaultValue = "exact-match", description = "Rule of grpo: exact-match, starts-with or "
            + "contains, compared with \"completion\". Default: ${DEFAULT-VALUE}.")
    private String reward;

    @Option(names = "--answers", paramLabel = "N", defaultValue = "8", description = "Answers of grpo to a prompt. Default: ${DEFAULT-VALUE}.")
    private int answers;

    @Option(names = "--answer-tokens", paramLabel = "N", defaultValue = "32", description = "Tokens of such an answer at most. "
            + "Default: ${DEFAULT-VALUE}.")
    private int answerTokens;

    @Option(names = "--kl-weight", paramLabel = "X", defaultValue = "0.04", description = "Beta of grpo. Default: ${DEFAULT-VALUE}.")
    private double divergence;

    @Option(names = "--mezo-epsilon", paramLabel = "X", defaultValue = "1e-3", description = "How far mezo looks. Default: ${DEFAULT-VALUE}.")
    private double epsilon;

    @Option(names = "--mezo-samples", paramLabel = "N", defaultValue = "1", description = "Directions of a mezo step. Default: ${DEFAULT-VALUE}.")
    private int samples;

    @Option(names = "--lisa-layers", paramLabel = "N", defaultValue = "2", description = "Layers that train at a time. Default: ${DEFAULT-VALUE}.")
    private int layers;

    @Option(names = "--lisa-interval", paramLabel = "N", defaultValue = "20", description = "Updates between draws. Default: ${DEFAULT-VALUE}.")
    private int interval;

    @Option(names = "--gmt-keep", paramLabel = "X", defaultValue = "0.2", description = "Share of each gradient that stays. "
            + "Default: ${DEFAULT-VALUE}.")
    private double keep;

    @Option(names = "--bbt-dimensions", paramLabel = "N", defaultValue = "500", description = "Of each block's search. Default: ${DEFAULT-VALUE}.")
    private int dimensions;

    @Option(names = "--bbt-population", paramLabel = "N", defaultValue = "20", description = "Candidates of an update. Default: ${DEFAULT-VALUE}.")
    private int candidates;

    @Option(names = "--bbt-alpha", paramLabel = "X", defaultValue = "1", description = "How far it searches, in deviations of the start. "
            + "Default: ${DEFAULT-VALUE}.")
    private double alpha;

    @Option(names = "--bbt-parts", paramLabel = "N", defaultValue = "1", description = "Blocks of each tensor: for prefix the number of layers. "
            + "Default: ${DEFAULT-VALUE}.")
    private int parts;

    private Map<String, Supplier<PreferenceLoss>> preferences() {
        double b = beta == null ? 0.1 : beta;
        Map<String, Supplier<PreferenceLoss>> all = new TreeMap<>();
        all.put("dpo", () -> new PreferenceLoss.Dpo(b, smoothing));
        all.put("robust-dpo", () -> new PreferenceLoss.RobustDpo(b, smoothing));
        all.put("hinge", () -> new PreferenceLoss.Hinge(b));
        all.put("ipo", () -> new PreferenceLoss.Ipo(b));
        all.put("orpo", () -> new ReferenceFreeLoss.Orpo(weight == null ? 0.1 : weight));
        all.put("simpo", () -> new ReferenceFreeLoss.SimPo(beta == null ? 2 : beta, margin, smoothing));
        all.put("cpo", () -> new ReferenceFreeLoss.Cpo(b, weight == null ? 1 : weight));
        return all;
    }

    /** Whether examples are pairs of answers. */
    boolean isPaired() {
        return preferences().containsKey(objective);
    }

    /**
     * @param usual what a model of its kind is trained with
     * @param special which tokens end an answer
     * @throws UsageException naming what there is not, or what is out of range
     */
    TrainingStep read(TrainingStep usual, GenerationDefaults special, long seed) {
        try {
            TrainingStep step = objective.equals(USUAL) ? usual : TrainingStep.of(objective(special));
            for (String name : trainers) {
                step = switch (name) {
                    case "gradients" -> step;
                    case "mezo" -> step.descend(new Mezo(epsilon, samples));
                    case "lisa" -> step.select(new Lisa(layers, interval, seed));
                    case "bbt" -> step.descend(new BlackBox(dimensions, candidates, alpha, parts));
                    case "gmt" -> step.transform(new GradientMask(keep));
                    default -> throw new UsageException("--trainer: there is no trainer '" + name + "'. Trainers: gradients, mezo, lisa, gmt, bbt");
                };
            }
            if (trainers.stream().filter(t -> !t.equals("lisa")).distinct().count() > 1) {
                throw new UsageException("--trainer: " + String.join(", ", trainers) + " are different ways down. Use one of them; lisa goes "
                        + "with gradients and gmt");
            }
            if (trainers.contains("lisa") && (trainers.contains("bbt") || trainers.contains("mezo"))) {
                throw new UsageException("--trainer: " + (trainers.contains("bbt") ? "bbt searches the same blocks" : "mezo moves the same numbers")
                        + " from the first step to the last, and lisa changes them. Use one of the two");
            }
            return step;
        } catch (IllegalArgumentException e) {
            throw new UsageException(e.getMessage(), e);
        }
    }

    private Objective objective(GenerationDefaults special) {
        if (isPaired()) {
            return new Preference(preferences().get(objective).get(), !separate, List.of());
        }
        return switch (objective) {
            case "asft" -> AnchoredSft.of(anchor);
            case "dft" -> AnchoredSft.of(0);
            case "sft-kl" -> new AnchoredSft(anchor, false, List.of());
            case "grpo" -> new Grpo(rule(), answers, answerTokens, divergence, 0.2, PolicyLoss.Aggregate.SEQUENCE,
                    Arrays.stream(special.eosTokenIds()).boxed().toList());
            default -> throw new UsageException("--objective: there is no objective '" + objective + "'. Objectives: " + USUAL + ", "
                    + String.join(", ", preferences().keySet()) + ", asft, dft, sft-kl, grpo");
        };
    }

    private Reward rule() {
        Optional<Reward.Rule> found = Arrays.stream(Reward.Rule.values()).filter(r -> name(r).equals(reward)).findFirst();
        return found.orElseThrow(() -> new UsageException("--reward: there is no rule '" + reward + "'. Rules: "
                + Arrays.stream(Reward.Rule.values()).map(StepOptions::name).collect(Collectors.joining(", "))));
    }

    private static String name(Reward.Rule rule) {
        return rule.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
