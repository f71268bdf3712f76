package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.Models;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.weights.ToLora;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Adapters of other methods converted to LoRA, as PEFT does: the products B A of every layer. */
@Tag("golden")
class ToLoraGoldenTest {
    private static final Path SUITE = Golden.folder("peft");

    /** Of the methods that are registered. */
    static Stream<Golden.Case> cases() {
        List<String> types = Methods.all().stream().map(MethodInfo::peftType).toList();
        return Golden.cases("peft", "multi/to_lora_").filter(c -> Files.exists(c.file("case.json")))
                .filter(c -> types.contains(config(c).get("peft_type").asText()));
    }

    private static Path source(Golden.Case c) {
        return SUITE.resolve(Golden.json(c.file("case.json")).get("source").asText());
    }

    private static JsonNode config(Golden.Case c) {
        return Golden.json(source(c).resolve("adapter_config.json"));
    }

    private static Backbone model(Golden.Case c) {
        return Models.load(SUITE.resolve(Golden.json(c.file("case.json")).get("base").asText()), Backends.reference(), DType.F64).backbone();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void convertsAsPeftDoes(Golden.Case c) {
        JsonNode json = Golden.json(c.file("case.json"));
        Adapter adapter = Adapters.load(model(c), "source", source(c));
        AdapterFiles.Contents made = json.get("rank").isInt() ? ToLora.ofRank(adapter, json.get("rank").asInt())
                : ToLora.ofEnergy(adapter, json.get("rank").asDouble());
        Lora lora = (Lora) made.method();
        assertThat(lora.r()).isEqualTo(json.get("r").asInt());
        assertThat(lora.loraAlpha()).isEqualTo(json.get("lora_alpha").asDouble());
        json.get("rank_pattern").properties().forEach(e -> assertThat(lora.rank(e.getKey())).as(e.getKey()).isEqualTo(e.getValue().asInt()));
        // PEFT's products leave the magnitudes out; here the change of the weights is converted, whatever made it.
        boolean dora = config(c).path("use_dora").asBoolean();
        Map<String, Golden.Array> want = Golden.arrays(c.file("expected.safetensors"));
        int compared = 0;
        for (String key : want.keySet()) {
            if (!key.endsWith("lora_A.weight")) {
                continue;
            }
            String a = key.substring("lora/".length());
            String b = a.replace("lora_A", "lora_B");
            double[] theirs = product(tensor(want.get("lora/" + b)), tensor(want.get(key)));
            double[] ours = product(made.tensors().get(b), made.tensors().get(a));
            compared++;
            if (dora) {
                double[] wanted = adapter.hooks().projections().get(path(a)).weight(weight(adapter, a))
                        .sub(weight(adapter, a)).tensor().toDoubleArray();
                assertThat(distance(ours, wanted)).as(a).isLessThan(distance(theirs, wanted));
            } else {
                for (int i = 0; i < ours.length; i++) {
                    assertThat(ours[i]).as("%s[%d]", a, i).isCloseTo(theirs[i], within(1e-5 * Math.max(1, Math.abs(theirs[i]))));
                }
            }
        }
        assertThat(made.tensors()).hasSize(2 * compared).isNotEmpty();
        Adapters.restore(model(c), "converted", lora, made.tensors());
    }

    private static String path(String key) {
        return key.substring(Attachment.WRAPPED.length(), key.length() - ".lora_A.weight".length());
    }

    private static Var weight(Adapter adapter, String key) {
        return adapter.model().seams().projections().get(path(key)).weight().base();
    }

    private static double distance(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += (a[i] - b[i]) * (a[i] - b[i]);
        }
        return sum;
    }

    private static Tensor tensor(Golden.Array a) {
        return Tensor.of(Backends.cpu(), DType.F32, a.values(), a.shape());
    }

    private static double[] product(Tensor b, Tensor a) {
        return Recording.off(() -> Var.constant(b).matmul(Var.constant(a))).tensor().toDoubleArray();
    }

    @Test
    void ranksFollowTheEnergy() {
        Golden.Case c = cases().filter(x -> config(x).get("peft_type").asText().equals("LORA") && !config(x).path("use_dora").asBoolean())
                .findFirst().orElseThrow();
        Adapter adapter = Adapters.load(model(c), "source", source(c));
        Lora all = (Lora) ToLora.ofEnergy(adapter, 1 - 1e-9).method();
        Lora half = (Lora) ToLora.ofEnergy(adapter, 0.5).method();
        Lora source = (Lora) adapter.method();
        adapter.hooks().projections().keySet().forEach(path -> {
            assertThat(all.rank(path)).as(path).isEqualTo(source.rank(path));
            assertThat(half.rank(path)).as(path).isLessThan(Math.max(2, source.rank(path)));
        });
        assertThatThrownBy(() -> ToLora.ofRank(adapter, 0)).isInstanceOf(AdapterException.class).hasMessageContaining("rank is 0");
        assertThatThrownBy(() -> ToLora.ofRank(adapter, 900)).isInstanceOf(AdapterException.class).hasMessageContaining("900");
        assertThatThrownBy(() -> ToLora.ofEnergy(adapter, 1.5)).isInstanceOf(AdapterException.class).hasMessageContaining("1.5");
    }
}
