package dev.jotune.models.audio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Log-mel features against transformers: Whisper's and the Audio Spectrogram Transformer's. */
@Tag("golden")
class AudioGoldenTest {
    @TestFactory
    Stream<DynamicTest> everyModelWithFeatures() {
        List<DynamicTest> tests = Stream.of("whisper", "ast").flatMap(p -> Golden.cases("models", p)).flatMap(c -> c.checks().stream()
                .filter(check -> check.get("name").asText().startsWith("features"))
                .map(check -> DynamicTest.dynamicTest(c.id() + " " + check.get("name").asText(), () -> compare(c, check)))).toList();
        assertThat(tests).hasSizeGreaterThanOrEqualTo(2);
        return tests.stream();
    }

    private static void compare(Golden.Case golden, JsonNode check) {
        AudioFeatures audio = AudioFeatures.read(golden.folder());
        List<float[]> waveforms = new ArrayList<>();
        for (int i = 0; check.get("inputs").has("waveform." + i); i++) {
            waveforms.add(Golden.array(golden.file("inputs.safetensors"),
                    check.at("/inputs/waveform." + i + "/tensor").asText()).floats());
        }
        assertThat(check.get("inputs")).hasSize(waveforms.size());
        assertThat(check.get("expected")).isNotEmpty();
        for (Map.Entry<String, JsonNode> e : check.get("expected").properties()) {
            Golden.Array want = Golden.array(golden.file("expected.safetensors"), e.getValue().get("tensor").asText());
            switch (e.getKey()) {
                case "mel_filters" -> {
                    double[][] w = switch (audio) {
                        case LogMelSpectrogram whisper -> whisper.filters().weights();
                        case KaldiFilterBank kaldi -> kaldi.filters().weights();
                    };
                    assertThat(new long[] {w.length, w[0].length}).isEqualTo(want.shape());
                    assertThat(Arrays.stream(w).flatMapToDouble(Arrays::stream).toArray()).containsExactly(want.values(),
                            within(e.getValue().get("atol_float64").asDouble()));
                }
                case "input_features", "input_values" -> {
                    close(e, audio.features(Backends.reference(), DType.F64, waveforms), want, "atol_float64");
                    close(e, audio.features(Backends.cpu(), DType.F32, waveforms), want, "atol_float32");
                }
                default -> throw new AssertionError("nothing here computes " + e.getKey());
            }
        }
    }

    private static void close(Map.Entry<String, JsonNode> e, Tensor got, Golden.Array want, String atol) {
        assertThat(got.shape()).as(e.getKey()).isEqualTo(want.shape());
        assertThat(got.toDoubleArray()).as(e.getKey()).containsExactly(want.values(), within(e.getValue().get(atol).asDouble()));
    }
}
