package dev.jotune.models.decoder;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.CausalLm;
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
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/** One check of the manifest on one machine. Whatever the manifest expects and nobody compared is a failure. */
final class DecoderCheck {
    private final Golden.Case golden;
    private final JsonNode check;
    private final boolean wide;
    private final Backend backend;
    private final DType type;
    private final CausalLm model;
    private final Set<String> compared = new HashSet<>();

    /** @param folder of the model: the case's own, or another form of the same model */
    DecoderCheck(Golden.Case golden, Path folder, JsonNode check, boolean wide) {
        this.golden = golden;
        this.check = check;
        this.wide = wide;
        this.backend = wide ? Backends.reference() : Backends.cpu();
        this.type = wide ? DType.F64 : DType.F32;
        this.model = Models.load(folder, backend, type).model();
    }

    void run() {
        if (expectedNames().stream().anyMatch(n -> n.endsWith("inv_freq"))) {
            rope();
        } else if (expects("sequences")) {
            new GreedyCheck(this).run();
        } else {
            forward();
        }
        Set<String> wanted = new TreeSet<>(expectedNames());
        check.path("numbers").properties().stream().filter(e -> !e.getValue().path("informative").asBoolean())
                .forEach(e -> wanted.add(e.getKey()));
        assertThat(new TreeSet<>(compared)).as("what was compared").isEqualTo(wanted);
    }

    private void rope() {
        DecoderConfig config = ((Decoder) model).config();
        for (String name : expectedNames()) {
            Rope rope = ropeOf(config, name);
            List<Double> f = name.startsWith("long_") ? rope.longer().get().inverseFrequencies() : rope.inverseFrequencies();
            close(name, f.stream().mapToDouble(d -> d).toArray());
        }
        check.path("numbers").fieldNames().forEachRemaining(name -> number(name, ropeOf(config, name).attentionScaling()));
    }

    private static Rope ropeOf(DecoderConfig config, String name) {
        boolean byKind = name.startsWith("sliding_attention") || name.startsWith("full_attention");
        int layer = 0;
        while (byKind && config.windows().get(layer) > 0 != name.startsWith("sliding_attention")) {
            layer++;
        }
        return config.ropes().get(layer);
    }

    private void forward() {
        DecoderInput in = input();
        Map<String, Var> prefix = attachPrefix();
        Map<String, Tensor> seen = new LinkedHashMap<>();
        record(seen);
        Pass pass = model.seams().inference();
        Hidden hidden = model.forward(in, pass, Optional.empty());
        seen.put("logits", model.logits(hidden.text(), pass).tensor());
        for (String name : expectedNames()) {
            if (name.startsWith("router_logits") || name.startsWith("chosen")) {
                routed(name, seen);
            } else if (!name.startsWith("grad.")) {
                assertThat(seen).as("what the model shows").containsKey(name);
                closeAtTokens(name, seen.get(name));
            }
        }
        if (check.at("/numbers/aux_loss").isObject()) {
            routerLoss(in, pass);
        } else if (has("labels")) {
            gradients(in, pass, prefix);
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
        model.seams().attentions().forEach(s -> taps.put(s.weightsTap(), keep(seen, "attentions." + s.layer())));
        int routers = 0;
        for (String tap : model.seams().taps().keySet()) {
            if (tap.endsWith(".router")) {
                taps.put(tap, keep(seen, "router_logits." + routers++));
            }
        }
        model.seams().attach(Hooks.ofTaps("recorder", taps));
    }

    private static Tap keep(Map<String, Tensor> seen, String as) {
        return (name, x, pass) -> {
            seen.put(as, x.tensor());
            return x;
        };
    }

    /** Router logits of the real tokens, and the experts that they choose. */
    private void routed(String name, Map<String, Tensor> seen) {
        Tensor logits = seen.get("router_logits" + name.substring(name.indexOf('.')));
        boolean choice = name.startsWith("chosen");
        int k = ((Decoder) model).config().experts().get().perToken();
        int width = choice ? k : Math.toIntExact(logits.size(2));
        int[] chosen = MixtureOfExperts.chosen(logits, k);
        double[] values = logits.toDoubleArray();
        double[] mask = ids("attention_mask").toDoubleArray();
        List<Double> real = new ArrayList<>();
        for (int i = 0; i < mask.length * width; i++) {
            if (mask[i / width] != 0) {
                real.add(choice ? chosen[i] : values[i]);
            }
        }
        double[] got = real.stream().mapToDouble(d -> d).toArray();
        if (choice) {
            long[] want = Golden.longArray(golden.file("expected.safetensors"), check.at("/expected/" + name + "/tensor").asText()).values();
            assertThat(got).as(name).containsExactly(java.util.Arrays.stream(want).asDoubleStream().toArray());
            compared.add(name);
        } else {
            close(name, got);
        }
    }

    /** The text and its labels are those of the check {@code loss_and_gradients}. */
    private void routerLoss(DecoderInput in, Pass pass) {
        Decoder decoder = (Decoder) model;
        ExpertConfig experts = decoder.config().experts().get();
        assertThat(experts.lossCoefficient()).isEqualTo(check.at("/settings/router_aux_loss_coef").asDouble());
        RouterStatistics all = RouterStatistics.observe(decoder, in).values().stream().reduce(RouterStatistics::plus).get();
        number("aux_loss", all.loadBalancingLoss());
        JsonNode labelled = golden.checks().stream().filter(k -> k.get("name").asText().equals("loss_and_gradients")).findFirst().get();
        assertThat(in.ids().get().toLongArray()).isEqualTo(ids(labelled, "input_ids").toLongArray());
        number("loss", decoder.withRouterLoss(true).loss(in, ids(labelled, "labels"), pass).item());
    }

    private void gradients(DecoderInput in, Pass pass, Map<String, Var> prefix) {
        List<String> names = new ArrayList<>();
        List<Var> wrt = new ArrayList<>();
        prefix.forEach((k, v) -> {
            names.add("grad." + k);
            wrt.add(v);
        });
        in.embeds().ifPresent(v -> {
            names.add("grad.inputs_embeds");
            wrt.add(v);
        });
        boolean parameters = check.has("gradient_l2_norms")
                || expectedNames().stream().anyMatch(n -> n.startsWith("grad.") && !names.contains(n));
        if (parameters) {
            for (Parameter p : model.seams().parameters().values()) {
                p.replace(Var.parameter(p.base().tensor()));
                names.add("grad." + p.path());
                wrt.add(p.base());
            }
        }
        Var loss = model.loss(in, ids("labels"), pass);
        number("loss", loss.item());
        if (wrt.isEmpty()) {
            return;
        }
        List<Tensor> grads = Gradients.of(loss, wrt);
        for (int i = 0; i < names.size(); i++) {
            if (expects(names.get(i))) {
                close(names.get(i), grads.get(i).toDoubleArray());
            }
        }
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
            assertThat(Math.sqrt(sum)).as(e.getKey()).isCloseTo(want, within(tol));
        });
    }

    /** Keys and values of every layer, given as inputs {@code key.i}, {@code value.i}. */
    Map<String, Var> attachPrefix() {
        Map<String, Var> prefix = new LinkedHashMap<>();
        if (!has("key.0")) {
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

    // ---- reading ----

    CausalLm model() {
        return model;
    }

    Backend backend() {
        return backend;
    }

    JsonNode settings() {
        return check.path("settings");
    }

    boolean has(String input) {
        return check.path("inputs").path(input).isObject();
    }

    private DecoderInput input() {
        DecoderInput in = has("inputs_embeds") ? DecoderInput.of(Var.parameter(tensor("inputs_embeds"))) : DecoderInput.of(ids("input_ids"));
        if (has("attention_mask")) {
            in = in.withMask(textMask());
        }
        return has("position_ids") ? in.withPositions(ids("position_ids")) : in;
    }

    /** The mask without the columns of a given prefix. */
    Tensor textMask() {
        Tensor mask = ids("attention_mask");
        long prefix = has("key.0") ? check.at("/inputs/key.0/shape/2").asLong() : 0;
        return mask.slice(1, prefix, mask.size(1)).contiguous();
    }

    Tensor ids(String name) {
        return ids(check, name);
    }

    private Tensor ids(JsonNode of, String name) {
        Golden.LongArray a = Golden.longArray(golden.file("inputs.safetensors"), of.at("/inputs/" + name + "/tensor").asText());
        return Tensor.of(backend, a.values(), a.shape());
    }

    private Tensor tensor(String name) {
        Golden.Array a = Golden.array(golden.file("inputs.safetensors"), check.at("/inputs/" + name + "/tensor").asText());
        return Tensor.of(backend, type, a.values(), a.shape());
    }

    Golden.LongArray expectedIds(String name) {
        compared.add(name);
        return Golden.longArray(golden.file("expected.safetensors"), check.at("/expected/" + name + "/tensor").asText());
    }

    private List<String> expectedNames() {
        List<String> names = new ArrayList<>();
        check.path("expected").fieldNames().forEachRemaining(names::add);
        return names;
    }

    boolean expects(String name) {
        return check.path("expected").has(name);
    }

    // ---- comparing ----

    private String atol() {
        return wide ? "atol_float64" : "atol_float32";
    }

    private void number(String name, double got) {
        JsonNode want = check.path("numbers").path(name);
        assertThat(got).as(name).isCloseTo(want.get("value").asDouble(), within(want.get(atol()).asDouble()));
        compared.add(name);
    }

    void close(String name, double[] got) {
        close(name, got, new double[] {1}, got.length);
    }

    /** Compares where the mask is 1. */
    private void closeAtTokens(String name, Tensor got) {
        double[] g = got.toDoubleArray();
        double[] mask = has("attention_mask") ? textMask().toDoubleArray() : new double[] {1};
        if (name.startsWith("attentions") && mask.length > 1) {
            // [B, H, T, S]: the rows of one query are S apart, for each head anew.
            double[] perHead = new double[Math.toIntExact(got.numel() / got.size(3))];
            int time = Math.toIntExact(got.size(2));
            java.util.Arrays.setAll(perHead, i -> mask[i / (int) (got.size(1) * time) * time + i % time]);
            close(name, g, perHead, Math.toIntExact(got.size(3)));
        } else {
            close(name, g, mask, g.length / mask.length);
        }
    }

    private void close(String name, double[] got, double[] mask, int per) {
        JsonNode e = check.path("expected").path(name);
        double[] want = Golden.array(golden.file("expected.safetensors"), e.get("tensor").asText()).values();
        assertThat(got).as(name).hasSameSizeAs(want);
        double atol = e.get(atol()).asDouble();
        for (int i = 0; i < got.length; i++) {
            if (mask[i / per] != 0) {
                assertThat(Math.abs(got[i] - want[i])).as("%s[%d] = %s, want %s", name, i, got[i], want[i]).isLessThanOrEqualTo(atol);
            }
        }
        compared.add(name);
    }
}
