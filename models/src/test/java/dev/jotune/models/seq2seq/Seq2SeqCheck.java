package dev.jotune.models.seq2seq;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Encoded;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Models;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.seam.AttentionSite.Kind;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Tap;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;

/** One check of an encoder-decoder's golden case: reads its inputs, compares everything that it expects. */
final class Seq2SeqCheck {
    private final Golden.Case golden;
    private final JsonNode check;
    private final boolean wide;
    private final Backend backend;
    private final DType type;
    private final Seq2SeqLm model;
    /** Everything that gradients may be asked for, by the name after {@code grad.}. */
    private final Map<String, Var> variables = new LinkedHashMap<>();

    /** @param folder of the checkpoint: the case's own, or a copy with another form of its configuration */
    Seq2SeqCheck(Golden.Case golden, Path folder, JsonNode check, boolean wide) {
        this.golden = golden;
        this.check = check;
        this.wide = wide;
        this.backend = wide ? Backends.reference() : Backends.cpu();
        this.type = wide ? DType.F64 : DType.F32;
        this.model = Models.load(folder, backend, type).as(Seq2SeqLm.class);
    }

    Seq2SeqLm model() {
        return model;
    }

    // ---- forward, loss, gradients ----

    void forward() {
        attachPrefix();
        if (check.has("gradient_l2_norms") || names("expected").stream().anyMatch(n -> n.startsWith("grad.") && n.endsWith("weight"))) {
            for (Parameter p : model.seams().parameters().values()) {
                p.replace(Var.parameter(p.base().tensor()));
                variables.put(p.path(), p.base());
            }
        }
        Map<String, Tensor> seen = new LinkedHashMap<>();
        record(seen);
        Pass pass = model.seams().inference();
        Encoded source = model.encode(source(), pass);
        Var states = model.decode(target(), source, pass, Optional.empty()).text();
        seen.put("logits", model.logits(states, pass).tensor());
        model.seams().detach("recorder");
        Map<String, Tensor> gradients = gradients(model.seams().inference());
        for (String name : names("expected")) {
            Tensor got = name.startsWith("grad.") ? gradients.get(name.substring(5)) : seen.get(name);
            assertThat(got).as("what the check expects as " + name).isNotNull();
            close(name, got, mask(name));
        }
    }

    private void record(Map<String, Tensor> seen) {
        Map<String, Tap> taps = new LinkedHashMap<>();
        for (String side : List.of("encoder", "decoder")) {
            int layers = sites(side.equals("encoder") ? Kind.BIDIRECTIONAL : Kind.CAUSAL).size();
            taps.put(side + ".embed", keep(seen, side + "_hidden_states.0"));
            taps.put(side + ".final", keep(seen, side + "_hidden_states." + layers));
            for (int i = 0; i < layers; i++) {
                taps.put(side + ".layers." + i + ".attn.weights", keep(seen, side + "_attentions." + i));
                if (i + 1 < layers) {
                    taps.put(side + ".layers." + i, keep(seen, side + "_hidden_states." + (i + 1)));
                }
            }
        }
        sites(Kind.CROSS).forEach(s -> taps.put(s + ".weights", keep(seen, "cross_attentions." + s.split("\\.")[2])));
        model.seams().attach(Hooks.ofTaps("recorder", taps));
    }

    private static Tap keep(Map<String, Tensor> seen, String as) {
        return (name, x, pass) -> {
            seen.put(as, x.tensor());
            return x;
        };
    }

    private List<String> sites(Kind kind) {
        return model.seams().attentions().stream().filter(s -> s.kind() == kind).map(s -> s.tap()).toList();
    }

    private Map<String, Tensor> gradients(Pass pass) {
        Map<String, Tensor> out = new LinkedHashMap<>();
        if (!has("labels")) {
            assertThat(check.path("numbers").isEmpty()).as("no numbers without labels").isTrue();
            return out;
        }
        boolean given = has("decoder_input_ids") || has("decoder_inputs_embeds");
        Var loss = given ? model.loss(source(), target(), ids("labels"), pass) : model.loss(source(), ids("labels"), pass);
        for (String number : names("numbers")) {
            assertThat(number).isEqualTo("loss");
            assertThat(loss.item()).isCloseTo(check.at("/numbers/loss/value").asDouble(),
                    within(check.at("/numbers/loss/" + (wide ? "atol_float64" : "atol_float32")).asDouble()));
        }
        if (!variables.isEmpty()) {
            List<Tensor> all = Gradients.of(loss, List.copyOf(variables.values()));
            int i = 0;
            for (String name : variables.keySet()) {
                out.put(name, all.get(i++));
            }
        }
        norms(out);
        return out;
    }

    private void norms(Map<String, Tensor> gradients) {
        JsonNode norms = check.path("gradient_l2_norms");
        if (norms.isMissingNode()) {
            return;
        }
        JsonNode each = norms.get("of_every_parameter");
        assertThat(each.size()).as("parameters with a norm").isEqualTo(model.seams().parameters().size());
        String bits = wide ? "_float64" : "_float32";
        each.properties().forEach(e -> {
            assertThat(gradients).containsKey(e.getKey());
            double sum = 0;
            for (double v : gradients.get(e.getKey()).toDoubleArray()) {
                sum += v * v;
            }
            double want = e.getValue().asDouble();
            assertThat(Math.sqrt(sum)).as(e.getKey())
                    .isCloseTo(want, within(norms.get("rtol" + bits).asDouble() * want + norms.get("atol" + bits).asDouble()));
        });
    }

    // ---- greedy decoding ----

    /** The whole batch with one cache. */
    void greedy() {
        Pass pass = model.seams().inference();
        Encoded source = Recording.off(() -> model.encode(source(), pass));
        Tensor prompt = prompt();
        int rows = (int) prompt.size(0);
        int start = (int) prompt.size(1);
        int steps = check.at("/settings/max_new_tokens").asInt();
        long[][] out = new long[rows][start + steps];
        for (int b = 0; b < rows; b++) {
            System.arraycopy(prompt.select(0, b).toLongArray(), 0, out[b], 0, start);
        }
        boolean[] done = new boolean[rows];
        DecoderCache cache = model.newCache(rows, 2);
        DecoderInput input = DecoderInput.of(prompt);
        Tensor last = null;
        int made = 0;
        for (; made < steps && IntStream.range(0, rows).anyMatch(b -> !done[b]); made++) {
            DecoderInput in = input;
            last = Recording.off(() -> {
                Var h = model.decode(in, source, pass, Optional.of(cache)).states();
                return model.logits(h.slice(1, h.size(1) - 1, h.size(1)), pass).tensor();
            });
            long[] next = best(last);
            for (int b = 0; b < rows; b++) {
                next[b] = done[b] ? check.at("/settings/pad_token_id").asLong() : next[b];
                out[b][start + made] = next[b];
                done[b] |= isEnd(next[b]);
            }
            input = DecoderInput.of(Tensor.of(backend, next, rows, 1));
        }
        cache.free();
        Golden.LongArray want = expectedIds("sequences");
        assertThat(want.shape()).containsExactly(rows, start + made);
        for (int b = 0; b < rows; b++) {
            for (int t = 0; t < start + made; t++) {
                assertThat(out[b][t]).as("row %d token %d", b, t).isEqualTo(want.values()[b * (start + made) + t]);
            }
        }
        for (String name : names("expected")) {
            assertThat(name).isIn("sequences", "last_logits");
            if (name.equals("last_logits")) {
                close(name, last.select(1, 0), null);
            }
        }
    }

    private long[] best(Tensor logits) {
        Tensor best = Tensor.empty(backend, DType.I64, logits.size(0), 1);
        backend.argmax(logits, best);
        return best.toLongArray();
    }

    boolean isEnd(long token) {
        JsonNode ends = check.at("/settings/eos_token_id");
        return ends.isInt() && ends.asLong() == token
                || ends.isArray() && Golden.children(ends).stream().anyMatch(e -> e.asLong() == token);
    }

    /** What decoding begins with: the given tokens, or the start token. */
    Tensor prompt() {
        if (has("decoder_input_ids")) {
            return ids("decoder_input_ids");
        }
        assertThat(model.decoderStartToken()).isEqualTo(check.at("/settings/decoder_start_token_id").asInt());
        return Tensor.full(backend, DType.I64, model.decoderStartToken(), source().batch(), 1);
    }

    // ---- reading ----

    EncoderInput source() {
        String embeds = has("input_features") ? "input_features" : "inputs_embeds";
        EncoderInput in = has(embeds) ? EncoderInput.of(variable(embeds)) : EncoderInput.of(ids("input_ids"));
        return has("attention_mask") ? in.withMask(ids("attention_mask")) : in;
    }

    private DecoderInput target() {
        DecoderInput in = has("decoder_inputs_embeds") ? DecoderInput.of(variable("decoder_inputs_embeds"))
                : DecoderInput.of(has("decoder_input_ids") ? ids("decoder_input_ids") : model.shiftRight(ids("labels")));
        return has("decoder_attention_mask") ? in.withMask(ids("decoder_attention_mask")) : in;
    }

    /** Keys and values before the text: {@code key.0} as a past with positions, {@code encoder.key.0} and others without. */
    private void attachPrefix() {
        for (String input : names("inputs")) {
            if (input.matches("((encoder|decoder|cross)\\.)?(key|value)\\.\\d+")) {
                variables.put(input, Var.parameter(tensor(input)));
            }
        }
        if (!variables.isEmpty()) {
            boolean past = variables.containsKey("key.0");
            model.seams().attach(new Hooks("given", Map.of(), Map.of(), Optional.of(new GivenKeys(variables, past)), Map.of(), Map.of()));
        }
    }

    private Var variable(String name) {
        return variables.computeIfAbsent(name, n -> Var.parameter(tensor(n)));
    }

    /** Where an expected tensor is defined; null for everywhere. */
    private double[] mask(String name) {
        String input = name.startsWith("encoder_") ? "attention_mask" : "decoder_attention_mask";
        return has(input) && !name.startsWith("grad.") ? ids(input).toDoubleArray() : null;
    }

    boolean has(String input) {
        return check.path("inputs").has(input);
    }

    private List<String> names(String part) {
        List<String> names = new ArrayList<>();
        check.path(part).fieldNames().forEachRemaining(names::add);
        return names.stream().filter(n -> !check.path(part).path(n).path("informative").asBoolean()).toList();
    }

    Tensor ids(String name) {
        Golden.LongArray a = Golden.longArray(golden.file("inputs.safetensors"), check.at("/inputs/" + name + "/tensor").asText());
        return Tensor.of(backend, a.values(), a.shape());
    }

    private Tensor tensor(String name) {
        Golden.Array a = Golden.array(golden.file("inputs.safetensors"), check.at("/inputs/" + name + "/tensor").asText());
        return Tensor.of(backend, type, a.values(), a.shape());
    }

    Golden.LongArray expectedIds(String name) {
        return Golden.longArray(golden.file("expected.safetensors"), check.path("expected").path(name).get("tensor").asText());
    }

    private void close(String name, Tensor got, double[] mask) {
        JsonNode e = check.path("expected").path(name);
        Golden.Array want = Golden.array(golden.file("expected.safetensors"), e.get("tensor").asText());
        assertThat(got.shape()).as(name).isEqualTo(want.shape());
        double[] g = got.toDoubleArray();
        long[] shape = want.shape();
        double atol = e.get(wide ? "atol_float64" : "atol_float32").asDouble();
        // Positions are the second axis of states, and the third, after the heads, of attention probabilities.
        int per = (int) (shape.length == 4 ? shape[3] : shape[shape.length - 1]);
        int heads = shape.length == 4 ? (int) shape[1] : 1;
        int time = shape.length == 4 ? (int) shape[2] : shape.length > 1 ? (int) shape[1] : 1;
        for (int i = 0; i < g.length; i++) {
            int position = i / per % time + i / (per * time * heads) * time;
            if (mask == null || mask[position] != 0) {
                assertThat(Math.abs(g[i] - want.values()[i])).as("%s[%d] = %s, want %s", name, i, g[i], want.values()[i])
                        .isLessThanOrEqualTo(atol);
            }
        }
    }
}
