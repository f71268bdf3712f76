package dev.jotune.models.bert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.Encoder;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.MaskedLm;
import dev.jotune.models.Models;
import dev.jotune.models.ProblemType;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.TokenClassifier;
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
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Encoders against transformers: hidden states, attentions, logits, losses, gradients, given prefixes. */
@Tag("golden")
class EncoderGoldenTest {
    private static final Set<String> FAMILIES = Set.of("bert", "roberta", "distilbert", "deberta-v2");
    private static final Set<String> INPUTS = Set.of("input_ids", "attention_mask", "token_type_ids", "position_ids", "labels",
            "inputs_embeds");

    @TestFactory
    Stream<DynamicTest> everyCheckOnBothBackends() {
        List<DynamicTest> tests = new ArrayList<>();
        Golden.cases("models").filter(c -> FAMILIES.contains(c.json().path("model_type").asText())).forEach(c -> {
            for (boolean wide : new boolean[] {true, false}) {
                for (JsonNode check : c.checks()) {
                    tests.add(DynamicTest.dynamicTest(c.id() + " " + check.get("name").asText() + (wide ? " F64" : " F32"),
                            () -> new GoldenCheck(c, check, wide).run()));
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
        private final Encoder model;
        private final Map<String, Tensor> seen = new LinkedHashMap<>();
        private final Map<String, Var> prefix = new LinkedHashMap<>();

        GoldenCheck(Golden.Case golden, JsonNode check, boolean wide) {
            this.golden = golden;
            this.check = check;
            this.wide = wide;
            this.backend = wide ? Backends.reference() : Backends.cpu();
            this.type = wide ? DType.F64 : DType.F32;
            this.model = Models.load(golden.folder(), backend, type).as(Encoder.class);
        }

        void run() {
            check.path("inputs").fieldNames().forEachRemaining(n -> assertThat(INPUTS.contains(n) || n.matches("(key|value)\\.\\d+"))
                    .as("input " + n + " is known").isTrue());
            check.path("numbers").fieldNames().forEachRemaining(n -> assertThat(n).isEqualTo("loss"));
            EncoderInput in = input();
            attachPrefix(in);
            watch();
            Pass pass = model.seams().inference();
            Hidden hidden = model.forward(in, pass);
            for (String name : names("expected")) {
                if (name.equals("logits")) {
                    closeAtTokens(name, logits(hidden, pass).tensor());
                } else if (name.startsWith("hidden_states.") || name.startsWith("attentions.")) {
                    assertThat(seen).containsKey(name);
                    closeAtTokens(name, seen.get(name));
                } else {
                    assertThat(name).as("an expected tensor that this test knows").startsWith("grad.");
                }
            }
            if (has("labels")) {
                gradients(in, pass);
            } else {
                assertThat(names("expected")).noneMatch(n -> n.startsWith("grad."));
                assertThat(names("numbers")).isEmpty();
            }
        }

        private Var logits(Hidden hidden, Pass pass) {
            return switch (model) {
                case MaskedLm m -> m.logits(hidden.text(), pass);
                case SequenceClassifier s -> s.logits(hidden, pass);
                case TokenClassifier t -> t.logits(hidden.text(), pass);
                default -> throw new AssertionError(golden + " has no head");
            };
        }

        private Var loss(EncoderInput in, Pass pass) {
            String architecture = golden.json().path("architecture").asText();
            if (model instanceof SequenceClassifier s) {
                assertThat(architecture).endsWith("ForSequenceClassification");
                Matcher m = Pattern.compile("problem_type (\\w+)").matcher(check.path("how").asText());
                Tensor labels = floating("labels") ? tensor("labels") : ids("labels");
                return m.find() ? s.loss(in, labels, ProblemType.valueOf(m.group(1).toUpperCase(Locale.ROOT)), pass)
                        : s.loss(in, labels, pass);
            }
            return model instanceof MaskedLm m ? m.loss(in, ids("labels"), pass)
                    : model.as(TokenClassifier.class).loss(in, ids("labels"), pass);
        }

        private void watch() {
            Map<String, Tap> taps = new LinkedHashMap<>();
            taps.put("embed", keep("hidden_states.0"));
            for (int i = 0; i < model.layers(); i++) {
                taps.put(i + 1 == model.layers() ? "final" : "layers." + i, keep("hidden_states." + (i + 1)));
                taps.put("layers." + i + ".attn.weights", keep("attentions." + i));
            }
            model.seams().attach(Hooks.ofTaps("recorder", taps));
        }

        private Tap keep(String as) {
            return (name, x, pass) -> {
                seen.put(as, x.tensor());
                return x;
            };
        }

        private void gradients(EncoderInput in, Pass pass) {
            Map<String, Var> wrt = new LinkedHashMap<>();
            prefix.forEach((k, v) -> wrt.put("grad." + k, v));
            in.embeds().ifPresent(v -> wrt.put("grad.inputs_embeds", v));
            List<String> asked = names("expected").stream().filter(n -> n.startsWith("grad.")).toList();
            if (check.has("gradient_l2_norms") || !wrt.keySet().containsAll(asked)) {
                for (Parameter p : model.seams().parameters().values()) {
                    p.replace(Var.parameter(p.base().tensor()));
                    wrt.put("grad." + p.path(), p.base());
                }
            }
            Var loss = loss(in, pass);
            JsonNode want = check.at("/numbers/loss");
            assertThat(loss.item()).isCloseTo(want.path("value").asDouble(), within(want.path(atol()).asDouble()));
            if (wrt.isEmpty()) {
                return;
            }
            List<Tensor> grads = Gradients.of(loss, List.copyOf(wrt.values()));
            Map<String, Tensor> byName = new LinkedHashMap<>();
            wrt.keySet().forEach(n -> byName.put(n, grads.get(byName.size())));
            for (String name : asked) {
                assertThat(byName).containsKey(name);
                close(name, byName.get(name).toDoubleArray());
            }
            norms(byName);
        }

        private void norms(Map<String, Tensor> grads) {
            JsonNode norms = check.path("gradient_l2_norms");
            if (norms.isMissingNode()) {
                return;
            }
            assertThat(norms.path("of_every_parameter").size()).isEqualTo(model.seams().parameters().size());
            norms.path("of_every_parameter").properties().forEach(e -> {
                double sum = 0;
                for (double v : grads.get("grad." + e.getKey()).toDoubleArray()) {
                    sum += v * v;
                }
                double want = e.getValue().asDouble();
                double tolerance = norms.path(wide ? "rtol_float64" : "rtol_float32").asDouble() * want + norms.path(atol()).asDouble();
                assertThat(Math.sqrt(sum)).as(e.getKey()).isCloseTo(want, within(tolerance));
            });
        }

        /** Keys and values of every layer; they take positions where the mask has columns for them. */
        private void attachPrefix(EncoderInput in) {
            if (!has("key.0")) {
                return;
            }
            for (int i = 0; i < model.layers(); i++) {
                prefix.put("key." + i, Var.parameter(tensor("key." + i)));
                prefix.put("value." + i, Var.parameter(tensor("value." + i)));
            }
            long shift = has("attention_mask") ? ids("attention_mask").size(1) - in.time() : 0;
            SegmentSource source = new SegmentSource() {
                @Override
                public List<List<Attention.Segment>> segments(List<AttentionSite> sites, Pass pass) {
                    return sites.stream().map(s -> List.of(new Attention.Segment(prefix.get("key." + s.layer()),
                            prefix.get("value." + s.layer()), Attention.Visible.ALL))).toList();
                }

                @Override
                public long positions() {
                    return shift;
                }
            };
            model.seams().attach(new Hooks("given", Map.of(), Map.of(), Optional.of(source), Map.of(), Map.of()));
        }

        // ---- reading ----

        private EncoderInput input() {
            EncoderInput in = has("inputs_embeds") ? EncoderInput.of(Var.parameter(tensor("inputs_embeds")))
                    : EncoderInput.of(ids("input_ids"));
            if (has("attention_mask")) {
                Tensor mask = ids("attention_mask");
                in = in.withMask(mask.slice(1, mask.size(1) - in.time(), mask.size(1)).contiguous());
            }
            in = has("token_type_ids") ? in.withTokenTypes(ids("token_type_ids")) : in;
            return has("position_ids") ? in.withPositions(ids("position_ids")) : in;
        }

        private boolean has(String input) {
            return check.path("inputs").has(input);
        }

        private boolean floating(String input) {
            return check.path("inputs").path(input).path("dtype").asText().startsWith("F");
        }

        private Tensor ids(String name) {
            Golden.LongArray a = Golden.longArray(golden.file("inputs.safetensors"), check.path("inputs").path(name).get("tensor").asText());
            return Tensor.of(backend, a.values(), a.shape());
        }

        private Tensor tensor(String name) {
            Golden.Array a = Golden.array(golden.file("inputs.safetensors"), check.path("inputs").path(name).get("tensor").asText());
            return Tensor.of(backend, type, a.values(), a.shape());
        }

        private List<String> names(String of) {
            List<String> names = new ArrayList<>();
            check.path(of).fieldNames().forEachRemaining(names::add);
            return names;
        }

        private String atol() {
            return wide ? "atol_float64" : "atol_float32";
        }

        private void close(String name, double[] got) {
            close(name, got, i -> true);
        }

        private void close(String name, double[] got, IntPredicate counts) {
            JsonNode e = check.path("expected").path(name);
            double[] want = Golden.array(golden.file("expected.safetensors"), e.get("tensor").asText()).values();
            assertThat(got).as(name).hasSameSizeAs(want);
            for (int i = 0; i < got.length; i++) {
                if (counts.test(i)) {
                    assertThat(Math.abs(got[i] - want[i])).as(name + "[" + i + "] = " + got[i] + " want " + want[i])
                            .isLessThanOrEqualTo(e.get(atol()).asDouble());
                }
            }
        }

        /** Compares at queries where the mask is 1: states and logits of tokens {@code [B, T, ..]}, attentions {@code [B, H, T, S]}. */
        private void closeAtTokens(String name, Tensor got) {
            boolean perToken = got.rank() > 2;
            if (!perToken || input().mask().isEmpty()) {
                close(name, got.toDoubleArray());
                return;
            }
            double[] mask = input().mask().get().toDoubleArray();
            int axis = got.rank() == 4 ? 2 : 1;
            int time = (int) got.size(axis);
            int inner = (int) got.size(-1);
            int row = (int) (got.numel() / got.size(0));
            close(name, got.toDoubleArray(), i -> mask[i / row * time + i / inner % time] != 0);
        }
    }
}
