package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Schedule;
import dev.jotune.autograd.optim.Trainable;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Adapters made by Hugging Face PEFT on Llama, BERT and T5: they load, compute, merge, train, generate and are written as there. */
@Tag("golden")
class PeftGoldenTest {
    private static final String HEAD = "base_model.model.lm_head.lora_";
    private static final String TABLE = "base_model.model.transformer.wte.lora_embedding_";

    @TempDir
    Path folder;

    @TestFactory
    Stream<DynamicContainer> everyAdapterOnBothBackends() {
        List<PeftCase> cases = Stream.of(true, false).flatMap(PeftCase::all).toList();
        assertThat(cases).isNotEmpty();
        return cases.stream().map(c -> DynamicContainer.dynamicContainer(c.toString(), checks(c)));
    }

    private Stream<DynamicTest> checks(PeftCase c) {
        List<DynamicTest> tests = new ArrayList<>();
        Optional<String> refused = Unsupported.field(c.config());
        if (refused.isPresent()) {
            tests.add(DynamicTest.dynamicTest("is refused", () -> refuses(c, refused.get())));
        } else {
            tests.add(DynamicTest.dynamicTest("base and adapter logits", () -> logits(c)));
            if (isPair(c)) {
                tests.add(DynamicTest.dynamicTest("loss and gradients of a pair", () -> gradientsOfPair(c)));
            } else {
                tests.add(DynamicTest.dynamicTest("merging", () -> merging(c)));
                tests.add(DynamicTest.dynamicTest("loss and gradients", () -> gradients(c)));
                tests.add(DynamicTest.dynamicTest("training", () -> training(c)));
            }
            if (c.json().get("generated").isObject()) {
                tests.add(DynamicTest.dynamicTest("generation", () -> generation(c)));
            }
            tests.add(DynamicTest.dynamicTest("files", () -> files(c)));
        }
        if (Files.isDirectory(c.folder().resolve("pruned"))) {
            tests.add(DynamicTest.dynamicTest("pruned", () -> pruned(c)));
        }
        if (Files.isDirectory(c.folder().resolve("converted"))) {
            tests.add(DynamicTest.dynamicTest("converted to plain LoRA", () -> converted(c)));
        }
        return tests.stream();
    }

    private void refuses(PeftCase c, String field) {
        Backbone model = c.model();
        assertThatThrownBy(() -> c.load(model)).isInstanceOf(AdapterException.class).hasMessageContaining(field);
        assertThat(model.seams().attached()).isEmpty();
    }

    private void logits(PeftCase c) {
        Backbone model = c.model();
        Tensor plain = c.logits(model);
        double baseTolerance = Golden.json(c.base().resolve("expected.json")).at("/tolerances/logits").asDouble();
        c.closeLogits("base logits", Golden.array(c.base().resolve("expected.safetensors"), "logits"), model, plain, v -> baseTolerance);
        Adapter adapter = c.load(model);
        long counted = c.json().get("trainable_parameters").asLong();
        assertThat(c.trainable(c.model()).trainableCount()).isEqualTo(isPair(c) ? counted / 2 : counted);
        c.closeLogits("logits", c.expected("logits"), model);
        adapter.detach();
        assertThat(c.logits(model).toDoubleArray()).isEqualTo(plain.toDoubleArray());
    }

    private void merging(PeftCase c) {
        Backbone model = c.model();
        Adapter adapter = c.load(model);
        JsonNode merge = c.json().get("merge");
        Map<String, Parameter.Content> before = new LinkedHashMap<>();
        Map<String, double[]> numbers = new LinkedHashMap<>();
        model.seams().parameters().forEach((path, p) -> {
            before.put(path, p.content());
            numbers.put(path, p.base().tensor().toDoubleArray());
        });
        List<String> wanted = Golden.children(merge.path("changed")).stream().map(JsonNode::asText).toList();
        List<String> readers = model.seams().tables().values().stream().map(LinearLayer::weight).map(model.seams()::readers)
                .filter(r -> r.size() > 1).flatMap(List::stream).map(l -> l.path() + ".weight").toList();
        // Of a weight that is tied, PEFT changes one end and so parts them, or both and so changes the model.
        boolean parted = wanted.stream().filter(readers::contains).count() == 1;
        boolean changes = merge.get("supported").asBoolean() && merge.get("max_abs_diff").asDouble() > 1e-6;
        if (!merge.get("supported").asBoolean() || parted || changes) {
            assertThatThrownBy(adapter::merge).isInstanceOf(AdapterException.class)
                    .hasMessageContaining(parted || changes ? "merging would change both" : "merged");
            c.closeLogits("logits after the refusal", c.expected("logits"), model);
            return;
        }
        adapter.merge();
        List<String> changed = model.seams().parameters().values().stream().filter(p -> p.content() != before.get(p.path()))
                .map(Parameter::path).toList();
        assertThat(changed).containsAll(wanted.stream().filter(before::containsKey).toList());
        for (String name : c.expectedUnder("merged/")) {
            c.close("merged " + name, "logits", c.expected("merged/" + name), weight(model, name));
        }
        c.closeLogits("merged logits", c.expected(c.expects("logits.merged") ? "logits.merged" : "logits"), model);
        adapter.unmerge();
        model.seams().parameters().forEach((path, p) -> {
            assertThat(p.content()).as(path).isSameAs(before.get(path));
            assertThat(p.base().tensor().toDoubleArray()).as(path).isEqualTo(numbers.get(path));
        });
        c.closeLogits("logits after unmerging", c.expected("logits"), model);
    }

    /** A weight by the name that it has in transformers, which may keep several in one. */
    private static double[] weight(Backbone model, String name) {
        Parameter p = model.seams().parameters().get(name);
        return p != null ? p.base().tensor().toDoubleArray() : model.seams().stacks().stream()
                .filter(s -> name.equals(s.module() + "." + s.name())).flatMap(s -> s.experts().stream()).flatMap(List::stream)
                .flatMapToDouble(l -> Arrays.stream(l.weight().base().tensor().toDoubleArray())).toArray();
    }

    /**
     * Whether a table and its head share their factors. In PEFT either counts, is stepped and merged as if it were alone, so that the
     * factors move twice in a step; here they are one.
     */
    private static boolean isPair(PeftCase c) {
        return c.config().path("ensure_weight_tying").asBoolean() && c.expects("grad/" + HEAD + "A.weight");
    }

    private void gradientsOfPair(PeftCase c) {
        Backbone model = c.model();
        Adapter adapter = c.trainable(model);
        Var loss = c.loss(model, adapter);
        double want = c.json().get("loss").asDouble();
        assertThat(loss.item()).isCloseTo(want, within(c.tolerance("loss", want)));
        List<String> names = List.copyOf(adapter.trainables().keySet());
        List<Tensor> gradients = Gradients.of(loss, List.copyOf(adapter.trainables().values()));
        for (String factor : List.of("A", "B")) {
            int at = names.indexOf(TABLE + factor);
            Golden.Array table = c.expected("grad/" + TABLE + factor);
            Golden.Array head = c.expected("grad/" + HEAD + (factor.equals("A") ? "B" : "A") + ".weight");
            double[] sum = table.values().clone();
            int columns = (int) table.shape()[1];
            for (int i = 0; i < sum.length; i++) {
                sum[i] += head.values()[i % columns * (sum.length / columns) + i / columns];
            }
            c.close("gradient of " + factor, "grad", new Golden.Array(table.shape(), sum), gradients.get(at).toDoubleArray());
        }
    }

    private void gradients(PeftCase c) {
        Backbone model = c.model();
        Adapter adapter = c.trainable(model);
        Var loss = c.loss(model, adapter);
        double want = c.json().get("loss").asDouble();
        assertThat(loss.item()).isCloseTo(want, within(c.tolerance("loss", want)));
        List<String> names = List.copyOf(adapter.trainables().keySet());
        List<Tensor> gradients = Gradients.of(loss, List.copyOf(adapter.trainables().values()));
        assertThat(names).containsExactlyInAnyOrderElementsOf(c.expectedUnder("grad/").stream().map(PeftCase::plain).toList());
        for (String name : c.expectedUnder("grad/")) {
            c.close("gradient of " + name, "grad", c.expected("grad/" + name),
                    gradients.get(names.indexOf(PeftCase.plain(name))).toDoubleArray());
        }
    }

    private void training(PeftCase c) {
        JsonNode t = c.json().get("trajectory");
        Backbone model = c.model();
        Adapter adapter = c.initial(model);
        Optimizer optimizer = new AdamW(t.at("/betas/0").asDouble(), t.at("/betas/1").asDouble(), t.get("eps").asDouble(),
                t.get("weight_decay").asDouble(), false).with(Schedule.constant(t.get("lr").asDouble()));
        int steps = t.get("steps").asInt();
        for (int i = 0; i <= steps; i++) {
            int step = i + 1;
            Var loss = c.loss(model, adapter);
            double want = t.get("losses").get(i).asDouble();
            assertThat(loss.item()).as("loss before step %d", i).isCloseTo(want, within(c.tolerance("losses", want)));
            if (i < steps) {
                List<Trainable> trainables = Trainable.of(adapter.trainables(),
                        Gradients.of(loss, List.copyOf(adapter.trainables().values())));
                optimizer.step(trainables);
                // AdaLoRA's ranks are a matter of their own in PEFT, and left alone where nothing is logged.
                if (!t.get("log").isEmpty() || !c.config().get("peft_type").asText().equals("ADALORA")) {
                    adapter.stepHook().ifPresent(h -> h.updated(step, trainables));
                }
                if (!t.get("log").isEmpty()) {
                    c.ranks(adapter, t.get("log").get(i));
                }
            }
        }
        for (String name : c.expectedUnder("final/")) {
            c.closeAfterTraining("trained " + name, c.expected("final/" + name),
                    adapter.trainables().get(PeftCase.plain(name)).tensor().toDoubleArray());
        }
    }

    private void generation(PeftCase c) {
        JsonNode generated = c.json().get("generated");
        // F32 may choose otherwise where two tokens are as good as equal.
        if (!c.wide() && generated.get("smallest_margin").asDouble() < 2 * c.json().at("/tolerances/logits").asDouble()) {
            return;
        }
        Backbone model = c.model();
        c.load(model);
        List<JsonNode> rows = Golden.children(generated.get("tokens"));
        long[][] got = PeftRun.of(model, c).greedy(rows.getFirst().size());
        for (int b = 0; b < rows.size(); b++) {
            assertThat(got[b]).as("row %d", b).isEqualTo(Golden.longs(rows.get(b)));
        }
    }

    private void files(PeftCase c) throws Exception {
        Backbone model = c.model();
        Adapter adapter = c.load(model);
        Path out = folder.resolve(c.toString().replace(' ', '-'));
        adapter.save(out);
        Map<String, Golden.Array> theirs = Golden.arrays(c.folder().resolve("adapter_model.safetensors"));
        Map<String, Golden.Array> ours = Golden.arrays(out.resolve("adapter_model.safetensors"));
        assertThat(new TreeSet<>(ours.keySet())).isEqualTo(new TreeSet<>(theirs.keySet()));
        theirs.forEach((name, a) -> {
            assertThat(ours.get(name).shape()).as(name).isEqualTo(a.shape());
            assertThat(ours.get(name).values()).as(name).isEqualTo(a.values());
        });
        assertThat(AdapterFiles.read(out).method()).isEqualTo(adapter.method());
        JsonNode written = Golden.json(out.resolve("adapter_config.json"));
        c.config().properties().forEach(e -> {
            if (written.hasNonNull(e.getKey())) {
                assertThat(ConfigFields.same(written.get(e.getKey()), e.getValue()))
                        .as("%s: %s for %s", e.getKey(), written.get(e.getKey()), e.getValue()).isTrue();
            } else {
                assertThat(ConfigFields.mayBeDropped(e.getKey(), e.getValue())).as("%s: %s is lost", e.getKey(), e.getValue())
                        .isTrue();
            }
        });
        model.seams().detach(adapter.name());
        Adapters.load(model, "again", out);
        c.closeLogits("logits of the written adapter", c.expected("logits"), model);
    }

    /** An adapter that lost ranks on the way: layers of their own ranks, one of them of none. */
    private void pruned(PeftCase c) {
        Path theirs = c.folder().resolve("pruned");
        Backbone model = c.model();
        Adapter adapter = Adapters.load(model, "pruned", theirs);
        c.closeLogits("logits", Golden.array(theirs.resolve("expected.safetensors"), "logits"), model);
        Path out = folder.resolve("pruned " + c);
        adapter.save(out);
        Map<String, Golden.Array> ours = Golden.arrays(out.resolve("adapter_model.safetensors"));
        Golden.arrays(theirs.resolve("adapter_model.safetensors")).forEach((name, a) -> {
            assertThat(ours.get(name).shape()).as(name).isEqualTo(a.shape());
            assertThat(ours.get(name).values()).as(name).isEqualTo(a.values());
        });
        assertThat(Golden.json(out.resolve("adapter_config.json")).get("rank_pattern")).isEqualTo(Golden.json(theirs.resolve("adapter_config.json"))
                .get("rank_pattern"));
    }

    private void converted(PeftCase c) {
        Backbone model = c.model();
        Adapters.load(model, "converted", c.folder().resolve("converted"));
        c.closeLogits("logits", c.expected("logits"), model);
    }
}
