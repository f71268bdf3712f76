package dev.jotune.models.mamba;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.Models;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Tap;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Mamba against transformers: logits, hidden states, losses, gradients, greedy decoding, given initial states. */
@Tag("golden")
class MambaGoldenTest {
    @TestFactory
    Stream<DynamicTest> everyCheckOnBothBackends() {
        List<DynamicTest> tests = new ArrayList<>();
        Golden.cases("models").filter(c -> c.json().path("model_type").asText().equals("mamba")).forEach(c -> {
            for (boolean wide : new boolean[] {true, false}) {
                for (JsonNode check : c.checks()) {
                    tests.add(DynamicTest.dynamicTest(c.id() + " " + check.get("name").asText() + (wide ? " F64" : " F32"),
                            () -> new Check(c, check, wide).run()));
                }
            }
        });
        assertThat(tests).isNotEmpty();
        return tests.stream();
    }

    /** One check of the manifest. */
    private static final class Check {
        private final Golden.Case golden;
        private final JsonNode check;
        private final boolean wide;
        private final Backend backend;
        private final DType type;
        private final Mamba model;
        /** The given initial states, by input name. */
        private final Map<String, Var> states = new LinkedHashMap<>();
        private final Set<String> compared = new HashSet<>();

        Check(Golden.Case golden, JsonNode check, boolean wide) {
            this.golden = golden;
            this.check = check;
            this.wide = wide;
            this.backend = wide ? Backends.reference() : Backends.cpu();
            this.type = wide ? DType.F64 : DType.F32;
            this.model = Models.load(golden.folder(), backend, type).as(Mamba.class);
        }

        void run() {
            startFromGivenStates();
            if (check.path("expected").has("sequences")) {
                new GreedyRun(model, backend).compare(golden, check, wide);
                return;
            }
            forward();
            Set<String> all = new HashSet<>();
            check.path("expected").fieldNames().forEachRemaining(all::add);
            check.path("numbers").fieldNames().forEachRemaining(all::add);
            assertThat(compared).as("everything expected was compared").containsExactlyInAnyOrderElementsOf(all);
        }

        private void startFromGivenStates() {
            Map<String, Tap> taps = new LinkedHashMap<>();
            for (int i = 0; i < model.layers() && has("state." + i); i++) {
                Var state = Var.parameter(tensor("state." + i));
                states.put("state." + i, state);
                taps.put("layers." + i + ".ssm.state", (_, zero, _) -> state.expandTo(zero.shape()));
            }
            model.seams().attach(Hooks.ofTaps("states", taps));
        }

        private void forward() {
            DecoderInput in = has("inputs_embeds") ? DecoderInput.of(Var.parameter(tensor("inputs_embeds"))) : DecoderInput.of(ids("input_ids"));
            Optional<double[]> mask = has("attention_mask") ? Optional.of(tensor("attention_mask").toDoubleArray()) : Optional.empty();
            if (has("attention_mask")) {
                in = in.withMask(ids("attention_mask"));
            }
            Map<String, Tensor> seen = record();
            Pass pass = model.seams().inference();
            Hidden hidden = model.forward(in, pass, Optional.empty());
            seen.put("logits", model.logits(hidden.text(), pass).tensor());
            seen.forEach((name, t) -> close(name, t, mask));
            finalStates(in, pass);
            if (has("labels")) {
                gradients(in, model.loss(in, ids("labels"), pass));
            }
        }

        private Map<String, Tensor> record() {
            Map<String, Tensor> seen = new LinkedHashMap<>();
            Map<String, Tap> taps = new LinkedHashMap<>();
            // transformers collects Mamba's states behind each block, so that 0 is the first block's and not the embedding.
            for (int i = 0; i < model.layers(); i++) {
                taps.put("layers." + i, keep(seen, "hidden_states." + i));
            }
            taps.put("final", keep(seen, "hidden_states." + model.layers()));
            model.seams().attach(Hooks.ofTaps("recorder", taps));
            return seen;
        }

        private static Tap keep(Map<String, Tensor> seen, String as) {
            return (_, x, _) -> {
                seen.put(as, x.tensor());
                return x;
            };
        }

        /** What a cache holds behind the text. */
        private void finalStates(DecoderInput in, Pass pass) {
            if (!check.path("expected").has("final_state.0")) {
                return;
            }
            MambaCache cache = model.newCache(in.batch(), in.time());
            model.forward(in, pass, Optional.of(cache));
            for (int i = 0; i < model.layers(); i++) {
                close("final_state." + i, cache.state(i), Optional.empty());
            }
        }

        private void gradients(DecoderInput in, Var before) {
            Map<String, Var> wrt = new LinkedHashMap<>(states);
            in.embeds().ifPresent(v -> wrt.put("inputs_embeds", v));
            model.seams().parameters().values().forEach(p -> {
                p.replace(Var.parameter(p.base().tensor()));
                wrt.put(p.path(), p.base());
            });
            Var loss = model.loss(in, ids("labels"), model.seams().inference());
            JsonNode number = check.at("/numbers/loss");
            // Weights that may train are read in another order than frozen ones.
            assertThat(loss.item()).isCloseTo(before.item(), within(wide ? 0 : number.get(tolerance()).asDouble()));
            assertThat(loss.item()).isCloseTo(number.get("value").asDouble(), within(number.get(tolerance()).asDouble()));
            compared.add("loss");
            List<Tensor> grads = Gradients.of(loss, List.copyOf(wrt.values()));
            List<String> names = List.copyOf(wrt.keySet());
            for (int i = 0; i < names.size(); i++) {
                close("grad." + names.get(i), grads.get(i), Optional.empty());
            }
            JsonNode norms = check.path("gradient_l2_norms");
            if (norms.isMissingNode()) {
                return;
            }
            Map<String, JsonNode> given = new LinkedHashMap<>();
            norms.get("of_every_parameter").properties().forEach(e -> given.put(e.getKey(), e.getValue()));
            assertThat(given.keySet()).containsExactlyInAnyOrderElementsOf(model.seams().parameters().keySet());
            given.forEach((name, want) -> {
                double sum = 0;
                for (double v : grads.get(names.indexOf(name)).toDoubleArray()) {
                    sum += v * v;
                }
                String kind = wide ? "_float64" : "_float32";
                assertThat(Math.sqrt(sum)).as(name).isCloseTo(want.asDouble(),
                        within(norms.get("rtol" + kind).asDouble() * want.asDouble() + norms.get("atol" + kind).asDouble()));
            });
        }

        // ---- reading and comparing ----

        private boolean has(String input) {
            return check.path("inputs").has(input);
        }

        private String tolerance() {
            return wide ? "atol_float64" : "atol_float32";
        }

        private Tensor ids(String name) {
            Golden.LongArray a = Golden.longArray(golden.file("inputs.safetensors"), check.at("/inputs/" + name + "/tensor").asText());
            return Tensor.of(backend, a.values(), a.shape());
        }

        private Tensor tensor(String name) {
            Golden.Array a = Golden.array(golden.file("inputs.safetensors"), check.at("/inputs/" + name + "/tensor").asText());
            return Tensor.of(backend, type, a.values(), a.shape());
        }

        /** Compares what is expected under this name, if anything; at padding nothing is defined. */
        private void close(String name, Tensor got, Optional<double[]> mask) {
            JsonNode expected = check.path("expected").path(name);
            if (expected.isMissingNode()) {
                return;
            }
            Golden.Array want = Golden.array(golden.file("expected.safetensors"), expected.get("tensor").asText());
            assertThat(got.shape()).as(name).isEqualTo(want.shape());
            double[] values = got.toDoubleArray();
            int width = mask.map(m -> values.length / m.length).orElse(1);
            for (int i = 0; i < values.length; i++) {
                if (mask.isEmpty() || mask.get()[i / width] != 0) {
                    assertThat(values[i]).as("%s[%d]", name, i).isCloseTo(want.values()[i], within(expected.get(tolerance()).asDouble()));
                }
            }
            compared.add(name);
        }
    }

    /** Greedy decoding of a batch through the cache. */
    private record GreedyRun(Mamba model, Backend backend) {
        void compare(Golden.Case golden, JsonNode check, boolean wide) {
            JsonNode settings = check.path("settings");
            Golden.LongArray prompt = Golden.longArray(golden.file("inputs.safetensors"), check.at("/inputs/input_ids/tensor").asText());
            Golden.LongArray mask = Golden.longArray(golden.file("inputs.safetensors"), check.at("/inputs/attention_mask/tensor").asText());
            Golden.LongArray want = Golden.longArray(golden.file("expected.safetensors"), check.at("/expected/sequences/tensor").asText());
            Set<Long> ends = new HashSet<>();
            JsonNode end = settings.path("eos_token_id");
            (end.isArray() ? end : List.of(end)).forEach(e -> ends.add(e.asLong(-1)));
            int rows = (int) want.shape()[0];
            int length = (int) prompt.shape()[1];
            int width = (int) want.shape()[1];
            MambaCache cache = model.newCache(rows, length);
            DecoderInput in = DecoderInput.of(Tensor.of(backend, prompt.values(), prompt.shape()), Tensor.of(backend, mask.values(), mask.shape()));
            boolean[] done = new boolean[rows];
            double[] last = null;
            for (int at = length; at < width; at++) {
                DecoderInput step = in;
                Tensor logits = Recording.off(() -> {
                    Var h = model.forward(step, model.seams().inference(), Optional.of(cache)).states();
                    return model.logits(h.slice(1, h.size(1) - 1, h.size(1)), model.seams().inference()).tensor();
                });
                last = logits.toDoubleArray();
                Tensor best = Tensor.empty(backend, DType.I64, rows, 1);
                backend.argmax(logits, best);
                long[] next = best.toLongArray();
                for (int b = 0; b < rows; b++) {
                    next[b] = done[b] ? settings.path("pad_token_id").asLong() : next[b];
                    assertThat(next[b]).as("row %d, token %d", b, at).isEqualTo(want.values()[b * width + at]);
                    done[b] |= ends.contains(next[b]);
                }
                in = DecoderInput.of(Tensor.of(backend, next, rows, 1));
            }
            boolean ended = true;
            for (boolean d : done) {
                ended &= d;
            }
            assertThat(ended || width == length + settings.path("max_new_tokens").asInt()).as("decoding stops where it should").isTrue();
            assertThat(cache.length()).isEqualTo(width - 1);
            JsonNode logits = check.path("expected").path("last_logits");
            if (!logits.isMissingNode()) {
                assertThat(last).containsExactly(Golden.array(golden.file("expected.safetensors"), logits.get("tensor").asText()).values(),
                        within(logits.get(wide ? "atol_float64" : "atol_float32").asDouble()));
            }
            assertThat(check.path("expected").size()).as("nothing else is expected").isEqualTo(logits.isMissingNode() ? 1 : 2);
        }
    }
}
