package dev.jotune.peft.objectives;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.models.Models;
import dev.jotune.peft.objectives.PolicyLoss.Aggregate;
import dev.jotune.peft.objectives.PreferenceLoss.Answers;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Preference and policy losses against values and gradients that torch gave in double precision. */
@Tag("golden")
class PreferenceGoldenTest {
    private static final Path FOLDER = Golden.folder("peft").resolve("preference");
    private static final double TOLERANCE = 1e-12;
    private static final JsonNode PURE = Golden.json(FOLDER.resolve("pure.json"));

    /** The inputs of one case, as parameters of the gradients that the case lists. */
    private static final class Case {
        private final JsonNode json;
        private final Map<String, Var> used = new LinkedHashMap<>();

        Case(JsonNode json) {
            this.json = json;
        }

        double option(String name) {
            JsonNode value = json.get("options").get(name);
            return value == null ? 0 : value.asDouble();
        }

        double option(String name, double otherwise) {
            return json.get("options").has(name) ? option(name) : otherwise;
        }

        Var input(String name) {
            return used.computeIfAbsent(name, n -> Var.parameter(array(PURE.get("inputs").get(n))));
        }

        Var scaled(String name, double factor) {
            return used.computeIfAbsent(name, n -> Var.parameter(Var.constant(array(PURE.get("inputs").get(n))).mul(factor).tensor()));
        }
    }

    private static Tensor array(JsonNode node) {
        List<JsonNode> rows = Golden.children(node);
        if (!rows.getFirst().isArray()) {
            return Tensor.of(Backends.reference(), DType.F64, numbers(node), rows.size());
        }
        double[] all = rows.stream().flatMapToDouble(r -> Arrays.stream(numbers(r))).toArray();
        return Tensor.of(Backends.reference(), DType.F64, all, rows.size(), all.length / rows.size());
    }

    private static double[] numbers(JsonNode node) {
        if (node.isNumber()) {
            return new double[] {node.asDouble()};
        }
        return Golden.children(node).stream().flatMapToDouble(n -> Arrays.stream(numbers(n))).toArray();
    }

    @TestFactory
    Stream<DynamicTest> everyFunction() {
        List<DynamicTest> tests = new ArrayList<>();
        PURE.get("cases").properties().forEach(e -> tests.add(DynamicTest.dynamicTest(e.getKey(), () -> check(e.getKey(), new Case(e.getValue())))));
        assertThat(tests).isNotEmpty();
        return tests.stream();
    }

    private void check(String name, Case c) {
        Var values = values(name, c);
        close(name, values.tensor().toDoubleArray(), numbers(c.json.get("values")));
        Var mean = values.mean();
        assertThat(mean.item()).isCloseTo(c.json.get("mean").asDouble(), within(scaled(c.json.get("mean").asDouble())));
        c.json.get("gradient_of_the_mean").properties().forEach(g ->
                close("gradient by " + g.getKey(), Gradients.of(mean, List.of(c.used.get(g.getKey()))).getFirst().toDoubleArray(),
                        numbers(g.getValue())));
    }

    private static double scaled(double want) {
        return TOLERANCE * Math.max(1, Math.abs(want));
    }

    private static void close(String what, double[] got, double[] want) {
        assertThat(got).as(what).hasSameSizeAs(want);
        for (int i = 0; i < want.length; i++) {
            assertThat(got[i]).as("%s, element %d", what, i).isCloseTo(want[i], within(scaled(want[i])));
        }
    }

    private Var values(String name, Case c) {
        double beta = c.option("beta");
        double smoothing = c.option("smoothing");
        return switch (c.json.get("function").asText()) {
            case "dpo" -> compared(name, c, new PreferenceLoss.Dpo(beta, smoothing));
            case "dpo_robust" -> compared(name, c, new PreferenceLoss.RobustDpo(beta, smoothing));
            case "hinge" -> compared(name, c, new PreferenceLoss.Hinge(beta));
            case "ipo" -> compared(name, c, new PreferenceLoss.Ipo(beta));
            case "kto" -> new Kto(beta, c.option("desirable", 1), c.option("undesirable", 1)).apply(
                    answers(c, "policy_w", "reference_w"), answers(c, "policy_l", "reference_l"),
                    c.input(name.equals("kto_zero_kl") ? "low_policy_kl" : "policy_kl").sub(c.input("reference_kl")));
            case "orpo" -> alone(c, "mean", new ReferenceFreeLoss.Orpo(c.option("weight")));
            case "simpo" -> alone(c, "mean", new ReferenceFreeLoss.SimPo(beta, c.option("gamma"), smoothing));
            case "cpo" -> alone(c, "policy", new ReferenceFreeLoss.Cpo(beta, c.option("weight")));
            case "ppo_clip" -> PolicyLoss.mean(PolicyLoss.clipped(c.input("new"), c.input("old"),
                    Var.constant(array(PURE.at("/extra/gae/advantages"))), c.option("low"), c.option("high")), c.input("mask"));
            case "value_clip" -> valueClip(c);
            case "grpo" -> grpo(c);
            default -> throw new AssertionError("no loss is compared with the function " + c.json.get("function"));
        };
    }

    private static Answers answers(Case c, String policy, String reference) {
        return new Answers(c.input(policy), Optional.of(c.input(reference)), c.input("nll"));
    }

    private static Var compared(String name, Case c, PreferenceLoss loss) {
        if (name.equals("dpo_equal_policies")) {
            Answers w = new Answers(c.input("policy_w"), Optional.of(c.input("policy_w").detach()), c.input("nll"));
            Answers l = new Answers(c.input("policy_l"), Optional.of(c.input("policy_l").detach()), c.input("nll"));
            return loss.apply(w, l);
        }
        if (name.equals("dpo_extreme")) {
            c.scaled("policy_w", 40);
        }
        return loss.apply(answers(c, "policy_w", "reference_w"), answers(c, "policy_l", "reference_l"));
    }

    private static Var alone(Case c, String inputs, PreferenceLoss loss) {
        assertThat(loss.usesReference()).isFalse();
        assertThat(loss.averages()).isEqualTo(inputs.equals("mean"));
        return loss.apply(new Answers(c.input(inputs + "_w"), Optional.empty(), c.input("nll")),
                new Answers(c.input(inputs + "_l"), Optional.empty(), c.input("nll")));
    }

    /**
     * The file does not hold the old values. Its gradient says at which tokens the clipped error is the larger one, and its value
     * how much larger these are together; old values that give both are put in, so what is compared is the gradient.
     */
    private static Var valueClip(Case c) {
        Var returns = Var.constant(array(PURE.at("/extra/gae/returns")));
        double[] values = c.input("values").tensor().toDoubleArray();
        double[] gradient = numbers(c.json.at("/gradient_of_the_mean/values"));
        double[] mask = c.input("mask").tensor().toDoubleArray();
        double[] r = returns.tensor().toDoubleArray();
        double clip = c.option("clip");
        double total = c.json.get("values").asDouble() * Arrays.stream(mask).sum();
        int clipped = 0;
        for (int i = 0; i < values.length; i++) {
            boolean hidden = mask[i] == 1 && gradient[i] == 0;
            clipped += hidden ? 1 : 0;
            total -= mask[i] == 0 ? 0 : 0.5 * (values[i] - r[i]) * (values[i] - r[i]);
        }
        assertThat(clipped).isPositive();
        double[] old = values.clone();
        assertThat(total).isPositive();
        for (int i = 0; i < values.length; i++) {
            if (mask[i] == 1 && gradient[i] == 0) {
                // The clipped value is further from the return than the value, by the same in squares for all.
                double error = Math.sqrt((values[i] - r[i]) * (values[i] - r[i]) + 2 * total / clipped);
                double far = r[i] + Math.copySign(error, values[i] - r[i]);
                old[i] = far + Math.copySign(clip, far - values[i]);
            }
        }
        return PolicyLoss.value(c.input("values"), Var.constant(Tensor.of(Backends.reference(), DType.F64, old, returns.shape())), returns,
                c.input("mask"), clip);
    }

    private static Var grpo(Case c) {
        double[] rewards = c.input("rewards").tensor().toDoubleArray();
        Aggregate how = Aggregate.valueOf(c.json.at("/options/aggregate").asText().toUpperCase(Locale.ROOT));
        double[] a = how == Aggregate.CONSTANT ? PolicyLoss.centred(rewards, (int) c.option("group"))
                : PolicyLoss.groupAdvantages(rewards, (int) c.option("group"), PURE.at("/extra/group_advantages/eps").asDouble());
        Var advantages = Var.constant(Tensor.of(Backends.reference(), DType.F64, a, a.length, 1));
        Var tokens = PolicyLoss.clipped(c.input("new"), c.input("old"), advantages, c.option("low"), c.option("high"))
                .addScaled(PolicyLoss.divergence(c.input("new"), c.input("reference")), c.option("beta"));
        return PolicyLoss.aggregate(tokens, c.input("mask"), how, (int) c.option("max_tokens"));
    }

    @Test
    void advantages() {
        JsonNode gae = PURE.at("/extra/gae");
        List<JsonNode> rewards = Golden.children(PURE.at("/inputs/step_rewards"));
        List<JsonNode> values = Golden.children(PURE.at("/inputs/values"));
        assertThat(rewards).isNotEmpty();
        for (int i = 0; i < rewards.size(); i++) {
            double[][] got = PolicyLoss.generalizedAdvantages(numbers(rewards.get(i)), numbers(values.get(i)), gae.get("gamma").asDouble(),
                    gae.get("lambda").asDouble());
            close("advantages of " + i, got[0], numbers(gae.get("advantages").get(i)));
            close("returns of " + i, got[1], numbers(gae.get("returns").get(i)));
        }
        JsonNode group = PURE.at("/extra/group_advantages");
        close("group advantages", PolicyLoss.groupAdvantages(numbers(PURE.at("/inputs/rewards")), group.get("group").asInt(),
                group.get("eps").asDouble()), numbers(group.get("values")));
    }

    @TestFactory
    Stream<DynamicTest> oneStepThroughAModel() {
        return Stream.of(true, false).flatMap(shared -> Stream.of(true, false).map(wide ->
                DynamicTest.dynamicTest((shared ? "shared prompt, " : "rows of their own, ") + (wide ? "F64" : "F32"),
                        () -> new DpoThroughLlama(FOLDER, Models.load(base(), wide ? Backends.reference() : Backends.cpu(),
                                wide ? DType.F64 : DType.F32).model(), wide).check(shared))));
    }

    private static Path base() {
        return Golden.folder("peft").resolve(Golden.json(FOLDER.resolve("dpo_llama.json")).get("base").asText());
    }
}
