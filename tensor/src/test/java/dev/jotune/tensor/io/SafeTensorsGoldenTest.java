package dev.jotune.tensor.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.testing.Golden;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** The safetensors cases of the golden suite {@code formats}: what must be read, and what must be refused. */
@Tag("golden")
class SafeTensorsGoldenTest {

    private static final Pattern SAID =
            Pattern.compile("\\b([A-Z]+[0-9]+) (\\[[0-9, ]*]) = (-?[0-9.]+(?:, -?[0-9.]+)*)");

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
            checkSaid(golden, file.rawTensors());
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
                        checkSaid(golden, file.rawTensors());
                    } catch (FormatException e) {
                        assertThat(e).hasMessageContaining(path.toString());
                    }
                }
                default -> throw new AssertionError("Unknown expectation in " + check);
            }
        });
    }

    /**
     * The manifest says in words what such files hold, as in {@code a F32 [2, 3] = 0..5 and b I16 [3] = 7, -8, 9}.
     * Every tensor must hold what is said of its type and shape, whatever its name; BOOL counts any byte but 0 as 1.
     */
    static void checkSaid(Golden.Case golden, Map<String, RawTensor> tensors) {
        StringBuilder prose = new StringBuilder(golden.json().path("purpose").asText());
        golden.checks().forEach(check -> prose.append("; ").append(check.path("how").asText()));
        Map<String, double[]> said = new HashMap<>();
        for (Matcher m = SAID.matcher(prose); m.find();) {
            said.put(m.group(1) + m.group(2).replace(" ", ""), numbers(m.group(3)));
        }
        tensors.forEach((name, tensor) -> {
            double[] values = tensor.toDoubles();
            double[] expected = said.get(tensor.type() + Arrays.toString(tensor.shape()).replace(" ", ""));
            if (tensor.type() == StoredType.BOOL) {
                assertThat(Arrays.stream(values).distinct().toArray()).as(name).containsOnly(0, 1);
            } else if (values.length > 0) {
                assertThat(expected).as("what the manifest says of %s %s", name, tensor).isNotNull();
                for (int i = 0; i < values.length; i++) {
                    assertThat(values[i]).as(name).isEqualTo(expected[Math.min(i, expected.length - 1)]);
                }
            }
        });
    }

    /** {@code 0..5} is a range, otherwise numbers are listed; one number alone fills the tensor. */
    private static double[] numbers(String text) {
        String[] range = text.split("\\.\\.");
        if (range.length == 2) {
            return IntStream.rangeClosed(Integer.parseInt(range[0]), Integer.parseInt(range[1]))
                    .asDoubleStream().toArray();
        }
        return Arrays.stream(text.split(", ")).mapToDouble(Double::parseDouble).toArray();
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
