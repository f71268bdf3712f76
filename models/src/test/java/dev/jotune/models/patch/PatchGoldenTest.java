package dev.jotune.models.patch;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** ViT, CLIP and the Audio Spectrogram Transformer against transformers: everything that the manifest lists. */
@Tag("golden")
class PatchGoldenTest {
    @TestFactory
    Stream<DynamicTest> everyCheckOnBothBackends() {
        List<DynamicTest> tests = new ArrayList<>();
        Stream.of("vit", "clip", "ast").flatMap(p -> Golden.cases("models", p)).forEach(c -> {
            for (JsonNode check : c.checks()) {
                // Features have a test beside their code.
                if (check.get("name").asText().startsWith("features")) {
                    continue;
                }
                for (boolean wide : new boolean[] {true, false}) {
                    tests.add(DynamicTest.dynamicTest(c.id() + " " + check.get("name").asText() + (wide ? " F64" : " F32"),
                            () -> new PatchCheck(c, check, wide).run()));
                }
            }
        });
        assertThat(tests).isNotEmpty();
        return tests.stream();
    }
}
