package dev.jotune.models.t5;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Buckets of distances against transformers, and when the bias is a constant. */
class RelativePositionsTest {
    @Tag("golden")
    @TestFactory
    Stream<DynamicTest> bucketsAreThoseOfTheOriginal() {
        List<DynamicTest> tests = new ArrayList<>();
        Golden.cases("models", "t5").forEach(c -> {
            for (JsonNode check : c.checks()) {
                if (check.at("/settings").has("num_buckets")) {
                    tests.add(DynamicTest.dynamicTest(c.id() + " " + check.get("name").asText(), () -> buckets(c, check)));
                }
            }
        });
        assertThat(tests).isNotEmpty();
        return tests.stream();
    }

    private static void buckets(Golden.Case c, JsonNode check) {
        long[] distances = Golden.longArray(c.file("inputs.safetensors"), check.at("/inputs/distance/tensor").asText()).values();
        assertThat(check.get("expected").size()).isPositive();
        check.get("expected").properties().forEach(e -> {
            assertThat(e.getKey()).isIn("encoder", "decoder");
            RelativePositions r = relative(check.at("/settings/num_buckets").asInt(), e.getKey().equals("encoder"),
                    check.at("/settings/max_distance").asInt(), false);
            long[] want = Golden.longArray(c.file("expected.safetensors"), e.getValue().get("tensor").asText()).values();
            for (int i = 0; i < distances.length; i++) {
                assertThat(r.bucket(distances[i])).as("%s, distance %d", e.getKey(), distances[i]).isEqualTo((int) want[i]);
            }
        });
    }

    @Test
    void theBiasOfAFrozenTableIsADenseConstantThatTheKernelTakes() {
        Var bias = relative(8, true, 20, false).bias(3, 5, 2, 1, Pass.inference(List.of()));
        assertThat(bias.requiresGrad()).isFalse();
        assertThat(bias.shape()).containsExactly(1, 2, 3, 5);
        assertThat(bias.tensor().strides()).containsExactly(30, 15, 5, 1);
        assertThat(relative(8, true, 20, true).bias(3, 5, 2, 1, Pass.inference(List.of())).requiresGrad()).isTrue();
    }

    @Test
    void farDistancesShareTheLastBucket() {
        RelativePositions decoder = relative(32, false, 128, false);
        assertThat(decoder.bucket(-127)).isEqualTo(31);
        assertThat(decoder.bucket(-1_000_000)).isEqualTo(31);
        assertThat(decoder.bucket(5)).as("what lies behind is not seen").isZero();
        RelativePositions encoder = relative(32, true, 128, false);
        assertThat(encoder.bucket(1_000_000)).isEqualTo(31);
        assertThat(encoder.bucket(-1_000_000)).isEqualTo(15);
    }

    /** A table of two heads whose numbers are all different. */
    private static RelativePositions relative(int buckets, boolean bidirectional, int farthest, boolean trained) {
        double[] values = new double[2 * buckets];
        for (int i = 0; i < values.length; i++) {
            values[i] = i / 7.0;
        }
        Tensor table = Tensor.of(Backends.cpu(), DType.F32, values, buckets, 2);
        return new RelativePositions(new Parameter("table", trained ? Var.parameter(table) : Var.constant(table)), bidirectional,
                farthest, DType.F32);
    }
}
