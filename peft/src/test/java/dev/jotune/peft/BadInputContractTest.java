package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jotune.models.CausalLm;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.SafeTensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/**
 * Point 9 of the contract (DESIGN section 5), for every registered method: bad input is refused with an
 * {@link AdapterException} that says what and where, and model and files stay as they were.
 */
class BadInputContractTest {
    private static final JsonMapper JSON = JsonMapper.builder().build();
    /** What no field of a configuration means, as JSON. */
    private static final List<String> HOSTILE = List.of("{\"a\": 1}", "[[1]]", "\"\\u0000\\u202e\"", "-1", "0", "1.5", "1e400",
            "99999999999999999999", "\"(((\"", "[null]", "\"" + "x".repeat(2000) + "\"", "{\"q_proj\": \"x\"}", "{\"(\": 2}",
            "true", "[0.5]", "[]", "{\"q_proj\": -3}", "\"NaN\"", "2147483647");

    @TempDir
    Path folder;

    @TestFactory
    Stream<DynamicNode> everyMethodRefusesBadInput() {
        List<DynamicNode> nodes = new ArrayList<>();
        for (MethodInfo info : Methods.all()) {
            for (ContractCases.Case settings : ContractCases.of(info)) {
                Harness h = new Harness(info, settings, settings.fits().test(TinyModels.GROUPED.config()) ? TinyModels.GROUPED
                        : TinyModels.BIASED, false);
                Map<String, Executable> points = new LinkedHashMap<>();
                points.put("truncated tensors", () -> truncated(h, AdapterFiles.TENSORS));
                points.put("truncated configuration", () -> truncated(h, AdapterFiles.CONFIG));
                points.put("missing files", () -> missing(h));
                points.put("changed tensors", () -> tensors(h));
                if (settings == ContractCases.of(info).getFirst()) {
                    points.put("hostile fields", () -> fields(h));
                    points.put("hostile text", () -> texts(h));
                }
                points.put("another model", () -> anotherModel(h));
                points.put("a name that is taken", () -> takenName(h));
                points.put("a folder that cannot be written", () -> unwritable(h));
                points.put("settings that make no sense", () -> settings(h));
                nodes.add(DynamicContainer.dynamicContainer(h.toString(), points.entrySet().stream()
                        .map(e -> DynamicTest.dynamicTest(e.getKey(), e.getValue()))));
            }
        }
        assertThat(nodes).isNotEmpty();
        return nodes.stream();
    }

    /** A saved adapter. */
    private Path saved(Harness h, String use) {
        Path out = folder.resolve(use + " " + h);
        h.moved(h.model(), "a").save(out);
        return out;
    }

    /** Loading must fail with a message that holds {@code where}, and change nothing. */
    private static void refused(Harness h, CausalLm model, Path from, String... where) throws IOException {
        Map<String, byte[]> files = contents(from);
        Map<String, Integer> bytes = Harness.bytes(model);
        Throwable e = catchThrowable(() -> Adapters.load(model, "bad", from));
        assertThat(e).as("loading %s", from).isInstanceOf(AdapterException.class);
        assertThat(e.getMessage()).hasSizeLessThan(1200);
        for (String w : where) {
            assertThat(e).hasMessageContaining(w);
        }
        assertThat(model.seams().attached()).isEmpty();
        assertThat(Harness.bytes(model)).isEqualTo(bytes);
        Map<String, byte[]> after = contents(from);
        assertThat(after.keySet()).isEqualTo(files.keySet());
        files.forEach((name, content) -> assertThat(after.get(name)).as(name).isEqualTo(content));
    }

    private static Map<String, byte[]> contents(Path folder) throws IOException {
        Map<String, byte[]> out = new LinkedHashMap<>();
        if (Files.isDirectory(folder)) {
            try (Stream<Path> files = Files.list(folder)) {
                for (Path f : files.sorted().toList()) {
                    out.put(f.getFileName().toString(), Files.readAllBytes(f));
                }
            }
        }
        return out;
    }

    private void truncated(Harness h, String file) throws IOException {
        Path from = saved(h, "truncated " + file);
        byte[] whole = Files.readAllBytes(from.resolve(file));
        CausalLm model = h.model();
        // The last line break of a JSON text may go.
        int end = file.equals(AdapterFiles.CONFIG) ? new String(whole).stripTrailing().length() : whole.length;
        for (int length = 0; length < end; length += Math.max(1, Math.min(97, (end - length) / 3))) {
            Files.write(from.resolve(file), Arrays.copyOf(whole, length));
            refused(h, model, from, file);
        }
        Files.write(from.resolve(file), whole);
        assertThatCode(() -> Adapters.load(model, "good", from)).doesNotThrowAnyException();
    }

    private void missing(Harness h) throws IOException {
        CausalLm model = h.model();
        refused(h, model, folder.resolve("nowhere"), "nowhere");
        for (String file : List.of(AdapterFiles.CONFIG, AdapterFiles.TENSORS)) {
            Path from = saved(h, "without " + file);
            Files.delete(from.resolve(file));
            refused(h, model, from, file);
        }
        Path file = Files.writeString(folder.resolve("a file " + h), "text");
        refused(h, model, file, file.toString());
    }

    private void tensors(Harness h) throws IOException {
        Path from = saved(h, "tensors");
        Map<String, Tensor> good = AdapterFiles.read(from).tensors();
        CausalLm model = h.model();
        for (String key : good.keySet()) {
            Tensor t = good.get(key);
            rewrite(from, good, key, x -> null);
            missingTensor(h, model, from, key);
            rewrite(from, good, key, x -> Tensor.zeros(x.backend(), x.dtype(), x.numel() + 1));
            refused(h, model, from, key, Arrays.toString(t.shape()));
            if (!t.dtype().isFloating()) {
                outOfRange(h, model, from, good, key);
                continue;
            }
            rewrite(from, good, key, x -> Tensor.zeros(x.backend(), DType.I64, x.shape()));
            refused(h, model, from, key, "I64");
            for (double wrong : new double[] {Double.NaN, Double.NEGATIVE_INFINITY}) {
                double[] values = t.toDoubleArray();
                values[values.length - 1] = wrong;
                rewrite(from, good, key, x -> Tensor.of(x.backend(), x.dtype(), values, x.shape()));
                refused(h, model, from, key, String.valueOf(wrong), String.valueOf(values.length - 1));
            }
        }
        Map<String, Tensor> more = new LinkedHashMap<>(good);
        more.put("something_else", good.values().iterator().next());
        SafeTensorsWriter.writeTensors(from.resolve(AdapterFiles.TENSORS), more, Map.of());
        refused(h, model, from, "something_else");
    }

    /** Numbers of places: of any integer type, but within what they number. */
    private static void outOfRange(Harness h, CausalLm model, Path from, Map<String, Tensor> good, String key) throws IOException {
        for (long wrong : new long[] {-1, Integer.MAX_VALUE}) {
            long[] values = good.get(key).toLongArray();
            values[values.length - 1] = wrong;
            rewrite(from, good, key, x -> Tensor.of(x.backend(), values, x.shape()));
            refused(h, model, from, key, String.valueOf((double) wrong));
        }
    }

    /** Only what the model has as well may be missing. */
    private static void missingTensor(Harness h, CausalLm model, Path from, String key) throws IOException {
        if (key.matches(".*(lm_head|embed_tokens)\\.base_layer\\.weight")) {
            double[] want = Harness.logits(h.moved(h.model(), "a").model().as(CausalLm.class), h.input(2));
            Adapter loaded = Adapters.load(model, "good", from);
            assertThat(Harness.logits(model, h.input(2))).isEqualTo(want);
            loaded.detach();
        } else {
            refused(h, model, from, key);
        }
    }

    private static void rewrite(Path to, Map<String, Tensor> good, String key, UnaryOperator<Tensor> change) throws IOException {
        Map<String, Tensor> changed = new LinkedHashMap<>(good);
        Tensor t = change.apply(good.get(key));
        if (t == null) {
            changed.remove(key);
        } else {
            changed.put(key, t);
        }
        SafeTensorsWriter.writeTensors(to.resolve(AdapterFiles.TENSORS), changed, Map.of());
    }

    /** Every field with every hostile value: either it means something after all, or it is refused. Never anything else. */
    private void fields(Harness h) throws IOException {
        Path from = saved(h, "fields");
        ObjectNode good = (ObjectNode) JSON.readTree(Files.readString(from.resolve(AdapterFiles.CONFIG)));
        CausalLm model = h.model();
        int refused = 0;
        for (Map.Entry<String, JsonNode> field : good.properties()) {
            for (String value : HOSTILE) {
                String marker = "\"@\"";
                String text = good.deepCopy().put(field.getKey(), "@").toString().replace(marker, value);
                Files.writeString(from.resolve(AdapterFiles.CONFIG), text);
                Throwable e = catchThrowable(() -> Adapters.load(model, "bad", from));
                if (e != null) {
                    assertThat(e).as("%s = %s", field.getKey(), value).isInstanceOf(AdapterException.class);
                    assertThat(e.getMessage()).as("%s = %s", field.getKey(), value).hasSizeLessThan(3500);
                    refused++;
                } else {
                    model.seams().detach("bad");
                }
                assertThat(model.seams().attached()).isEmpty();
            }
        }
        assertThat(refused).isPositive();
        Files.writeString(from.resolve(AdapterFiles.CONFIG), good.deepCopy().put("not_a_field", true).toString());
        refused(h, model, from, "not_a_field");
        Files.writeString(from.resolve(AdapterFiles.CONFIG), good.deepCopy().put("peft_type", "NO_SUCH").toString());
        refused(h, model, from, "NO_SUCH", h.info().peftType());
    }

    private void texts(Harness h) throws IOException {
        Path from = saved(h, "texts");
        CausalLm model = h.model();
        String type = "\"peft_type\": \"" + h.info().peftType() + "\"";
        for (String text : List.of("", "null", "[]", "3", "\"text\"", "{", "{}", "{" + type + ", " + type + "}", "\u0000",
                "{" + type + ", \"r\": " + "[".repeat(100_000),
                "{" + type + ", \"r\": " + "[".repeat(900) + "]".repeat(900) + "}",
                "{" + type + "} trailing")) {
            Files.writeString(from.resolve(AdapterFiles.CONFIG), text);
            refused(h, model, from);
        }
        Files.write(from.resolve(AdapterFiles.CONFIG), new byte[] {(byte) 0xff, (byte) 0xfe, '{'});
        refused(h, model, from, AdapterFiles.CONFIG);
    }

    private void anotherModel(Harness h) throws IOException {
        Path from = saved(h, "for another model");
        for (TinyModels.Kind kind : TinyModels.ALL) {
            if (kind != h.kind()) {
                refused(h, new Harness(h.info(), h.settings(), kind, false).model(), from);
            }
        }
    }

    private void takenName(Harness h) {
        CausalLm model = h.model();
        h.moved(model, "a");
        double[] before = Harness.logits(model, h.input(2));
        assertThatThrownBy(() -> h.create(model, "a")).isInstanceOf(AdapterException.class).hasMessageContaining("'a'");
        assertThatThrownBy(() -> h.create(model, " ")).isInstanceOf(AdapterException.class).hasMessageContaining("name");
        assertThat(model.seams().attached()).containsExactly("a");
        assertThat(Harness.logits(model, h.input(2))).isEqualTo(before);
    }

    private void unwritable(Harness h) throws IOException {
        Adapter adapter = h.moved(h.model(), "a");
        Path file = Files.writeString(folder.resolve("in the way " + h), "precious");
        assertThatThrownBy(() -> adapter.save(file)).isInstanceOf(AdapterException.class).hasMessageContaining(file.toString());
        assertThat(file).hasContent("precious");
    }

    private void settings(Harness h) {
        for (Map.Entry<String, Map<String, ?>> e : ContractCases.senseless(h.info()).entrySet()) {
            CausalLm model = h.model();
            Map<String, Object> all = new LinkedHashMap<>(h.settings().settings());
            all.putAll(e.getValue());
            assertThatThrownBy(() ->
                    Adapters.create(model, "bad", AdapterConfig.with(h.info(), all), 1, Harness.LETTERS))
                    .as("%s", e.getValue()).isInstanceOf(AdapterException.class).hasMessageContaining(e.getKey());
            assertThat(model.seams().attached()).isEmpty();
        }
    }
}
