package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Recording;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Models;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Adapters that PEFT made with options rarely used together ({@code golden/make_peft_options.py}): what they compute, and their files. */
@Tag("golden")
class PeftOptionsTest {
    /** The repository's, whatever set is tried: cases and bases belong together. */
    private static final Path OWN = Path.of("..", "golden");
    private static final int ROWS = 2;
    private static final int TIME = 5;

    @TempDir
    Path folder;

    private static List<Path> cases() {
        try (Stream<Path> all = Files.list(OWN.resolve("peft_options"))) {
            return all.sorted().toList();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static Backbone model(Path adapter, boolean wide) {
        Path base = OWN.resolve(Golden.json(adapter.resolve("case.json")).get("base").asText());
        return Models.load(base, wide ? Backends.reference() : Backends.cpu(), wide ? DType.F64 : DType.F32).backbone();
    }

    @TestFactory
    Stream<DynamicTest> everyCaseComputesWhatPeftDoesAndIsWrittenAsThere() {
        assertThat(cases()).hasSizeGreaterThan(30);
        return Stream.of(true, false).flatMap(wide -> cases().stream().map(c -> DynamicTest.dynamicTest(
                c.getFileName() + (wide ? " F64" : " F32"), () -> check(c, wide))));
    }

    private void check(Path adapter, boolean wide) {
        JsonNode facts = Golden.json(adapter.resolve("case.json"));
        Backbone model = model(adapter, wide);
        double[] bare = logits(model).toDoubleArray();
        Adapter loaded = Adapters.load(model, "a", adapter);
        Golden.Array want = Golden.array(adapter.resolve("expected.safetensors"), "logits");
        close("logits", want, logits(model), facts, wide);
        Path out = folder.resolve(adapter.getFileName() + (wide ? "-wide" : ""));
        loaded.save(out);
        assertThat(new TreeSet<>(AdapterFiles.read(out).tensors().keySet())).isEqualTo(new TreeSet<>(AdapterFiles.read(adapter).tensors().keySet()));
        assertThat(Golden.json(out.resolve("adapter_config.json")).get("task_type"))
                .isEqualTo(Golden.json(adapter.resolve("adapter_config.json")).get("task_type"));
        merged(loaded, model, want, facts, wide);
        loaded.detach();
        assertThat(logits(model).toDoubleArray()).isEqualTo(bare);
        Adapters.load(model, "again", out);
        close("logits of what was written", want, logits(model), facts, wide);
    }

    private static void merged(Adapter loaded, Backbone model, Golden.Array want, JsonNode facts, boolean wide) {
        if (!loaded.canMerge()) {
            return;
        }
        try {
            loaded.merge();
        } catch (AdapterException e) {
            assertThat(e).hasMessageContaining("merging would change both");
            return;
        }
        close("merged", want, logits(model), facts, wide);
        loaded.unmerge();
    }

    private static void close(String what, Golden.Array want, Tensor got, JsonNode facts, boolean wide) {
        assertThat(got.shape()).as(what).isEqualTo(want.shape());
        double[] g = got.toDoubleArray();
        double stated = facts.get("tolerance").asDouble();
        for (int i = 0; i < g.length; i++) {
            double w = want.values()[i];
            // What was recorded is rounded to F32, and rows that a network of PEFT's gave are stored so.
            assertThat(Math.abs(g[i] - w)).as("%s[%d] = %s, want %s", what, i, g[i], w)
                    .isLessThanOrEqualTo(wide ? Math.min(stated, 2e-6 * Math.max(1, Math.abs(w))) : stated);
        }
    }

    /** Token t of row b is {@code (7 b + 3 t + offset) mod (V - 3) + 3}. */
    private static Tensor ids(Backend backend, long vocabulary, int offset) {
        long[] ids = new long[ROWS * TIME];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = (7L * (i / TIME) + 3L * (i % TIME) + offset) % (vocabulary - 3) + 3;
        }
        return Tensor.of(backend, ids, ROWS, TIME);
    }

    private static Tensor logits(Backbone model) {
        Pass pass = model.seams().inference();
        long vocabulary = model.seams().input().table().orElseThrow().size(0);
        Tensor text = ids(model.backend(), vocabulary, 0);
        return Recording.off(() -> switch (model) {
            case CausalLm m -> m.logits(m.forward(DecoderInput.of(text), pass, Optional.empty()).states(), pass);
            case Seq2SeqLm m -> m.logits(m.decode(DecoderInput.of(m.shiftRight(ids(model.backend(), vocabulary, 1))),
                    m.encode(EncoderInput.of(text), pass), pass, Optional.empty()).states(), pass);
            case SequenceClassifier m -> m.logits(m.forward(EncoderInput.of(text), pass), pass);
            default -> throw new AssertionError("no test reads a " + model.modelType());
        }).tensor();
    }

    private static Adapter made(String model, Map<String, ?> fields) {
        Backbone m = Models.load(OWN.resolve("peft/base/" + model), Backends.reference(), DType.F64).backbone();
        return Adapters.create(m, "a", Methods.configure(Methods.named("lora"), fields), 1);
    }

    @Test
    void newAdaptersOfParametersStartAsTheModelAndAreCountedByExpert() {
        Adapter a = made("moe", Map.of("r", 2, "target_modules", List.of(), "target_parameters", List.of("experts.gate_up_proj", "gate.weight")));
        // Two layers: four experts of [32, 32] and a router of [4, 32].
        assertThat(a.trainableCount()).isEqualTo(2 * (4 * 2 * (32 + 32) + 2 * (4 + 32)));
        assertThat(a.state()).containsKey("base_model.model.model.layers.0.mlp.experts.lora_A.weight");
        double[] adapted = logits(a.model()).toDoubleArray();
        a.detach();
        assertThat(adapted).isEqualTo(logits(a.model()).toDoubleArray());
    }

    @Test
    void whatPeftWouldNotReadIsRefusedByName() {
        assertThatThrownBy(() -> made("moe", Map.of("target_parameters", List.of("experts.up")))).isInstanceOf(AdapterException.class)
                .hasMessageContaining("target_parameters [experts.up] matches no weight");
        assertThatThrownBy(() -> made("llama", Map.of("target_modules", List.of("q_proj"), "target_parameters", List.of("q_proj.weight"))))
                .isInstanceOf(AdapterException.class).hasMessageContaining("Name it once");
        assertThatThrownBy(() -> made("moe", Map.of("use_dora", true, "target_parameters", List.of("gate_up_proj"))))
                .isInstanceOf(AdapterException.class).hasMessageContaining("use_dora");
        assertThatThrownBy(() -> made("t5", Map.of("modules_to_save", List.of("shared")))).isInstanceOf(AdapterException.class)
                .hasMessageContaining("encoder.embed_tokens");
        assertThatThrownBy(() -> made("t5", Map.of("target_modules", List.of("shared", "q")))).isInstanceOf(AdapterException.class)
                .hasMessageContaining("'shared' holds a table that other modules read");
    }
}
