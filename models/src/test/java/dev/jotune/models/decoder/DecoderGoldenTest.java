package dev.jotune.models.decoder;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.models.Config;
import dev.jotune.testing.Golden;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/**
 * Decoders against transformers: logits, hidden states, attention, losses, gradients, routers, greedy decoding, given
 * prefixes; everything that the manifest lists for them but beam search, which is a matter of generation.
 */
@Tag("golden")
class DecoderGoldenTest {
    private static List<Golden.Case> cases() {
        List<Golden.Case> found = Golden.cases("models").filter(c -> isDecoder(c.json().path("model_type").asText())).toList();
        assertThat(found).isNotEmpty();
        return found;
    }

    private static boolean isDecoder(String modelType) {
        return Families.names().contains(modelType) || modelType.equals("gpt2");
    }

    @TestFactory
    Stream<DynamicTest> everyCheckOnBothBackends() {
        List<DynamicTest> tests = new ArrayList<>();
        for (Golden.Case c : cases()) {
            for (JsonNode check : c.checks()) {
                String name = check.get("name").asText();
                if (!name.startsWith("beam")) {
                    tests.add(test(c, c.folder(), check, name + " F64", true));
                    tests.add(test(c, c.folder(), check, name + " F32", false));
                }
            }
        }
        return tests.stream();
    }

    private static DynamicTest test(Golden.Case c, Path model, JsonNode check, String name, boolean wide) {
        return DynamicTest.dynamicTest(c.id() + " " + name, () -> new DecoderCheck(c, model, check, wide).run());
    }

    /** The same model in other words: a configuration of transformers 4, or weights as they were published. */
    @TestFactory
    Stream<DynamicTest> otherFormsOfTheSameModel() {
        List<DynamicTest> tests = new ArrayList<>();
        for (Golden.Case c : cases()) {
            c.json().path("also").fieldNames().forEachRemaining(also -> {
                if (also.endsWith("config.json")) {
                    tests.add(DynamicTest.dynamicTest(c.id() + " " + also, () -> assertThat(Families.read(Config.read(c.file(also))))
                            .isEqualTo(Families.read(Config.read(c.file("config.json"))))));
                } else {
                    c.checks().stream().filter(k -> !k.get("name").asText().startsWith("beam")).forEach(k ->
                            tests.add(test(c, c.file(also), k, also + " " + k.get("name").asText(), true)));
                }
            });
        }
        assertThat(tests).isNotEmpty();
        return tests.stream();
    }
}
