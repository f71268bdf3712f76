package dev.jotune.models.llama;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.CausalLm;
import dev.jotune.models.Config;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.Models;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.SegmentSource;
import dev.jotune.models.seam.Tap;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Llama against transformers: logits, hidden states, losses, gradients, greedy decoding, given prefixes. */
@Tag("golden")
class LlamaGoldenTest {
    @TestFactory
    Stream<DynamicTest> everyCheckOnBothBackends() {
        List<DynamicTest> tests = new ArrayList<>();
        Golden.cases("models", "llama").forEach(c -> {
            for (boolean wide : new boolean[] {true, false}) {
                for (JsonNode check : c.checks()) {
                    String name = check.get("name").asText();
                    if (!name.startsWith("beam")) {
                        tests.add(DynamicTest.dynamicTest(c.id() + " " + name + (wide ? " F64" : " F32"),
                                () -> new GoldenCheck(c, check, wide).run()));
                    }
                }
            }
        });
        assertThat(tests).isNotEmpty();
        return tests.stream();
    }

    /** One check of the manifest. */
    private static final class GoldenCheck {
        private final Golden.Case golden;
        private final JsonNode check;
        private final boolean wide;
        private final Backend backend;
        private final DType type;
        private final CausalLm model;

        GoldenCheck(Golden.Case golden, JsonNode check, boolean wide) {
            this.golden = golden;
            this.check = check;
            this.wide = wide;
            this.backend = wide ? Backends.reference() : Backends.cpu();
            this.type = wide ? DType.F64 : DType.F32;
            this.model = Models.load(golden.folder(), backend, type).model();
        }

        void run() {
            String name = check.get("name").asText();
            if (name.startsWith("rope")) {
                rope();
            } else if (name.contains("greedy")) {
                greedy();
            } else {
                forward();
            }
        }

        private void rope() {
            RopeScaling r = LlamaConfig.read(Config.read(golden.file("config.json"))).rope();
            close("inv_freq", r.inverseFrequencies());
            assertThat(r.attentionScaling()).isCloseTo(check.at("/numbers/attention_scaling/value").asDouble(),
                    org.assertj.core.data.Offset.offset(1e-9));
            RopeScaling legacy = LlamaConfig.read(Config.read(golden.file("legacy/config.json"))).rope();
            assertThat(legacy.inverseFrequencies()).isEqualTo(r.inverseFrequencies());
        }

        private void forward() {
            DecoderInput in = input();
            Map<String, Var> prefix = attachPrefix();
            Optional<Var> embeds = in.embeds();
            Map<String, Tensor> seen = new LinkedHashMap<>();
            record(seen);
            Pass pass = model.seams().inference();
            Hidden hidden = model.forward(in, pass, Optional.empty());
            if (expects("logits")) {
                closeAtTokens("logits", model.logits(hidden.text(), pass).tensor());
            }
            // Attention probabilities are never formed here; everything else that is given is compared.
            for (String name : expectedNames()) {
                if (name.startsWith("hidden_states")) {
                    assertThat(seen).containsKey(name);
                    closeAtTokens(name, seen.get(name));
                } else {
                    assertThat(name).matches("logits|attentions.*|grad\\..*");
                }
            }
            if (check.at("/inputs/labels").isObject()) {
                gradients(in, pass, prefix, embeds);
            }
        }

        private void record(Map<String, Tensor> seen) {
            Map<String, Tap> taps = new LinkedHashMap<>();
            int layers = model.layers();
            taps.put("embed", keep(seen, "hidden_states.0"));
            for (int i = 0; i + 1 < layers; i++) {
                taps.put("layers." + i, keep(seen, "hidden_states." + (i + 1)));
            }
            taps.put("final", keep(seen, "hidden_states." + layers));
            model.seams().attach(Hooks.ofTaps("recorder", taps));
        }

        private static Tap keep(Map<String, Tensor> seen, String as) {
            return (name, x, pass) -> {
                seen.put(as, x.tensor());
                return x;
            };
        }

        private void gradients(DecoderInput in, Pass pass, Map<String, Var> prefix, Optional<Var> embeds) {
            List<String> names = new ArrayList<>();
            List<Var> wrt = new ArrayList<>();
            prefix.forEach((k, v) -> {
                names.add("grad." + k);
                wrt.add(v);
            });
            embeds.ifPresent(v -> {
                names.add("grad.inputs_embeds");
                wrt.add(v);
            });
            boolean parameters = check.has("gradient_l2_norms") || expectedNames().stream().anyMatch(n -> n.startsWith("grad.model"));
            if (parameters) {
                for (Parameter p : model.seams().parameters().values()) {
                    p.replace(Var.parameter(p.base().tensor()));
                    names.add("grad." + p.path());
                    wrt.add(p.base());
                }
            }
            Var loss = model.loss(in, ids("labels"), pass);
            if (check.at("/numbers/loss/value").isNumber()) {
                double atol = check.at("/numbers/loss/" + atol()).asDouble();
                assertThat(loss.item()).isCloseTo(check.at("/numbers/loss/value").asDouble(), org.assertj.core.data.Offset.offset(atol));
            }
            if (wrt.isEmpty()) {
                return;
            }
            List<Tensor> grads = Gradients.of(loss, wrt);
            int compared = 0;
            for (int i = 0; i < names.size(); i++) {
                if (expects(names.get(i))) {
                    close(names.get(i), grads.get(i).toDoubleArray());
                    compared++;
                }
            }
            assertThat(compared).as("gradients compared").isEqualTo(
                    (int) expectedNames().stream().filter(n -> n.startsWith("grad.")).count());
            checkNorms(names, grads);
        }

        private void checkNorms(List<String> names, List<Tensor> grads) {
            JsonNode norms = check.path("gradient_l2_norms");
            boolean asked = !norms.isMissingNode();
            assertThat(norms.path("of_every_parameter").size()).as("norms given").isEqualTo(
                    asked ? model.seams().parameters().size() : 0);
            norms.path("of_every_parameter").properties().forEach(e -> {
                int i = names.indexOf("grad." + e.getKey());
                assertThat(i).as(e.getKey()).isNotNegative();
                double sum = 0;
                for (double v : grads.get(i).toDoubleArray()) {
                    sum += v * v;
                }
                double want = e.getValue().asDouble();
                double tol = norms.path(wide ? "rtol_float64" : "rtol_float32").asDouble() * want
                        + norms.path(wide ? "atol_float64" : "atol_float32").asDouble();
                assertThat(Math.sqrt(sum)).as(e.getKey()).isCloseTo(want, org.assertj.core.data.Offset.offset(tol));
            });
        }

        /** Keys and values of every layer, given as inputs {@code key.i}, {@code value.i}. */
        private Map<String, Var> attachPrefix() {
            Map<String, Var> prefix = new LinkedHashMap<>();
            if (!check.at("/inputs/key.0").isObject()) {
                return prefix;
            }
            for (int i = 0; i < model.layers(); i++) {
                prefix.put("key." + i, Var.parameter(tensor("key." + i)));
                prefix.put("value." + i, Var.parameter(tensor("value." + i)));
            }
            long n = prefix.get("key.0").size(2);
            SegmentSource source = new SegmentSource() {
                @Override
                public List<List<Attention.Segment>> segments(List<AttentionSite> sites, Pass pass) {
                    return sites.stream().map(s -> List.of(new Attention.Segment(prefix.get("key." + s.layer()),
                            prefix.get("value." + s.layer()), Attention.Visible.ALL))).toList();
                }

                @Override
                public long positions() {
                    return n;
                }
            };
            model.seams().attach(new Hooks("given", Map.of(), Map.of(), Optional.of(source), Map.of(), Map.of()));
            return prefix;
        }

        private void greedy() {
            Map<String, Var> prefix = attachPrefix();
            Tensor prompt = ids("input_ids");
            Tensor mask = textMask();
            int rows = (int) prompt.size(0);
            int length = (int) prompt.size(1);
            JsonNode settings = check.path("settings");
            int width = (int) Golden.longArray(golden.file("expected.safetensors"),
                    check.at("/expected/sequences/tensor").asText()).shape()[1];
            int steps = settings.path("max_new_tokens").asInt(width - length);
            int pad = settings.path("pad_token_id").asInt(0);
            List<Integer> ends = new ArrayList<>();
            settings.path("eos_token_id").forEach(e -> ends.add(e.asInt()));
            if (settings.path("eos_token_id").isInt()) {
                ends.add(settings.get("eos_token_id").asInt());
            }
            long[] tokens = prompt.toLongArray();
            double[] real = mask.toDoubleArray();
            long[][] out = new long[rows][length + steps];
            long[][] next = new long[rows][1];
            long[] position = new long[rows];
            long[] positions = new long[rows * length];
            for (int b = 0; b < rows; b++) {
                for (int t = 0; t < length; t++) {
                    out[b][t] = tokens[b * length + t];
                    position[b] += real[b * length + t] != 0 ? 1 : 0;
                    positions[b * length + t] = Math.max(0, position[b] - 1);
                }
            }
            DecoderCache cache = model.newCache(rows, 4);
            Pass pass = model.seams().inference();
            DecoderInput in = DecoderInput.of(prompt, mask).withPositions(Tensor.of(backend, positions, rows, length));
            boolean[] done = new boolean[rows];
            double[] last = null;
            int made = 0;
            for (int s = 0; s < steps && !all(done); s++, made++) {
                DecoderInput step = in;
                Tensor logits = Recording.off(() -> {
                    Var h = model.forward(step, pass, Optional.of(cache)).text();
                    return model.logits(h.slice(1, h.size(1) - 1, h.size(1)), pass).tensor();
                });
                last = logits.toDoubleArray();
                Tensor best = Tensor.empty(backend, DType.I64, rows, 1);
                backend.argmax(logits, best);
                long[] chosen = best.toLongArray();
                for (int b = 0; b < rows; b++) {
                    next[b][0] = done[b] ? pad : chosen[b];
                    out[b][length + s] = next[b][0];
                    done[b] |= ends.contains((int) next[b][0]);
                }
                long[] flat = new long[rows];
                for (int b = 0; b < rows; b++) {
                    flat[b] = next[b][0];
                }
                in = DecoderInput.of(Tensor.of(backend, flat, rows, 1)).withPositions(Tensor.of(backend, position.clone(), rows, 1));
                for (int b = 0; b < rows; b++) {
                    position[b]++;
                }
            }
            Golden.LongArray want = Golden.longArray(golden.file("expected.safetensors"), check.at("/expected/sequences/tensor").asText());
            assertThat(length + made).isEqualTo(width);
            for (int b = 0; b < rows; b++) {
                for (int t = 0; t < width; t++) {
                    assertThat(out[b][t]).as("row " + b + " token " + t).isEqualTo(want.values()[b * width + t]);
                }
            }
            if (expects("last_logits")) {
                close("last_logits", last);
            }
            assertThat(prefix.isEmpty() || cache.length() == length + made - 1).isTrue();
        }

        private static boolean all(boolean[] flags) {
            for (boolean f : flags) {
                if (!f) {
                    return false;
                }
            }
            return true;
        }

        // ---- reading ----

        private DecoderInput input() {
            DecoderInput in = check.at("/inputs/inputs_embeds").isObject()
                    ? DecoderInput.of(Var.parameter(tensor("inputs_embeds"))) : DecoderInput.of(ids("input_ids"));
            if (check.at("/inputs/attention_mask").isObject()) {
                in = in.withMask(textMask());
            }
            return check.at("/inputs/position_ids").isObject() ? in.withPositions(ids("position_ids")) : in;
        }

        /** The mask without the columns of a given prefix. */
        private Tensor textMask() {
            Tensor mask = ids("attention_mask");
            long prefix = check.at("/inputs/key.0").isObject() ? Golden.array(golden.file("inputs.safetensors"),
                    check.at("/inputs/key.0/tensor").asText()).shape()[2] : 0;
            return mask.slice(1, prefix, mask.size(1)).contiguous();
        }

        private Tensor ids(String name) {
            Golden.LongArray a = Golden.longArray(golden.file("inputs.safetensors"), check.at("/inputs/" + name + "/tensor").asText());
            return Tensor.of(backend, a.values(), a.shape());
        }

        private Tensor tensor(String name) {
            Golden.Array a = Golden.array(golden.file("inputs.safetensors"), check.at("/inputs/" + name + "/tensor").asText());
            return Tensor.of(backend, type, a.values(), a.shape());
        }

        private List<String> expectedNames() {
            List<String> names = new ArrayList<>();
            check.path("expected").fieldNames().forEachRemaining(names::add);
            return names;
        }

        private boolean expects(String name) {
            return check.path("expected").has(name);
        }

        private String atol() {
            return wide ? "atol_float64" : "atol_float32";
        }

        private void close(String name, double[] got) {
            JsonNode e = check.path("expected").path(name);
            double[] want = Golden.array(golden.file("expected.safetensors"), e.get("tensor").asText()).values();
            assertThat(got).as(name).hasSameSizeAs(want);
            for (int i = 0; i < got.length; i++) {
                assertThat(Math.abs(got[i] - want[i])).as(name + "[" + i + "] = " + got[i] + " want " + want[i])
                        .isLessThanOrEqualTo(e.get(atol()).asDouble());
            }
        }

        /** Compares where the mask is 1. */
        private void closeAtTokens(String name, Tensor got) {
            double[] g = got.toDoubleArray();
            if (check.at("/inputs/attention_mask").isObject()) {
                double[] mask = textMask().toDoubleArray();
                int per = g.length / mask.length;
                for (int i = 0; i < g.length; i++) {
                    g[i] = mask[i / per] == 0 ? 0 : g[i];
                }
                Golden.Array want = Golden.array(golden.file("expected.safetensors"), check.at("/expected/" + name + "/tensor").asText());
                for (int i = 0; i < g.length; i++) {
                    if (mask[i / per] != 0) {
                        assertThat(Math.abs(g[i] - want.values()[i])).as(name + "[" + i + "]")
                                .isLessThanOrEqualTo(check.at("/expected/" + name + "/" + atol()).asDouble());
                    }
                }
                return;
            }
            close(name, g);
        }
    }
}
