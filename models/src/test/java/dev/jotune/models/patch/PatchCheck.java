package dev.jotune.models.patch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.models.AudioClassifier;
import dev.jotune.models.Backbone;
import dev.jotune.models.DualEncoder;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.ImageClassifier;
import dev.jotune.models.ImageInput;
import dev.jotune.models.Models;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Tap;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** One check of the manifest on a model of pictures or sounds: computes all there is, compares all that is expected. */
final class PatchCheck {
    private static final Pattern TAPPED = Pattern.compile("(text\\.|vision\\.|)(hidden_states|attentions)\\.(\\d+)");

    private final Golden.Case golden;
    private final JsonNode check;
    private final boolean wide;
    private final Backend backend;
    private final DType type;
    private final Backbone model;
    /** What was computed, by the manifest's names. */
    private final Map<String, Tensor> got = new LinkedHashMap<>();

    PatchCheck(Golden.Case golden, JsonNode check, boolean wide) {
        this.golden = golden;
        this.check = check;
        this.wide = wide;
        backend = wide ? Backends.reference() : Backends.cpu();
        type = wide ? DType.F64 : DType.F32;
        model = Models.load(golden.folder(), backend, type).backbone();
    }

    void run() {
        record();
        Map<String, Var> inputs = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> e : check.get("inputs").properties()) {
            if (e.getValue().get("dtype").asText().startsWith("F")) {
                Golden.Array a = Golden.array(golden.file("inputs.safetensors"), e.getValue().get("tensor").asText());
                inputs.put(e.getKey(), Var.parameter(Tensor.of(backend, type, a.values(), a.shape())));
            }
        }
        Map<String, Var> leaves = new LinkedHashMap<>();
        boolean gradients = expected().keySet().stream().anyMatch(n -> n.startsWith("grad.")) || check.has("gradient_l2_norms");
        if (gradients) {
            leaves.putAll(inputs);
            model.seams().parameters().values().forEach(p -> {
                p.replace(Var.parameter(p.base().tensor()));
                leaves.put(p.path(), p.base());
            });
        }
        Pass pass = model.seams().inference();
        boolean trains = check.path("numbers").has("loss");
        Var loss = switch (model) {
            case ImageClassifier m -> image(m, inputs.get("pixel_values"), trains, pass);
            case AudioClassifier m -> audio(m, inputs.get("input_values"), trains, pass);
            case DualEncoder m -> pair(m, inputs.get("pixel_values"), trains, pass);
            default -> throw new AssertionError("no test knows how to run a " + model.getClass().getSimpleName());
        };
        if (trains) {
            got.put("loss", loss.tensor());
        }
        if (gradients) {
            List<Tensor> all = Gradients.of(loss, List.copyOf(leaves.values()));
            List<String> names = List.copyOf(leaves.keySet());
            for (int i = 0; i < names.size(); i++) {
                got.put("grad." + names.get(i), all.get(i));
            }
        }
        compare();
    }

    private Var image(ImageClassifier m, Var pixels, boolean trains, Pass pass) {
        ImageInput in = check.get("name").asText().startsWith("interpolated") ? ImageInput.of(pixels).interpolated() : ImageInput.of(pixels);
        got.put("logits", m.logits(m.forward(in, pass), pass).tensor());
        return trains ? m.loss(in, ids("labels"), pass) : null;
    }

    private Var audio(AudioClassifier m, Var spectrogram, boolean trains, Pass pass) {
        got.put("logits", m.logits(m.forward(spectrogram, pass), pass).tensor());
        return trains ? m.loss(spectrogram, ids("labels"), pass) : null;
    }

    private Var pair(DualEncoder m, Var pixels, boolean trains, Pass pass) {
        EncoderInput texts = EncoderInput.of(ids("input_ids"), ids("attention_mask"));
        Var image = m.imageFeatures(ImageInput.of(pixels), pass);
        Var text = m.textFeatures(texts, pass);
        got.put("vision.pooled", image.tensor());
        got.put("text.pooled", text.tensor());
        got.put("image_embeds", DualEncoder.normalised(image).tensor());
        got.put("text_embeds", DualEncoder.normalised(text).tensor());
        Var logits = m.logitsPerImage(image, text, pass);
        got.put("logits_per_image", logits.tensor());
        got.put("logits_per_text", logits.transpose(0, 1).tensor());
        return trains ? m.loss(texts, ImageInput.of(pixels), pass) : null;
    }

    /** Holds the taps behind the names that are expected. */
    private void record() {
        Map<String, Tap> taps = new LinkedHashMap<>();
        for (String name : expected().keySet()) {
            Matcher m = TAPPED.matcher(name);
            if (m.matches()) {
                int i = Integer.parseInt(m.group(3));
                String tap = m.group(2).equals("attentions") ? "layers." + i + ".attn.weights" : i == 0 ? "embed" : "layers." + (i - 1);
                taps.put(m.group(1) + tap, (_, x, _) -> {
                    got.put(name, x.tensor());
                    return x;
                });
            }
        }
        model.seams().attach(Hooks.ofTaps("recorder", taps));
    }

    private Tensor ids(String name) {
        Golden.LongArray a = Golden.longArray(golden.file("inputs.safetensors"), check.at("/inputs/" + name + "/tensor").asText());
        return Tensor.of(backend, a.values(), a.shape());
    }

    // ---- comparison ----

    private Map<String, JsonNode> expected() {
        Map<String, JsonNode> out = new LinkedHashMap<>();
        check.path("expected").properties().forEach(e -> out.put(e.getKey(), e.getValue()));
        return out;
    }

    private void compare() {
        String atol = wide ? "atol_float64" : "atol_float32";
        expected().forEach((name, e) -> {
            Golden.Array want = Golden.array(golden.file("expected.safetensors"), e.get("tensor").asText());
            assertThat(got).as("what the test computes").containsKey(name);
            assertThat(got.get(name).shape()).as(name).isEqualTo(want.shape());
            assertThat(unpadded(name, got.get(name))).as(name).containsExactly(want.values(), within(e.get(atol).asDouble()));
        });
        check.path("numbers").properties().forEach(e -> {
            if (!e.getValue().path("informative").asBoolean()) {
                assertThat(got).as("what the test computes").containsKey(e.getKey());
                assertThat(got.get(e.getKey()).item()).as(e.getKey()).isCloseTo(e.getValue().get("value").asDouble(),
                        within(e.getValue().get(atol).asDouble()));
            }
        });
        JsonNode norms = check.path("gradient_l2_norms");
        if (!norms.isMissingNode()) {
            assertThat(norms.get("of_every_parameter").size()).as("norms given").isEqualTo(model.seams().parameters().size());
            norms.get("of_every_parameter").properties().forEach(e -> {
                double norm = Math.sqrt(Arrays.stream(got.get("grad." + e.getKey()).toDoubleArray()).map(v -> v * v).sum());
                double want = e.getValue().asDouble();
                assertThat(norm).as(e.getKey()).isCloseTo(want, within(
                        norms.get(wide ? "rtol_float64" : "rtol_float32").asDouble() * want + norms.get(atol).asDouble()));
            });
        }
    }

    /** States of texts with those of padding at 0, as they are stored; anything else as it is. */
    private double[] unpadded(String name, Tensor t) {
        double[] values = t.toDoubleArray();
        if (name.startsWith("text.hidden_states")) {
            long[] mask = ids("attention_mask").toLongArray();
            int each = values.length / mask.length;
            for (int i = 0; i < values.length; i++) {
                values[i] = mask[i / each] == 0 ? 0 : values[i];
            }
        }
        return values;
    }
}
