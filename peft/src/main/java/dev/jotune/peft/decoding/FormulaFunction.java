package dev.jotune.peft.decoding;

import dev.jotune.models.generate.Evidence;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.Logits;
import dev.jotune.models.generate.MinP;
import dev.jotune.models.generate.TopP;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * The functions of a {@link Formula}. A letter stands for an argument: {@code m} a model, {@code x} a number; those after
 * {@code ?} may be left out, those after {@code *} come again and again.
 */
public enum FormulaFunction {
    LOGP("logp(m)", "log-probabilities", "m", a -> Logits.logProbabilities(a.model(0))),

    MIX("mix(share, m, share, m, ...)", "mixture of probabilities; the shares sum to 1", "xm*xm", FormulaFunction::mixed),

    MASK("mask(m, by, alpha)", "m among the tokens to which 'by' gives alpha times its best probability", "mmx",
            a -> masked(a.model(0), a.model(1), a.number(2, 0))),

    GATE("gate(m, other, by, p)", "m for the tokens in the top-p set of 'by', other for the rest", "mmmx",
            a -> gated(a.model(0), a.model(1), a.model(2), a.number(3, 0))),

    CUT("cut(m, n)", "m over its first n tokens, where padding of the vocabulary follows", "mx",
            a -> Logits.cut(a.model(0), a.whole(1))),

    PROXY("proxy(base, expert, anti, alpha = 1)", "proxy-tuning, arXiv:2401.08565", "mmm?x",
            a -> new ProxyTuning(a.number(3, 1)).of(a.model(0), a.model(1), a.model(2))),

    CONTRAST("contrast(expert, amateur, alpha = 0.1, temperature = 1)", "contrastive decoding, arXiv:2210.15097", "mm?xx",
            a -> new ContrastiveDecoding(a.number(2, 0.1), a.number(3, 1)).of(a.model(0), a.model(1))),

    GUIDE("guide(m, gamma = 1.5)", "classifier-free guidance, arXiv:2306.17806", "m?x",
            a -> new Guidance(a.number(1, 1.5)).of(a.model(0))),

    EFT("eft(base, tuned, untuned, beta = 1, top_p = 1)", "emulated fine-tuning, arXiv:2310.12962", "mmm?xx",
            a -> new EmulatedFineTuning(a.number(3, 1), a.number(4, 1)).of(a.model(0), a.model(1), a.model(2))),

    BETWEEN("between(base, tuned, other, untuned, share, beta = 1)", "emulated fine-tuning by share of one tuning and 1 - share of another",
            "mmmmx?x", a -> new EmulatedFineTuning(a.number(5, 1), 1).between(a.model(0), a.model(1), a.model(2), a.model(3), a.number(4, 1))),

    POSTERIOR("posterior(wanted, other, ...)", "which attribute a text has: base + 140*posterior(a, b) is Air-Decoding, arXiv:2310.14892",
            "mm*m", a -> Logits.posterior(a.models(), 0, Evidence.RECONSTRUCTED));

    /** What a function was given. */
    private record Arguments(List<Object> values) {
        LanguageModel model(int i) {
            return (LanguageModel) values.get(i);
        }

        double number(int i, double otherwise) {
            return i < values.size() ? (Double) values.get(i) : otherwise;
        }

        int whole(int i) {
            double number = number(i, 0);
            if (number != Math.rint(number) || Math.abs(number) > Integer.MAX_VALUE) {
                throw new IllegalArgumentException("The number of tokens is " + number + ", but must be whole. Write it without a point.");
            }
            return (int) number;
        }

        List<LanguageModel> models() {
            return values.stream().map(LanguageModel.class::cast).toList();
        }
    }

    private final String usage;
    private final String meaning;
    private final String required;
    private final String optional;
    private final String repeated;
    private final Function<Arguments, LanguageModel> body;

    FormulaFunction(String usage, String meaning, String kinds, Function<Arguments, LanguageModel> body) {
        this.usage = usage;
        this.meaning = meaning;
        this.required = kinds.split("[?*]")[0];
        this.optional = kinds.contains("?") ? kinds.substring(kinds.indexOf('?') + 1) : "";
        this.repeated = kinds.contains("*") ? kinds.substring(kinds.indexOf('*') + 1) : "";
        this.body = body;
    }

    private static LanguageModel masked(LanguageModel model, LanguageModel by, double alpha) {
        new MinP(alpha);
        return Logits.mask(model, by, () -> new MinP(alpha));
    }

    private static LanguageModel gated(LanguageModel inside, LanguageModel outside, LanguageModel by, double p) {
        new TopP(p);
        return Logits.gate(inside, outside, by, () -> new TopP(p));
    }

    private static LanguageModel mixed(Arguments a) {
        double[] shares = new double[a.values().size() / 2];
        LanguageModel[] models = new LanguageModel[shares.length];
        for (int i = 0; i < shares.length; i++) {
            shares[i] = a.number(2 * i, 0);
            models[i] = a.model(2 * i + 1);
        }
        return Logits.mix(models, shares);
    }

    /** How it is written: {@code mask(m, by, alpha)}. */
    public String usage() {
        return usage;
    }

    /** What it computes, in a line. */
    public String meaning() {
        return meaning;
    }

    static Optional<FormulaFunction> named(String name) {
        return Arrays.stream(values()).filter(f -> f.toString().equals(name)).findFirst();
    }

    static String names() {
        return Arrays.stream(values()).map(FormulaFunction::toString).collect(Collectors.joining(", "));
    }

    /**
     * @param values models and numbers
     * @throws IllegalArgumentException if they are not what the function takes
     */
    LanguageModel apply(List<Object> values) {
        String kinds = values.stream().map(v -> v instanceof LanguageModel ? "m" : "x").collect(Collectors.joining());
        List<String> fitting = new ArrayList<>(List.of(required));
        for (int i = 1; i <= optional.length(); i++) {
            fitting.add(required + optional.substring(0, i));
        }
        while (!repeated.isEmpty() && fitting.getLast().length() < kinds.length()) {
            fitting.add(fitting.getLast() + repeated);
        }
        if (!fitting.contains(kinds)) {
            throw new IllegalArgumentException(this + " was given (" + kinds.replace("m", "model, ").replace("x", "number, ")
                    .replaceAll(", $", "") + "), but takes " + usage + ".");
        }
        return body.apply(new Arguments(values));
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
