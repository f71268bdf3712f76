package dev.jotune.models.gguf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Recording;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Models;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.StoredWeight;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** A Llama in a GGUF file, quantised and with permuted rows, against the reference's weights and logits. */
@Tag("golden")
class GgufLlamaGoldenTest {
    private static final Set<String> KNOWN = Set.of("logits");

    private record Machine(Backend backend, DType type, String tolerance) {}

    @TestFactory
    Stream<DynamicTest> logitsAreTheReferences() {
        return Golden.cases("formats", "gguf_llama").flatMap(golden -> Stream.of(
                new Machine(Backends.reference(), DType.F64, "atol_float64"), new Machine(Backends.cpu(), DType.F32, "atol_float32"))
                .map(m -> dynamicTest(golden + " " + m.type, () -> {
                    CausalLm model = load(golden, m);
                    assertThat(golden.checks()).isNotEmpty();
                    golden.checks().forEach(check -> check(golden, check, model, m));
                })));
    }

    private static CausalLm load(Golden.Case golden, Machine m) {
        return Models.load(golden.file("model.gguf"), m.backend, m.type).model();
    }

    private static void check(Golden.Case golden, JsonNode check, CausalLm model, Machine m) {
        try (Scope scope = Scope.open()) {
            Golden.LongArray ids = Golden.longArray(golden.file("inputs.safetensors"), check.at("/inputs/input_ids/tensor").asText());
            Golden.LongArray mask = Golden.longArray(golden.file("inputs.safetensors"), check.at("/inputs/attention_mask/tensor").asText());
            boolean[] visible = new boolean[mask.values().length];
            for (int i = 0; i < visible.length; i++) {
                visible[i] = mask.values()[i] != 0;
            }
            Pass pass = model.seams().inference();
            DecoderInput in = DecoderInput.of(Tensor.of(m.backend, ids.values(), ids.shape()), Tensor.of(m.backend, visible, mask.shape()));
            double[] logits = Recording.off(() -> model.logits(model.forward(in, pass, Optional.empty()).text(), pass)).tensor()
                    .toDoubleArray();
            for (Map.Entry<String, JsonNode> e : check.get("expected").properties()) {
                assertThat(KNOWN).contains(e.getKey());
                double[] want = Golden.array(golden.file("expected.safetensors"), e.getValue().get("tensor").asText()).values();
                double atol = e.getValue().get(m.tolerance).asDouble();
                assertThat(logits).hasSameSizeAs(want);
                int vocabulary = want.length / visible.length;
                for (int i = 0; i < want.length; i++) {
                    if (visible[i / vocabulary]) {
                        assertThat(logits[i]).as("%s[%d]", e.getKey(), i).isCloseTo(want[i], within(atol));
                    }
                }
            }
        }
    }

    @TestFactory
    Stream<DynamicTest> weightsAreTheCheckpointsAndStayQuantised() {
        return Golden.cases("formats", "gguf_llama").map(golden -> dynamicTest(golden.toString(), () -> {
            CausalLm model = load(golden, new Machine(Backends.reference(), DType.F64, ""));
            Map<String, Parameter> parameters = model.seams().parameters();
            Map<String, Golden.Array> expected = Golden.arrays(golden.file("weights.safetensors"));
            assertThat(expected).isNotEmpty();
            expected.forEach((path, want) -> {
                assertThat(parameters.get(path).stored()).isInstanceOf(StoredWeight.Quantized.class);
                assertThat(parameters.get(path).base().tensor().toFloatArray()).as(path).containsExactly(want.floats(), within(1e-7f));
            });
            assertThat(parameters.values()).allMatch(p -> p.shape().length == 1 || p.stored() instanceof StoredWeight.Quantized);
        }));
    }
}
