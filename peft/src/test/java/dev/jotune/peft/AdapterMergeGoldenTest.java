package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Models;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.weights.AdapterMerge;
import dev.jotune.peft.weights.Combination;
import dev.jotune.peft.weights.Dare;
import dev.jotune.peft.weights.MagnitudePrune;
import dev.jotune.peft.weights.TaskArithmetic;
import dev.jotune.peft.weights.Ties;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Weighted merges of LoRA adapters as PEFT makes them: the new factors, or their products, and the model's logits. */
@Tag("golden")
class AdapterMergeGoldenTest {
    static Stream<Golden.Case> cases() {
        // DoRA's magnitudes are no part of a weighted merge here; ClampTest has the cut, which depends on the singular vectors' signs.
        return Golden.cases("peft", "multi/weighted_").filter(c -> !c.id().endsWith("_dora"))
                .filter(c -> !Golden.json(c.file("case.json")).get("options").has("svd_clamp"));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void mergesAsPeftDoes(Golden.Case c) {
        JsonNode json = Golden.json(c.file("case.json"));
        List<AdapterFiles.Contents> parts = Golden.children(json.get("adapters")).stream()
                .map(a -> AdapterFiles.read(Golden.folder("peft").resolve(a.asText()))).toList();
        double[] weights = Golden.children(json.get("weights")).stream().mapToDouble(JsonNode::asDouble).toArray();
        AdapterFiles.Contents merged = merge(c, json, new AdapterMerge(parts, weights));
        Lora method = (Lora) merged.method();
        assertThat(method.r()).isEqualTo(json.get("merged_r").asInt());
        assertThat(method.loraAlpha()).isEqualTo(json.get("merged_alpha").asDouble());
        double tolerance = c.json().at("/tolerances/tensors").asDouble();
        Map<String, Golden.Array> want = Golden.arrays(c.file("expected.safetensors"));
        boolean products = json.get("compare").asText().startsWith("products");
        int compared = 0;
        for (String key : want.keySet()) {
            if (!key.startsWith("merged/") || !key.endsWith("lora_A.weight")) {
                continue;
            }
            String a = key.substring("merged/".length());
            String b = a.replace("lora_A", "lora_B");
            compared++;
            if (products) {
                close(a, product(merged.tensors().get(b), merged.tensors().get(a)),
                        product(tensor(want.get("merged/" + b)), tensor(want.get(key))), tolerance);
            } else {
                close(a, merged.tensors().get(a).toDoubleArray(), want.get(key).values(), tolerance);
                close(b, merged.tensors().get(b).toDoubleArray(), want.get("merged/" + b).values(), tolerance);
            }
        }
        assertThat(merged.tensors()).hasSize(2 * compared).isNotEmpty();
        checkLogits(c, json, merged, want.get("logits").values());
    }

    /** PEFT forgets what was trained of the magnitudes: the merged adapter gets the norms of W in their place. */
    @Test
    void magnitudesHaveNoPlaceInAWeightedMerge() {
        Golden.Case c = Golden.cases("peft", "multi/weighted_linear_dora").findFirst().orElseThrow();
        List<AdapterFiles.Contents> parts = Golden.children(Golden.json(c.file("case.json")).get("adapters")).stream()
                .map(a -> AdapterFiles.read(Golden.folder("peft").resolve(a.asText()))).toList();
        assertThatThrownBy(() -> new AdapterMerge(parts, 0.7, 0.6)).isInstanceOf(AdapterException.class)
                .hasMessageContaining("lora_magnitude_vector");
    }

    private static AdapterFiles.Contents merge(Golden.Case c, JsonNode json, AdapterMerge merge) {
        String type = json.get("combination_type").asText();
        JsonNode options = json.get("options");
        double density = options.path("density").asDouble(1);
        Ties.Election election = Ties.Election.valueOf(options.path("majority_sign_method").asText("total").toUpperCase(Locale.ROOT));
        int vectors = json.get("adapters").size();
        Combination how = switch (type.replace("_svd", "")) {
            case "linear", "svd", "cat" -> new TaskArithmetic();
            case "ties" -> new Ties(density, election, Ties.Form.COUNTED);
            case "magnitude_prune" -> new MagnitudePrune(density);
            case "dare_linear" -> new Dare(density, new TaskArithmetic(), masks(c, vectors));
            case "dare_ties" -> new Dare(density, new Ties(1, election, Ties.Form.COUNTED), masks(c, vectors));
            default -> throw new AssertionError("no test knows the combination type " + type);
        };
        if (type.equals("cat")) {
            return merge.cat();
        }
        return type.endsWith("svd") ? merge.svd(how, options.path("svd_rank").asInt(0), OptionalDouble.empty()) : merge.combine(how);
    }

    /** The recorded masks, which lie in the order in which the factors are made. */
    private static Dare.Masks masks(Golden.Case c, int vectors) {
        List<Long> streams = new ArrayList<>();
        return (stream, vector, place) -> {
            if (!streams.contains(stream)) {
                streams.add(stream);
            }
            String name = "mask/%02d".formatted(streams.indexOf(stream) * vectors + vector);
            return Golden.array(c.file("expected.safetensors"), name).values()[(int) place] != 0;
        };
    }

    private static Tensor tensor(Golden.Array a) {
        return Tensor.of(Backends.cpu(), DType.F32, a.values(), a.shape());
    }

    private static double[] product(Tensor b, Tensor a) {
        return Recording.off(() -> Var.constant(b).matmul(Var.constant(a))).tensor().toDoubleArray();
    }

    private static void close(String name, double[] got, double[] want, double tolerance) {
        assertThat(got).as(name).hasSameSizeAs(want);
        for (int i = 0; i < got.length; i++) {
            assertThat(got[i]).as("%s[%d]", name, i).isCloseTo(want[i], within(tolerance * Math.max(1, Math.abs(want[i]))));
        }
    }

    private static void checkLogits(Golden.Case c, JsonNode json, AdapterFiles.Contents merged, double[] want) {
        var base = Golden.folder("peft").resolve(json.get("base").asText());
        CausalLm model = Models.load(base, Backends.reference(), DType.F64).backbone().as(CausalLm.class);
        Adapters.restore(model, "merged", merged.method(), merged.tensors());
        Golden.LongArray ids = Golden.longArray(base.resolve("inputs.safetensors"), "input_ids");
        Golden.LongArray mask = Golden.longArray(base.resolve("inputs.safetensors"), "attention_mask");
        DecoderInput in = DecoderInput.of(Tensor.of(model.backend(), ids.values(), ids.shape()),
                Tensor.of(model.backend(), mask.values(), mask.shape()));
        double[] got = Recording.off(() -> model.logits(model.forward(in, model.seams().inference(), Optional.empty()).text(),
                model.seams().inference())).tensor().toDoubleArray();
        double tolerance = c.json().at("/tolerances/logits").asDouble();
        for (int i = 0; i < got.length; i++) {
            if (mask.values()[i / model.vocabularySize()] != 0) {
                assertThat(got[i]).as("logits[%d]", i).isCloseTo(want[i], within(tolerance));
            }
        }
    }
}
