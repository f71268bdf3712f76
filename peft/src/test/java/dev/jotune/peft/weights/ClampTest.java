package dev.jotune.peft.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.peft.AdapterFiles;
import dev.jotune.testing.Golden;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The svd kinds with a clamp. A singular vector's sign is the decomposition's choice and moves the quantile, so signs are
 * first made those of the reference.
 */
@Tag("golden")
class ClampTest {
    static Stream<Golden.Case> cases() {
        return Golden.cases("peft", "multi/weighted_").filter(c -> Golden.json(c.file("case.json")).get("options").has("svd_clamp"));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void cutsFactorsToTheQuantile(Golden.Case c) {
        JsonNode json = Golden.json(c.file("case.json"));
        List<AdapterFiles.Contents> parts = Golden.children(json.get("adapters")).stream()
                .map(a -> AdapterFiles.read(Golden.folder("peft").resolve(a.asText()))).toList();
        double[] weights = Golden.children(json.get("weights")).stream().mapToDouble(JsonNode::asDouble).toArray();
        AdapterMerge merge = new AdapterMerge(parts, weights);
        AdapterFiles.Contents whole = merge.svd(new TaskArithmetic(), 0, OptionalDouble.empty());
        double quantile = json.at("/options/svd_clamp").asDouble();
        Map<String, Golden.Array> want = Golden.arrays(c.file("expected.safetensors"));
        double tolerance = c.json().at("/tolerances/tensors").asDouble();
        whole.tensors().keySet().stream().filter(k -> k.endsWith("lora_A.weight")).forEach(k -> {
            Factor a = Factor.of(whole.tensors().get(k));
            Factor b = Factor.of(whole.tensors().get(k.replace("lora_A", "lora_B")));
            double[] wantA = want.get("merged/" + k).values();
            for (int r = 0; r < a.rows(); r++) {
                flip(a, b, r, wantA);
            }
            List<Factor> cut = Factor.clamped(a, b, quantile);
            close(k, cut.get(0).numbers(), wantA, tolerance);
            close(k + " (B)", cut.get(1).numbers(), want.get("merged/" + k.replace("lora_A", "lora_B")).values(), tolerance);
            assertThat(cut.get(1).numbers()).as("something is cut").isNotEqualTo(b.numbers());
        });
        // The public way cuts by the same rule under its own signs.
        AdapterFiles.Contents clamped = merge.svd(new TaskArithmetic(), 0, OptionalDouble.of(quantile));
        assertThat(clamped.tensors().keySet()).isEqualTo(whole.tensors().keySet());
        String up = whole.tensors().keySet().stream().filter(k -> k.endsWith("lora_B.weight")).findFirst().orElseThrow();
        assertThat(largest(clamped.tensors().get(up).toDoubleArray())).isLessThan(largest(whole.tensors().get(up).toDoubleArray()));
    }

    private static double largest(double[] x) {
        return Arrays.stream(x).map(Math::abs).max().orElseThrow();
    }

    private static void flip(Factor a, Factor b, int r, double[] like) {
        double dot = 0;
        for (int i = 0; i < a.columns(); i++) {
            dot += a.numbers()[r * a.columns() + i] * like[r * a.columns() + i];
        }
        if (dot < 0) {
            for (int i = 0; i < a.columns(); i++) {
                a.numbers()[r * a.columns() + i] *= -1;
            }
            for (int i = 0; i < b.rows(); i++) {
                b.numbers()[i * b.columns() + r] *= -1;
            }
        }
    }

    private static void close(String name, double[] got, double[] want, double tolerance) {
        assertThat(got).hasSameSizeAs(want);
        for (int i = 0; i < got.length; i++) {
            assertThat(got[i]).as("%s[%d]", name, i).isCloseTo(want[i], within(tolerance * Math.max(1, Math.abs(want[i]))));
        }
    }
}
