package dev.jotune.models.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Preprocessing against transformers with Pillow: bytes exactly, pixel values within the tolerance. */
@Tag("golden")
class ImageGoldenTest {
    @TestFactory
    Stream<DynamicTest> everyPicture() {
        return Golden.cases("models", "image_preprocessing").flatMap(c -> c.checks().stream().map(check ->
                DynamicTest.dynamicTest(check.get("name").asText(), () -> compare(c, check))));
    }

    private static void compare(Golden.Case golden, JsonNode check) {
        Golden.LongArray stored = Golden.longArray(golden.file("inputs.safetensors"), check.at("/inputs/image/tensor").asText());
        RgbImage image = RgbImage.read(golden.file(check.get("name").asText() + ".png"));
        assertThat(new long[] {image.height(), image.width(), 3}).isEqualTo(stored.shape());
        assertThat(unsigned(image.pixels())).isEqualTo(stored.values());
        assertThat(check.get("expected")).isNotEmpty();
        for (Map.Entry<String, JsonNode> e : check.get("expected").properties()) {
            int dot = e.getKey().indexOf('.');
            ImagePreprocessor p = ImagePreprocessor.read(golden.file(e.getKey().substring(0, dot)));
            switch (e.getKey().substring(dot + 1)) {
                case "resized" -> {
                    Golden.LongArray want = Golden.longArray(golden.file("expected.safetensors"), e.getValue().get("tensor").asText());
                    RgbImage got = p.resized(image);
                    assertThat(new long[] {3, got.height(), got.width()}).isEqualTo(want.shape());
                    assertThat(unsigned(got.planes())).as(e.getKey()).isEqualTo(want.values());
                }
                case "pixel_values" -> {
                    Golden.Array want = Golden.array(golden.file("expected.safetensors"), e.getValue().get("tensor").asText());
                    close(e, p.pixelValues(Backends.reference(), DType.F64, List.of(image)), want, "atol_float64");
                    close(e, p.pixelValues(Backends.cpu(), DType.F32, List.of(image)), want, "atol_float32");
                }
                default -> throw new AssertionError("nothing here computes " + e.getKey());
            }
        }
    }

    private static void close(Map.Entry<String, JsonNode> e, Tensor got, Golden.Array want, String atol) {
        assertThat(got.select(0, 0).shape()).as(e.getKey()).isEqualTo(want.shape());
        assertThat(got.toDoubleArray()).as(e.getKey()).containsExactly(want.values(), within(e.getValue().get(atol).asDouble()));
    }

    private static long[] unsigned(byte[] bytes) {
        long[] out = new long[bytes.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = bytes[i] & 0xff;
        }
        return out;
    }
}
