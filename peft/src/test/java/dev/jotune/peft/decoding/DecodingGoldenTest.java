package dev.jotune.peft.decoding;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.models.CausalLm;
import dev.jotune.models.Models;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.Generation;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.Logits;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.generate.SpeculativeDecoding;
import dev.jotune.models.generate.TextRequest;
import dev.jotune.peft.Adapters;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.testing.Golden;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Proxy-tuning, contrastive decoding, emulated fine-tuning and guidance as plain formulas in double precision give them. */
@Tag("golden")
class DecodingGoldenTest {
    private static final Golden.Case SUITE = Golden.cases("peft", "decoding").findFirst().orElseThrow();
    private static final JsonNode JSON = Golden.json(SUITE.file("case.json"));
    private static final int[][] PROMPTS = Golden.children(JSON.get("prompts")).stream()
            .map(p -> Golden.children(p).stream().mapToInt(JsonNode::asInt).toArray()).toArray(int[][]::new);

    /** Three models of one vocabulary. */
    private record Family(LanguageModel base, LanguageModel expert, LanguageModel anti) {
        /** The combination of a case. In contrastive decoding the tuned model is the expert and the base the amateur. */
        LanguageModel of(String name) {
            JsonNode p = JSON.at("/cases").get(name).get("parameters");
            return switch (name.replaceAll("_[0-9].*", "")) {
                case "proxy" -> new ProxyTuning(p.get("alpha").asDouble()).of(base, expert, anti);
                case "contrastive" -> new ContrastiveDecoding(p.get("plausible").asDouble(), p.get("amateur_temperature").asDouble())
                        .of(expert, base);
                case "contrastive_logits" -> new ContrastiveLogits(p.get("plausible").asDouble(), p.get("beta").asDouble())
                        .of(expert, base);
                case "eft" -> new EmulatedFineTuning(p.get("beta").asDouble(), 1).of(base, expert, anti);
                case "guidance" -> new Guidance(p.get("gamma").asDouble()).of(base);
                default -> throw new AssertionError("no test knows the method of the case " + name + ". Add it.");
            };
        }
    }

    private static List<String> cases() {
        List<String> names = new ArrayList<>();
        JSON.get("cases").fieldNames().forEachRemaining(names::add);
        assertThat(names).isNotEmpty();
        return names;
    }

    private static List<String> formulas() {
        return cases().stream().filter(name -> JSON.at("/cases").get(name).has("parameters")).toList();
    }

    private static double[][] expected(String name) {
        Golden.Array a = Golden.array(SUITE.file("expected.safetensors"), name);
        int width = (int) a.shape()[1];
        double[][] out = new double[(int) a.shape()[0]][];
        Arrays.setAll(out, row -> Arrays.copyOfRange(a.values(), row * width, (row + 1) * width));
        return out;
    }

    private static double tolerance(String of) {
        return SUITE.json().get("tolerances").get(of).asDouble();
    }

    @TestFactory
    Stream<DynamicTest> everyFormulaFromTheGivenLogits() {
        return formulas().stream().map(name -> DynamicTest.dynamicTest(name, () -> {
            double[][] base = expected("logits/base");
            Family f = family(base[0].length, base[0].length);
            LanguageModel combination = f.of(name);
            double[][] scores = expected(name + "/scores");
            double[][] probabilities = expected(name + "/probabilities");
            for (int row = 0; row < base.length; row++) {
                double[] got = evaluate(combination, f, "logits/", row);
                assertEqual(name, got, scores[row], tolerance("from the given logits"));
                assertEqual(name, Table.softmax(got), probabilities[row], tolerance("from the given logits"));
            }
        }));
    }

    @Test
    void expertsOfAPaddedVocabularyAreCutToTheBases() {
        assertThat(JSON.at("/cases").get("proxy_padded_vocabulary").get("purpose").asText()).contains("cut first");
        double[][] want = expected("proxy_1.0/scores");
        Family f = family(want[0].length, expected("padded_logits/expert")[0].length);
        for (int row = 0; row < want.length; row++) {
            assertEqual("padded", evaluate(f.of("proxy_1.0"), f, "padded_logits/", row), want[row], tolerance("from the given logits"));
        }
    }

    /** Stands for models whose logits were recorded. */
    private static Family family(int base, int experts) {
        return new Family(Table.random(base, 1, 1), Table.random(experts, 2, 1), Table.random(experts, 3, 1));
    }

    private static double[] evaluate(LanguageModel combination, Family f, String experts, int row) {
        return Logits.evaluate(combination, model -> model == f.base ? expected("logits/base")[row]
                : model == f.expert ? expected(experts + "expert")[row] : model == f.anti ? expected(experts + "anti")[row]
                : expected("logits/base_last_token_only")[row]);
    }

    private static void assertEqual(String name, double[] got, double[] want, double tolerance) {
        assertThat(got).as(name).hasSameSizeAs(want);
        for (int i = 0; i < want.length; i++) {
            if (Double.isInfinite(want[i])) {
                assertThat(got[i]).as("%s[%d]", name, i).isEqualTo(want[i]);
            } else {
                assertThat(got[i]).as("%s[%d]", name, i).isCloseTo(want[i], within(tolerance * Math.max(1, Math.abs(want[i]))));
            }
        }
    }

    @TestFactory
    Stream<DynamicTest> everyFormulaFromTheModels() {
        return Stream.of(true, false).flatMap(wide -> {
            Family f = loaded(wide);
            return formulas().stream().map(name -> DynamicTest.dynamicTest(name + (wide ? " F64" : " F32"),
                    () -> fromModels(name, f, !wide)));
        });
    }

    private static void fromModels(String name, Family f, boolean drafted) {
        LanguageModel combination = f.of(name);
        double tolerance = tolerance("from the models in float32");
        for (int row = 0; row < PROMPTS.length; row++) {
            float[] got = Table.after(combination, PROMPTS[row]);
            double[] wide = new double[got.length];
            Arrays.setAll(wide, i -> got[i]);
            assertEqual(name, wide, expected(name + "/scores")[row], tolerance);
            assertEqual(name, Table.softmax(wide), expected(name + "/probabilities")[row], tolerance);
        }
        JsonNode greedy = JSON.at("/cases").get(name).get("greedy");
        assertThat(greedy.get("smallest_margin").asDouble()).as("a margin that rounding cannot cross").isGreaterThan(2 * tolerance);
        int[][] want = Golden.children(greedy.get("tokens")).stream()
                .map(row -> Golden.children(row).stream().mapToInt(JsonNode::asInt).toArray()).toArray(int[][]::new);
        Generator generator = new Generator(combination, SamplingOptions.greedy(JSON.get("steps").asInt()));
        List<TextRequest> requests = Arrays.stream(PROMPTS).map(TextRequest::of).toList();
        assertThat(generator.generate(requests).stream().map(Generation::tokens)).as("in a batch").containsExactly(want);
        if (!drafted) {
            return;
        }
        assertThat(generator.with(new SpeculativeDecoding(f.expert, 3)).generate(requests).stream().map(Generation::tokens))
                .as("with a draft").containsExactly(want);
    }

    /** One Llama, bare and under two adapters. */
    private static Family loaded(boolean wide) {
        JsonNode models = JSON.get("models");
        Path root = Golden.folder("peft");
        CausalLm llama = Models.load(root.resolve(models.get("base").asText()), wide ? Backends.reference() : Backends.cpu(),
                wide ? DType.F64 : DType.F32).model();
        for (String name : List.of("expert", "anti")) {
            Adapters.load(llama, name, root.resolve(models.get(name).asText()));
        }
        return new Family(new CausalLanguageModel(llama, llama.seams().rows(List.of(""))),
                new CausalLanguageModel(llama, llama.seams().rows(List.of("expert"))),
                new CausalLanguageModel(llama, llama.seams().rows(List.of("anti"))));
    }

    @Test
    void nothingRecordedGoesUncompared() {
        Set<String> compared = new TreeSet<>(Set.of("logits/base", "logits/expert", "logits/anti", "logits/base_last_token_only",
                "padded_logits/expert", "padded_logits/anti"));
        formulas().forEach(name -> compared.addAll(Set.of(name + "/scores", name + "/probabilities")));
        assertThat(Golden.open(SUITE.file("expected.safetensors")).names()).containsExactlyInAnyOrderElementsOf(compared);
        assertThat(cases()).filteredOn(name -> !formulas().contains(name)).containsExactly("proxy_padded_vocabulary");
    }
}
