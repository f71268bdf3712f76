package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Models;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Several LoRA adapters on one Llama or BERT, as PEFT computes them: in one batch, switched, stacked, merged, swapped. */
@Tag("golden")
class MultiGoldenTest {
    /** One case of the suite's folder {@code multi} on one machine. */
    private record Multi(Golden.Case golden, boolean wide) {
        JsonNode json() {
            return Golden.json(golden.file("case.json"));
        }

        Path base() {
            return Golden.folder("peft").resolve(json().get("base").asText());
        }

        Backend backend() {
            return wide ? Backends.reference() : Backends.cpu();
        }

        Backbone backbone() {
            return Models.load(base(), backend(), wide ? DType.F64 : DType.F32).backbone();
        }

        CausalLm model() {
            return backbone().as(CausalLm.class);
        }

        /** Which adapter each row of the batch runs under. */
        List<String> rows() {
            return Golden.children(json().get("adapter_names")).stream().map(JsonNode::asText)
                    .map(n -> n.equals("__base__") ? "" : n).toList();
        }

        Adapter load(Backbone model, String name) {
            return load(model, name, name);
        }

        Adapter load(Backbone model, String name, String part) {
            return Adapters.load(model, name, Golden.folder("peft").resolve("multi/parts").resolve(part));
        }

        Tensor ids(String name) {
            Golden.LongArray a = Golden.longArray(base().resolve("inputs.safetensors"), name);
            return Tensor.of(backend(), a.values(), a.shape());
        }

        void check(String name, CausalLm model) {
            check(name, model, model.seams().inference());
        }

        /** Compares the logits where the mask is 1. */
        void check(String name, CausalLm model, Pass pass) {
            Tensor mask = ids("attention_mask");
            DecoderInput in = DecoderInput.of(ids("input_ids"), mask);
            double[] got = Recording.off(() -> model.logits(model.forward(in, pass, Optional.empty()).text(), pass).tensor()
                    .toDoubleArray());
            double[] want = Golden.array(golden.file("expected.safetensors"), name).values();
            double[] real = mask.toDoubleArray();
            double stated = golden.json().at("/tolerances/logits").asDouble();
            assertThat(got).as(name).hasSameSizeAs(want);
            for (int i = 0; i < got.length; i++) {
                double tolerance = wide ? 1e-5 * Math.max(1, Math.abs(want[i])) : stated;
                if (real[i / model.vocabularySize()] != 0) {
                    assertThat(Math.abs(got[i] - want[i])).as("%s[%d] = %s, want %s", name, i, got[i], want[i])
                            .isLessThanOrEqualTo(tolerance);
                }
            }
        }
    }

    private static Multi of(String name, boolean wide) {
        return new Multi(Golden.cases("peft", "multi/" + name).filter(c -> c.id().equals("multi/" + name)).findFirst()
                .orElseThrow(), wide);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void rowsOfOneBatchUseDifferentAdaptersOrNone(boolean wide) {
        Multi m = of("mixed_batch_lora", wide);
        CausalLm model = m.model();
        m.json().get("adapters").fieldNames().forEachRemaining(name -> m.load(model, name));
        m.check("logits", model, model.seams().rows(m.rows()));
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void rowsOfOneBatchHaveHeadsOfTheirOwn(boolean wide) {
        Multi m = of("mixed_batch_heads", wide);
        SequenceClassifier model = m.backbone().as(SequenceClassifier.class);
        m.json().get("adapters").properties().forEach(e -> m.load(model, e.getKey(), e.getValue().asText().replace("multi/parts/", "")));
        Pass pass = model.seams().rows(m.rows());
        EncoderInput in = EncoderInput.of(m.ids("input_ids"), m.ids("attention_mask")).withTokenTypes(m.ids("token_type_ids"));
        double[] got = Recording.off(() -> model.logits(model.forward(in, pass), pass)).tensor().toDoubleArray();
        double[] want = Golden.array(m.golden().file("expected.safetensors"), "logits").values();
        double stated = m.golden().json().at("/tolerances/logits").asDouble();
        assertThat(got).hasSameSizeAs(want);
        for (int i = 0; i < got.length; i++) {
            assertThat(got[i]).as("logits[%d]", i).isCloseTo(want[i], within(wide ? 1e-5 : stated));
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void adaptersSwitchStackAndMerge(boolean wide) {
        Multi m = of("set_adapter", wide);
        CausalLm model = m.model();
        Adapter a = m.load(model, "a");
        Adapter b = m.load(model, "b");
        model.seams().activate("a");
        m.check("logits.a", model);
        model.seams().activate("b");
        m.check("logits.b", model);
        model.seams().activate("a", "b");
        m.check("logits.a_and_b", model);
        model.seams().activate();
        m.check("logits.disabled", model);
        model.seams().activate("a");
        a.merge();
        m.check("logits.a_merged_b_ignored", model);
        a.unmerge();
        model.seams().activate("a", "b");
        m.check("logits.after_unmerge", model);
        model.seams().activate("b");
        b.merge();
        m.check("logits.only_b_merged_and_unloaded", model);
        b.unmerge();
        model.seams().activate("a", "b");
        scale(a, 0.3);
        scale(b, 0.3);
        m.check("logits.a_and_b_rescaled_0.3", model);
    }

    /** Scales {@code s B A} through B. */
    private static void scale(Adapter adapter, double factor) {
        adapter.trainables().forEach((name, v) -> {
            if (name.contains("lora_B")) {
                v.tensor().copyFrom(Recording.off(() -> Var.constant(v.tensor()).mul(factor)).tensor());
            }
        });
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void anAdapterIsSwappedForAnother(boolean wide) {
        Multi m = of("hotswap", wide);
        CausalLm model = m.model();
        Adapter first = m.load(model, "hot", "a");
        m.check("logits.before", model);
        first.detach();
        m.load(model, "hot", "b");
        m.check("logits.after", model);
        m.check("logits.padded", model);
    }
}
