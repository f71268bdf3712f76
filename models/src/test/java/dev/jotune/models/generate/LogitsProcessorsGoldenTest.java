package dev.jotune.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.testing.Golden;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** What Hugging Face's processors make of given logits, alone and in generate's order. */
@Tag("golden")
class LogitsProcessorsGoldenTest {

    @TestFactory
    Stream<DynamicTest> processorsGiveTheReferencesLogits() {
        return Golden.cases("models", "logits_processors").flatMap(golden -> golden.checks().stream()
                .filter(check -> !check.path("expected").isEmpty())
                .map(check -> dynamicTest(golden + "/" + check.get("name").asText(), () -> run(golden, check))));
    }

    private static void run(Golden.Case golden, JsonNode check) {
        float[][] logits = floats(golden, check.get("inputs").get("logits"));
        assertThat(check.get("expected").properties()).extracting(Map.Entry::getKey).containsExactly("logits");
        JsonNode expected = check.get("expected").get("logits");
        double tolerance = expected.get("atol_float32").asDouble();
        float[][] wanted = floats(golden, expected);
        float[][] got = check.get("settings").has("guidance_scale")
                ? guided(logits, wanted.length, check.get("settings").get("guidance_scale").asDouble())
                : processed(golden, check, logits);
        assertThat(got).hasDimensions(wanted.length, wanted[0].length);
        for (int row = 0; row < wanted.length; row++) {
            for (int i = 0; i < wanted[row].length; i++) {
                boolean same = Float.isInfinite(wanted[row][i]) ? got[row][i] == wanted[row][i]
                        : Math.abs(got[row][i] - wanted[row][i]) <= tolerance;
                assertThat(same).as("row %d token %d: %s, expected %s", row, i, got[row][i], wanted[row][i]).isTrue();
            }
        }
    }

    private static float[][] processed(Golden.Case golden, JsonNode check, float[][] logits) {
        JsonNode inputs = check.get("inputs");
        int[][] history = ints(golden, inputs.path("input_ids"), logits.length);
        int[][] source = ints(golden, inputs.path("encoder_input_ids"), logits.length);
        float[][] out = new float[logits.length][];
        // One chain for all rows where the source allows it: nothing of a row may leak into the next.
        LogitsProcessor shared = GoldenSettings.chain(check.get("settings"), source[0]);
        for (int row = 0; row < out.length; row++) {
            out[row] = logits[row].clone();
            LogitsProcessor processor = source[row].length == 0 ? shared
                    : GoldenSettings.chain(check.get("settings"), source[row]);
            int[] roomy = Arrays.copyOf(history[row], history[row].length + 3);
            Arrays.fill(roomy, history[row].length, roomy.length, -1);
            processor.apply(roomy, history[row].length, out[row]);
        }
        return out;
    }

    /** Rows are used as far as the expected batch has them: first the conditional ones, then as many without. */
    private static float[][] guided(float[][] logits, int batch, double scale) {
        return IntStream.range(0, batch).mapToObj(row -> {
            LanguageModel conditional = TableModel.constant(logits[row]);
            LanguageModel unconditional = TableModel.constant(logits[batch + row]);
            float[] out = new float[logits[row].length];
            try (LanguageModel.Session session =
                         unconditional.plus(scale, conditional.minus(unconditional)).open()) {
                session.feed(0);
                session.logits(out);
            }
            return out;
        }).toArray(float[][]::new);
    }

    private static float[][] floats(Golden.Case golden, JsonNode tensor) {
        Golden.Array all = Golden.array(golden.file(file(golden, tensor)), tensor.get("tensor").asText());
        int columns = (int) all.shape()[1];
        return IntStream.range(0, (int) all.shape()[0])
                .mapToObj(row -> Arrays.copyOfRange(all.floats(), row * columns, (row + 1) * columns))
                .toArray(float[][]::new);
    }

    private static int[][] ints(Golden.Case golden, JsonNode tensor, int rows) {
        if (tensor.isMissingNode()) {
            return new int[rows][0];
        }
        Golden.LongArray all = Golden.longArray(golden.file(file(golden, tensor)), tensor.get("tensor").asText());
        int columns = (int) all.shape()[1];
        return IntStream.range(0, rows)
                .mapToObj(row -> Arrays.copyOfRange(all.ints(), row * columns, (row + 1) * columns))
                .toArray(int[][]::new);
    }

    private static String file(Golden.Case golden, JsonNode tensor) {
        String name = tensor.get("tensor").asText();
        return Golden.open(golden.file("inputs.safetensors")).names().contains(name)
                ? "inputs.safetensors" : "expected.safetensors";
    }
}
