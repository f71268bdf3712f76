package dev.jotune.tensor.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.testing.Golden;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** The safetensors cases of the golden suite {@code formats}: what must be read, and what must be refused. */
@Tag("golden")
class SafeTensorsGoldenTest {

    @TestFactory
    Stream<DynamicTest> everyDtypeWidensToTheReferencesNumbers() {
        return checks("safetensors_dtypes", (golden, check) -> {
            SafeTensorsFile file = SafeTensorsFile.open(golden.file(check.get("file").asText()));
            Map<String, String> metadata = new HashMap<>();
            check.path("metadata").properties().forEach(e -> metadata.put(e.getKey(), e.getValue().asText()));
            assertThat(file.metadata()).isEqualTo(metadata);

            JsonNode tensors = check.get("tensors");
            assertThat(file.names()).hasSize(tensors.size());
            SafeTensorsFile expected = SafeTensorsFile.open(golden.file("expected.safetensors"));
            for (Map.Entry<String, JsonNode> tensor : tensors.properties()) {
                RawTensor read = file.raw(tensor.getKey());
                assertThat(read.type().name()).isEqualTo(tensor.getValue().get("dtype").asText());
                assertThat(read.shape()).isEqualTo(Golden.longs(tensor.getValue().get("shape")));
                RawTensor wide = expected.raw(tensor.getKey());
                if (wide.type() == StoredType.I64) {
                    assertThat(read.toLongs()).as(tensor.getKey()).isEqualTo(wide.toLongs());
                }
                // Bitwise, so that negative zero counts; NaN equals NaN.
                assertThat(canonicalBits(read.toDoubles())).as(tensor.getKey())
                        .isEqualTo(canonicalBits(wide.toDoubles()));
            }
        });
    }

    @TestFactory
    Stream<DynamicTest> unusualButLegalFilesAreRead() {
        return checks("safetensors_layouts", (golden, check) -> {
            SafeTensorsFile file = SafeTensorsFile.open(golden.file(check.get("file").asText()));
            long[] ends = file.header().entries().values().stream().mapToLong(SafeTensorsHeader.Entry::end).toArray();
            assertThat(ends).hasSameSizeAs(file.names());
            for (String name : file.names()) {
                checkCommonTensor(name, file.raw(name));
            }
        });
    }

    @TestFactory
    Stream<DynamicTest> malformedFilesAreRefusedByName() {
        return checks("safetensors_malformed", (golden, check) -> {
            Path path = golden.file(check.get("file").asText());
            switch (check.get("expect").asText()) {
                case "refuse" -> assertThatThrownBy(() -> SafeTensorsFile.open(path))
                        .isInstanceOf(FormatException.class)
                        .hasMessageContaining(path.toString())
                        .hasMessageMatching("(?s).+: .+\\. [A-Z].+\\.");
                case "either" -> {
                    try {
                        SafeTensorsFile file = SafeTensorsFile.open(path);
                        file.rawTensors().forEach(SafeTensorsGoldenTest::checkCommonTensor);
                    } catch (FormatException e) {
                        assertThat(e).hasMessageContaining(path.toString());
                    }
                }
                default -> throw new AssertionError("Unknown expectation in " + check);
            }
        });
    }

    /** In these cases a is 0, 1, ..., b is 7, -8, 9, c and u are constant, and BOOL counts any byte but 0 as 1. */
    static void checkCommonTensor(String name, RawTensor tensor) {
        double[] values = tensor.toDoubles();
        assertThat(values).hasSize((int) tensor.elements());
        if (tensor.type() == StoredType.F32 && values.length == 6) {
            assertThat(values).as(name).containsExactly(0, 1, 2, 3, 4, 5);
        } else if (tensor.type() == StoredType.I16) {
            assertThat(values).as(name).containsExactly(7, -8, 9);
        } else if (tensor.type() == StoredType.U8) {
            assertThat(values).as(name).containsOnly(5);
        } else if (tensor.type() == StoredType.BOOL) {
            assertThat(values).as(name).containsAnyOf(0, 1).doesNotContain(2, 255);
        }
    }

    static long[] canonicalBits(double[] values) {
        long[] bits = new long[values.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = Double.doubleToLongBits(values[i]);
        }
        return bits;
    }

    interface Check {
        void run(Golden.Case golden, JsonNode check) throws Exception;
    }

    static Stream<DynamicTest> checks(String caseId, Check body) {
        List<Golden.Case> cases = Golden.cases("formats", caseId).toList();
        return cases.stream().flatMap(golden -> golden.checks().stream()
                .map(check -> dynamicTest(golden + "/" + check.get("name").asText(), () -> body.run(golden, check))));
    }
}
