package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.Models;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.Stream;

/**
 * One adapter that peft saved, with the numbers it gave, on one machine.
 *
 * @param folder of the case
 * @param json its {@code case.json}
 * @param wide F64 on the reference backend; else F32 on the CPU
 */
record PeftCase(Path folder, JsonNode json, boolean wide) {
    private static final String ENCODER = "prompt_encoder.default.";

    /** Of the types that are registered; with the property {@code jotune.cases}, those whose names match it. */
    static Stream<PeftCase> all(boolean wide) {
        List<String> types = Methods.all().stream().map(MethodInfo::peftType).toList();
        return Golden.cases("peft", "adapters/").filter(c -> Files.exists(c.file("case.json")))
                .map(c -> new PeftCase(c.folder(), Golden.json(c.file("case.json")), wide))
                .filter(c -> types.contains(c.json.get("peft_type").asText()))
                .filter(c -> c.json.get("name").asText().matches(System.getProperty("jotune.cases", ".*")));
    }

    Path base() {
        return Golden.folder("peft").resolve(json.get("base").asText());
    }

    JsonNode config() {
        return Golden.json(folder.resolve("adapter_config.json"));
    }

    Backend backend() {
        return wide ? Backends.reference() : Backends.cpu();
    }

    Backbone model() {
        return Models.load(base(), backend(), wide ? DType.F64 : DType.F32).backbone();
    }

    /** The logits of the case's batch, {@code [B, n + T, V]} or {@code [B, labels]}. */
    Tensor logits(Backbone model) {
        Pass pass = model.seams().inference();
        return Recording.off(() -> PeftRun.of(model, this).logits(pass)).tensor();
    }

    /** The loss of the case's batch, in training mode as it was recorded, with what the method charges. */
    Var loss(Backbone model, Adapter adapter) {
        boolean training = json.path("gradients_in_training_mode").asBoolean(true);
        Var loss = PeftRun.of(model, this).loss(training ? model.seams().training(0, 0) : model.seams().inference());
        return adapter.stepHook().flatMap(StepHook::penalty).map(loss::add).orElse(loss);
    }

    /** The recorded numbers are rounded to F32; F64 must come that close. In F32 the case's own tolerance holds. */
    double tolerance(String what, double want) {
        double stated = json.get("tolerances").get(what).asDouble();
        // What PiSSA and OLoRA leave of W was decomposed in F32 when it was recorded: each number of it is 1e-7 off.
        if (List.of("pissa", "olora").contains(config().path("init_lora_weights").asText())) {
            return 5 * stated * Math.max(1, Math.abs(want));
        }
        return wide ? Math.min(stated, 2e-6 * Math.max(1, Math.abs(want))) : stated;
    }

    Tensor ids(String name) {
        Golden.LongArray a = Golden.longArray(base().resolve("inputs.safetensors"), name);
        return Tensor.of(backend(), a.values(), a.shape());
    }

    Golden.Array expected(String name) {
        return Golden.array(folder.resolve("expected.safetensors"), name);
    }

    boolean expects(String name) {
        return Golden.open(folder.resolve("expected.safetensors")).contains(name);
    }

    /** The names under {@code expected.safetensors}'s folder {@code prefix}. */
    List<String> expectedUnder(String prefix) {
        return Golden.open(folder.resolve("expected.safetensors")).names().stream().filter(n -> n.startsWith(prefix))
                .map(n -> n.substring(prefix.length())).toList();
    }

    /** The adapter as peft saved it. */
    Adapter load(Backbone model) {
        return Adapters.load(model, Adapters.DEFAULT_NAME, folder);
    }

    /** The adapter as peft saved it, with everything trainable in the hand: also the encoder that no file holds. */
    Adapter trainable(Backbone model) {
        if (!hasEncoder()) {
            return load(model);
        }
        Map<String, Tensor> all = besidesTheEncoder();
        all.putAll(tensors("extra.safetensors"));
        return restored(model, all);
    }

    /** The adapter as training began: the saved one (for what does not train), overwritten by what trains. */
    Adapter initial(Backbone model) {
        Map<String, Tensor> start = hasEncoder() ? besidesTheEncoder() : tensors("adapter_model.safetensors");
        start.putAll(tensors("initial.safetensors"));
        return restored(model, start);
    }

    /** What the file holds beside the encoder's output. */
    private Map<String, Tensor> besidesTheEncoder() {
        Map<String, Tensor> out = tensors("adapter_model.safetensors");
        out.remove("prompt_embeddings");
        return out;
    }

    private Adapter restored(Backbone model, Map<String, Tensor> tensors) {
        return Adapters.restore(model, Adapters.DEFAULT_NAME, AdapterFiles.read(folder).method(), tensors);
    }

    /** True if something trains that the file does not hold. */
    private boolean hasEncoder() {
        return Golden.children(json.get("trainables")).stream().anyMatch(t -> t.get("file_key").isNull());
    }

    private Map<String, Tensor> tensors(String file) {
        Map<String, Tensor> out = new LinkedHashMap<>();
        Golden.arrays(folder.resolve(file)).forEach((name, a) ->
                out.put(plain(name), Tensor.of(backend(), wide ? DType.F64 : DType.F32, a.values(), a.shape())));
        return out;
    }

    /** peft's name of a tensor behind a prefix or of a module that is trained whole, as Jotune calls it. */
    static String plain(String name) {
        return (name.startsWith(ENCODER) ? name.substring(ENCODER.length()) : name).replace("modules_to_save.default.", "");
    }

    /** Compares how many ranks of each layer a step left, and where it is logged, which. */
    void ranks(Adapter adapter, JsonNode logged) {
        Map<String, Tensor> state = adapter.stepHook().orElseThrow().state();
        logged.get("kept_ranks").properties().forEach(e -> {
            double[] kept = state.get("kept." + e.getKey().replace(".lora_E.default", "")).toDoubleArray();
            assertThat(Arrays.stream(kept).sum()).as("%s after step %s", e.getKey(), logged.get("global_step")).isEqualTo(e.getValue().asInt());
            if (logged.get("kept_masks").has(e.getKey())) {
                assertThat(kept).as(e.getKey()).isEqualTo(Golden.children(logged.get("kept_masks").get(e.getKey())).stream()
                        .mapToDouble(JsonNode::asDouble).toArray());
            }
        });
    }

    void close(String what, String tolerance, Golden.Array want, double[] got) {
        assertThat(got).as(what).hasSameSizeAs(want.values());
        for (int i = 0; i < got.length; i++) {
            double w = want.values()[i];
            assertThat(Math.abs(got[i] - w)).as("%s[%d] = %s, want %s", what, i, got[i], w)
                    .isLessThanOrEqualTo(tolerance(tolerance, w));
        }
    }

    /**
     * Compares what five steps of AdamW made. In F64 every number must match. In F32 it must too, but for up to two in a
     * thousand, which may miss by ten tolerances: a gradient g near zero is moved by {@code lr g / (|g| + eps)}, which
     * multiplies its rounding error by {@code lr / eps = 1000}, and the sign of that error depends on the vector width.
     */
    void closeAfterTraining(String what, Golden.Array want, double[] got) {
        if (wide) {
            close(what, "final", want, got);
            return;
        }
        assertThat(got).as(what).hasSameSizeAs(want.values());
        int missed = 0;
        for (int i = 0; i < got.length; i++) {
            double error = Math.abs(got[i] - want.values()[i]);
            double tolerance = tolerance("final", want.values()[i]);
            assertThat(error).as("%s[%d] = %s, want %s", what, i, got[i], want.values()[i]).isLessThanOrEqualTo(10 * tolerance);
            missed += error > tolerance ? 1 : 0;
        }
        assertThat(missed).as("%s: numbers beyond the tolerance, of %d", what, got.length)
                .isLessThanOrEqualTo((int) Math.ceil(got.length * 0.002));
    }

    /** Compares logits {@code [B, n + T, V]} where there is a token: everywhere before the text, in it where the mask is 1. */
    void closeLogits(String what, Golden.Array want, Backbone model) {
        closeLogits(what, want, model, logits(model), v -> tolerance("logits", v));
    }

    /** The same with a tolerance of the caller's, by the number wanted. */
    void closeLogits(String what, Golden.Array want, Backbone model, Tensor got, DoubleUnaryOperator tolerance) {
        double[] mask = PeftRun.of(model, this).mask();
        int rows = (int) got.size(0);
        int width = (int) got.size(-1);
        int time = (int) (got.numel() / rows / width);
        int text = mask == null ? time : mask.length / rows;
        double[] g = got.toDoubleArray();
        assertThat(got.shape()).as(what).isEqualTo(want.shape());
        for (int i = 0; i < g.length; i++) {
            int t = i / width % time - (time - text);
            if (t < 0 || mask == null || mask[i / (width * time) * text + t] != 0) {
                assertThat(Math.abs(g[i] - want.values()[i])).as("%s[%d] = %s, want %s", what, i, g[i], want.values()[i])
                        .isLessThanOrEqualTo(tolerance.applyAsDouble(want.values()[i]));
            }
        }
    }

    @Override
    public String toString() {
        return json.get("name").asText() + (wide ? " F64" : " F32");
    }
}
