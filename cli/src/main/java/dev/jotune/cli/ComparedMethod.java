package dev.jotune.cli;

import dev.jotune.models.GenerationDefaults;
import dev.jotune.peft.TuningMethod;
import dev.jotune.peft.train.TrainingStep;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/**
 * One row of a comparison.
 *
 * @param name of the row; where it is a method's of the registry, the row stands for it
 * @param options as {@code jotune tune} takes them: {@code --method}, a method's own, those of the training step. {@code {steps}} is the
 *     number of updates, {@code {steps/3}} a third of it, {@code {head}} the modules of the model's head, {@code {special}} the ids of the
 *     special tokens that its tokenizer puts around a text
 * @param rates learning rates to choose from; none: those of the comparison
 * @param remark why the row is as it is, if that is known; may be empty
 */
record ComparedMethod(String name, String options, List<Double> rates, String remark) {
    private static final Pattern STEPS = Pattern.compile("\\{steps(?:/(\\d{1,4}))?}");

    ComparedMethod {
        rates = rates == null ? List.of() : List.copyOf(rates);
        remark = remark == null ? "" : remark;
    }

    /** A method of the registry as it is when nothing is said. */
    static ComparedMethod of(String method) {
        return new ComparedMethod(method, "--method " + method, List.of(), "");
    }

    /** What is known of the model. */
    record Places(List<String> head, List<Integer> special) {}

    /** What the options say. */
    @Command
    static final class Chosen {
        private final Map<String, String> fields = new TreeMap<>();

        @Option(names = "--method", required = true)
        private String method;

        @Mixin
        private StepOptions steps;

        /** @throws UsageException if a value is wrong */
        TuningMethod method() {
            return MethodOptions.read(method, fields);
        }

        /** A new one for each run: it may keep state. */
        TrainingStep step(long seed) {
            return steps.read(TrainingStep.classification(), new GenerationDefaults(-1, new int[0], -1), seed);
        }
    }

    /** Refuses options that no model could have. */
    void check(long updates) {
        Chosen chosen = choose(updates, new Places(List.of("classifier"), List.of(1)));
        chosen.method();
        chosen.step(0);
    }

    /**
     * What to attach and how to train it.
     *
     * @param updates of the run
     * @throws UsageException naming the row and the option that is unknown or wrong
     */
    Chosen choose(long updates, Places places) {
        Matcher m = STEPS.matcher(options);
        String filled = m.replaceAll(r -> Long.toString(updates / (r.group(1) == null ? 1 : Math.max(1, Long.parseLong(r.group(1))))))
                .replace("{head}", String.join(",", places.head()))
                .replace("{special}", String.join(",", places.special().stream().map(Object::toString).toList()));
        Chosen chosen = new Chosen();
        CommandLine parser = new CommandLine(chosen);
        MethodOptions.addTo(parser, chosen.fields);
        try {
            parser.parseArgs(filled.strip().split("\\s+"));
        } catch (ParameterException e) {
            throw new UsageException("the row '" + name + "': " + e.getMessage() + ". Give what 'jotune tune' takes", e);
        }
        return chosen;
    }
}
