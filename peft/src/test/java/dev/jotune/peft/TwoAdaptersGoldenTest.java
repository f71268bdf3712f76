package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Recording;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Models;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Two adapters of one method on one model, beside each other, in either order, merged, and in rows of one batch, as in PEFT. */
@Tag("golden")
class TwoAdaptersGoldenTest {
    private static final Path SUITE = Golden.folder("peft");

    /** A case on one machine. */
    private record Two(Golden.Case golden, boolean wide) {
        JsonNode json() {
            return Golden.json(golden.file("case.json"));
        }

        Backend backend() {
            return wide ? Backends.reference() : Backends.cpu();
        }

        CausalLm model() {
            return Models.load(SUITE.resolve(json().get("base").asText()), backend(), wide ? DType.F64 : DType.F32).backbone().as(CausalLm.class);
        }

        /** A case of two DoRA adapters does not name them. */
        Adapter load(CausalLm model, String name) {
            String part = json().at("/adapters/" + name).asText();
            String dora = name.equals("x") ? "multi/parts/dora" : "multi/parts/dora2";
            return Adapters.load(model, name, SUITE.resolve(part.isEmpty() ? dora : part));
        }

        Tensor ids(String name) {
            Golden.LongArray a = Golden.longArray(SUITE.resolve(json().get("base").asText()).resolve("inputs.safetensors"), name);
            return Tensor.of(backend(), a.values(), a.shape());
        }

        boolean expects(String name) {
            return Golden.open(golden.file("expected.safetensors")).contains(name);
        }

        void check(String name, CausalLm model, Pass pass) {
            Tensor mask = ids("attention_mask");
            DecoderInput in = DecoderInput.of(ids("input_ids"), mask);
            double[] got = Recording.off(() -> model.logits(model.forward(in, pass, Optional.empty()).text(), pass).tensor().toDoubleArray());
            double[] want = Golden.array(golden.file("expected.safetensors"), name).values();
            double[] real = mask.toDoubleArray();
            double stated = golden.json().at("/tolerances/logits").asDouble();
            assertThat(got).as(name).hasSameSizeAs(want);
            for (int i = 0; i < got.length; i++) {
                double tolerance = wide ? 1e-5 * Math.max(1, Math.abs(want[i])) : stated;
                if (real[i / model.vocabularySize()] != 0) {
                    assertThat(Math.abs(got[i] - want[i])).as("%s[%d] = %s, want %s", name, i, got[i], want[i]).isLessThanOrEqualTo(tolerance);
                }
            }
        }

        void check(String name, CausalLm model) {
            check(name, model, model.seams().inference());
        }

        @Override
        public String toString() {
            return golden.id() + (wide ? " F64" : " F32");
        }
    }

    private static Stream<Two> cases(String prefix) {
        return Golden.cases("peft", "multi/" + prefix).filter(c -> Files.exists(c.file("case.json")))
                .flatMap(c -> Stream.of(new Two(c, true), new Two(c, false)));
    }

    /** Of the methods that are registered. */
    static Stream<Two> pairs() {
        List<String> types = Methods.all().stream().map(MethodInfo::peftType).toList();
        return cases("two_").filter(t -> t.json().path("adapters").isMissingNode() || types.contains(
                Golden.json(SUITE.resolve(t.json().at("/adapters/x").asText()).resolve("adapter_config.json")).get("peft_type").asText()));
    }

    @ParameterizedTest
    @MethodSource("pairs")
    void twoAdaptersWorkTogetherAndMerge(Two two) {
        CausalLm model = two.model();
        Adapter x = two.load(model, "x");
        Adapter y = two.load(model, "y");
        boolean ordered = two.expects("logits.x_then_y");
        boolean opposite = two.expects("logits.merged");
        if (ordered) {
            two.check("logits.x_then_y", model);
            merged(x, y, () -> two.check("logits.merged_x_then_y", model));
            two.check("logits.x_then_y", model);
            model.seams().activate("y", "x");
            two.check("logits.y_then_x", model);
            merged(y, x, () -> two.check("logits.merged_y_then_x", model));
            return;
        }
        // PEFT lets the rotation that was attached first read the input first; merging, it turns the weights the other way round.
        // Here the order in which adapters apply is one, merged or not.
        model.seams().activate(opposite ? new String[] {"y", "x"} : new String[] {"x", "y"});
        two.check("logits.x_and_y", model);
        model.seams().activate("x", "y");
        if (opposite) {
            two.check("logits.merged", model);
        }
        merged(x, y, () -> two.check(opposite ? "logits.merged" : "logits.x_and_y", model));
    }

    private static void merged(Adapter first, Adapter second, Runnable check) {
        first.merge();
        second.merge();
        check.run();
        second.unmerge();
        first.unmerge();
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void rowsOfOneBatchHaveEmbeddingsOfTheirOwn(boolean wide) {
        Two two = cases("mixed_batch_embedding").filter(t -> t.wide() == wide).findFirst().orElseThrow();
        CausalLm model = two.model();
        two.load(model, "x");
        two.load(model, "y");
        two.check("logits", model, model.seams().rows(Golden.children(two.json().get("adapter_names")).stream().map(JsonNode::asText)
                .map(n -> n.equals("__base__") ? "" : n).toList()));
    }
}
