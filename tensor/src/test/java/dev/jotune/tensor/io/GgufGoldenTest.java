package dev.jotune.tensor.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.BlockMatrix;
import dev.jotune.tensor.quant.Dequantize;
import dev.jotune.testing.Golden;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** The GGUF cases of the golden suite {@code formats}: what must be read, what quantised, and what refused. */
@Tag("golden")
class GgufGoldenTest {
    @TestFactory
    Stream<DynamicTest> everyTypeIsReadAndMadeAsTheReferenceDoes() {
        return SafeTensorsGoldenTest.checks("gguf_types", (golden, check) -> {
            assertThat(check.get("expect").asText()).isEqualTo("read");
            GgufFile file = GgufFile.open(golden.file(check.get("file").asText()));
            check.get("metadata").properties().forEach(e -> checkValue(e.getKey(), e.getValue(), file));

            JsonNode tensors = check.get("tensors");
            assertThat(file.tensors()).hasSize(tensors.size());
            SafeTensorsFile expected = SafeTensorsFile.open(golden.file("expected.safetensors"));
            assertThat(expected.names()).containsExactlyInAnyOrderElementsOf(file.tensors().keySet());
            for (Map.Entry<String, JsonNode> said : tensors.properties()) {
                GgufTensor tensor = file.tensor(said.getKey());
                assertThat(tensor.type().name()).isEqualTo(said.getValue().get("type").asText());
                assertThat(tensor.shape()).isEqualTo(Golden.longs(said.getValue().get("shape")));
                checkNumbers(tensor, expected.raw(said.getKey()), check.get("rtol").asDouble());
                if (said.getValue().has("source")) {
                    checkMade(tensor, Golden.array(golden.file("source.safetensors"), said.getValue().get("source").asText()));
                }
            }
        });
    }

    private static void checkValue(String key, JsonNode said, GgufFile file) {
        GgufValue value = file.metadata().get(key);
        if (value == null) {
            // The writer that made the files leaves out texts that are empty.
            assertThat(said.get("value").asText("absent")).as(key).isEmpty();
            return;
        }
        assertThat(value.kind().name()).isEqualToIgnoringCase(said.get("type").asText());
        JsonNode expected = said.get("value");
        if (value instanceof GgufValue.Array array) {
            List<GgufValue> elements = array.elements();
            assertThat(elements).hasSize(expected.size());
            for (int i = 0; i < elements.size(); i++) {
                checkScalar(key, expected.get(i), elements.get(i));
            }
        } else {
            checkScalar(key, expected, value);
        }
    }

    private static void checkScalar(String key, JsonNode expected, GgufValue value) {
        if (value instanceof GgufValue.Real real) {
            assertThat(real.value()).as(key).isEqualTo(expected.asDouble());
        } else {
            assertThat(value.toString()).as(key).isEqualTo(expected.asText());
        }
    }

    /** Widened on every backend, in both types. */
    private static void checkNumbers(GgufTensor tensor, RawTensor expected, double rtol) {
        if (tensor.type().plain().isPresent()) {
            RawTensor raw = tensor.raw();
            if (raw.type().isFloating()) {
                assertThat(raw.toFloats()).as(tensor.toString()).isEqualTo(expected.toFloats());
            } else {
                assertThat(raw.toLongs()).isEqualTo(expected.toLongs());
            }
            return;
        }
        double[] want = expected.toDoubles();
        Backends.all().forEach(backend -> List.of(DType.F32, DType.F64).forEach(type -> {
            try (Scope scope = Scope.open()) {
                double[] got = Dequantize.all(tensor.blocks(backend), backend, type).toDoubleArray();
                assertThat(got).hasSameSizeAs(want);
                for (int i = 0; i < want.length; i++) {
                    assertThat(got[i]).as("%s[%d]", tensor, i).isCloseTo(want[i], within(rtol * Math.abs(want[i])));
                }
            }
        }));
    }

    /** The same bytes from the float source. */
    private static void checkMade(GgufTensor tensor, Golden.Array source) {
        try (Scope scope = Scope.open()) {
            Tensor x = Tensor.of(Backends.reference(), source.floats(), source.shape());
            byte[] made = tensor.type().blocks().isPresent()
                    ? RawTensor.of(BlockMatrix.quantize(tensor.type().blocks().get(), x).stored()).data().toArray(ValueLayout.JAVA_BYTE)
                    : RawTensor.of(x.to(tensor.type().plain().orElseThrow().dtype().orElseThrow())).data()
                            .toArray(ValueLayout.JAVA_BYTE);
            assertThat(made).as(tensor.toString()).isEqualTo(tensor.data().toArray(ValueLayout.JAVA_BYTE));
        }
    }

    @TestFactory
    Stream<DynamicTest> legalVariationsAreRead() {
        return SafeTensorsGoldenTest.checks("gguf_layouts", GgufGoldenTest::readOrRefuse);
    }

    @TestFactory
    Stream<DynamicTest> malformedFilesAreRefusedByName() {
        return SafeTensorsGoldenTest.checks("gguf_malformed", GgufGoldenTest::readOrRefuse);
    }

    private static void readOrRefuse(Golden.Case golden, JsonNode check) throws Exception {
        Path path = golden.file(check.get("file").asText());
        switch (check.get("expect").asText()) {
            case "read" -> read(golden, path);
            case "refuse" -> assertThatThrownBy(() -> GgufFile.open(path)).isInstanceOf(FormatException.class)
                    .hasMessageContaining(path.toString()).hasMessageMatching("(?s).+: .+\\. [A-Z].+\\.");
            case "either" -> {
                try {
                    read(golden, path);
                } catch (FormatException e) {
                    assertThat(e).hasMessageContaining(path.toString());
                }
            }
            default -> throw new AssertionError("Unknown expectation in " + check);
        }
    }

    /** What the manifest says of the case's tensors must be so, axes of size 1 aside. */
    private static void read(Golden.Case golden, Path path) throws Exception {
        GgufFile file = GgufFile.open(path);
        Map<String, RawTensor> tensors = new LinkedHashMap<>();
        file.tensors().forEach((name, t) -> tensors.put(name, new RawTensor(t.raw().type(),
                java.util.Arrays.stream(t.shape()).dropWhile(n -> n == 1).toArray(), t.data())));
        boolean saysMore = golden.json().get("purpose").asText().contains(" = ");
        if (saysMore) {
            assertThat(tensors).isNotEmpty();
            SafeTensorsGoldenTest.checkSaid(golden, tensors);
        }
        file.metadata().values().forEach(GgufGoldenTest::readAll);
    }

    private static void readAll(GgufValue value) {
        if (value instanceof GgufValue.Array array) {
            List<GgufValue> elements = array.elements();
            assertThat(elements).hasSize(Math.toIntExact(array.size())).allMatch(e -> e.kind() == array.elementKind());
            elements.forEach(GgufGoldenTest::readAll);
        }
    }
}
