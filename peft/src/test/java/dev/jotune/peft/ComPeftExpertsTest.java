package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.peft.methods.Ia3;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.weights.ComPeft;
import dev.jotune.peft.weights.ComPeftFile;
import dev.jotune.peft.weights.Largest;
import dev.jotune.peft.weights.Ternary;
import dev.jotune.peft.weights.Values;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.SafeTensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** ComPEFT on adapters: six experts of one tiny model, and the file. */
class ComPeftExpertsTest {
    @TempDir
    private Path dir;

    private static double accuracy(CausalLm model, AdapterFiles.Contents c, Tensor texts) {
        Adapter a = Adapters.restore(model, "restored", c.method(), c.tensors());
        double got = TaskTokens.accuracy(model, texts, model.seams().inference());
        a.detach();
        return got;
    }

    private static AdapterFiles.Contents contents(Adapter a) {
        AdapterFiles.Contents c = new AdapterFiles.Contents(a.method(), new LinkedHashMap<>());
        a.state().forEach((k, t) -> c.tensors().put(k, Tensor.of(t.backend(), DType.F32, t.toDoubleArray(), t.shape())));
        return c;
    }

    /**
     * A model of 5,000 numbers has little to spare. With all numbers the experts are right always; with signs of a fifth of them
     * in 82 of 100 cases (the pruned numbers themselves: 52), with signs of half in 96 (100). The paper's models, of billions, lose nothing
     * at a fifth; what holds here is that there the signs under one scale are not below the numbers.
     */
    @Test
    void signsOfAFifthUnderOneScaleKeepMoreThanThoseNumbersThemselves() {
        CausalLm model = TaskTokens.base();
        Targets all = Targets.matching(Targets.ALL_LINEAR);
        double[] whole = new double[1];
        double[] pruned = new double[2];
        double[] ternary = new double[2];
        for (int step = 1; step <= TaskTokens.STEPS; step++) {
            int domain = step;
            Tensor validation = TaskTokens.texts(model, 100, step, 50_000, false);
            Tensor test = TaskTokens.texts(model, 200, step, 60_000, false);
            Adapter expert = Adapters.create(model, "expert", Lora.DEFAULTS.withRank(32, 32).withTargets(all), step);
            AdapterFiles.Contents start = contents(expert);
            Harness.train(expert, 100, 0.003, s -> {
                Tensor ids = TaskTokens.texts(model, 32, domain, s, false);
                return model.loss(DecoderInput.of(ids), TaskTokens.labels(ids), model.seams().training(1, s));
            });
            Values tau = ComPeftFile.vector(contents(expert), start);
            whole[0] += TaskTokens.accuracy(model, test, model.seams().inference()) / TaskTokens.STEPS;
            expert.detach();
            for (int i = 0; i < 2; i++) {
                double k = i == 0 ? 0.2 : 0.5;
                AdapterFiles.Contents large = ComPeftFile.restore(start, Largest.share(tau, k).of(tau));
                pruned[i] += accuracy(model, large, test) / TaskTokens.STEPS;
                Ternary t = ComPeft.compress(tau, k, ComPeft.ALPHAS, v -> accuracy(model, ComPeftFile.restore(start, v.values()), validation));
                ternary[i] += accuracy(model, ComPeftFile.restore(start, t.values()), test) / TaskTokens.STEPS;
            }
        }
        String all3 = "experts %s, pruned to 0.2 and 0.5: %s, ternary: %s".formatted(whole[0], Arrays.toString(pruned), Arrays.toString(ternary));
        assertThat(whole[0]).as(all3).isGreaterThan(0.98);
        assertThat(ternary[0]).as(all3).isGreaterThan(pruned[0] - 0.005).isGreaterThan(0.6);
        assertThat(ternary[1]).as(all3).isGreaterThan(0.9);
    }

    @Test
    void aFileBringsTheTernaryAdapterBack() throws IOException {
        CausalLm model = TinyModels.GROUPED.make(Backends.cpu(), DType.F32);
        for (TuningMethod method : new TuningMethod[] {Lora.DEFAULTS.withRank(4, 8), Ia3.DEFAULTS}) {
            Adapter a = Adapters.create(model, "a", method, 1);
            AdapterFiles.Contents own = contents(a);
            Harness.move(a, 5);
            AdapterFiles.Contents whole = contents(a);
            a.save(dir.resolve("plain"));
            a.detach();
            for (boolean usual : new boolean[] {true, false}) {
                AdapterFiles.Contents start = usual ? ComPeftFile.usualStart(whole) : own;
                Ternary t = ComPeft.compress(ComPeftFile.vector(whole, start), 0.3, 2);
                Path file = dir.resolve(method.peftType() + usual);
                ComPeftFile.write(file, whole, t);
                AdapterFiles.Contents back = usual ? ComPeftFile.read(file) : ComPeftFile.read(file, Optional.of(own));
                assertThat(back.method()).isEqualTo(whole.method());
                AdapterFiles.Contents want = ComPeftFile.restore(start, t.withScale((float) t.scale()).values());
                assertThat(back.tensors().keySet()).containsExactlyElementsOf(whole.tensors().keySet());
                back.tensors().forEach((k, v) -> assertThat(v.toDoubleArray()).as(k).containsExactly(want.tensors().get(k).toDoubleArray()));
                Adapters.restore(model, "back", back.method(), back.tensors()).detach();
            }
            ComPeftFile.usualStart(whole).tensors().values().forEach(v -> assertThat(v.toDoubleArray()).containsOnly(method instanceof Ia3 ? 1 : 0));

            byte[] bytes = Files.readAllBytes(dir.resolve(method.peftType() + true));
            Path cut = Files.write(dir.resolve("cut"), Arrays.copyOf(bytes, bytes.length - 20));
            assertThatThrownBy(() -> ComPeftFile.read(cut)).isInstanceOf(AdapterException.class).hasMessageContaining("cut");
            assertThatThrownBy(() -> ComPeftFile.read(dir.resolve("plain/adapter_model.safetensors"))).hasMessageContaining("no compressed adapter");
            AdapterFiles.Contents other = new AdapterFiles.Contents(whole.method(), Map.of());
            assertThatThrownBy(() -> ComPeftFile.read(dir.resolve(method.peftType() + true), Optional.of(other)))
                    .isInstanceOf(AdapterException.class).hasMessageContaining("other tensors than the start");
        }
    }

    private void refused(String tensors, String count, Map<String, Tensor> stored, String says) throws IOException {
        Path file = dir.resolve("hostile.safetensors");
        SafeTensorsWriter.writeTensors(file, stored, Map.of("format", "compeft", "count", count, "tensors", tensors,
                "config", AdapterFiles.configuration(Lora.DEFAULTS)));
        assertThatThrownBy(() -> ComPeftFile.read(file)).as(tensors).isInstanceOf(AdapterException.class).hasMessageContaining(says)
                .hasMessageContaining("hostile.safetensors");
    }

    private static Map<String, Tensor> stored(double... scale) {
        return Map.of("codes", Tensor.zeros(Backends.cpu(), DType.U8, 4), "scale", Tensor.of(Backends.cpu(), DType.F32, scale, scale.length));
    }

    /** A file of a few bytes asks for no memory before all that it says is found possible. */
    @Test
    void filesThatPromiseWhatTheyCannotHoldAreRefused() throws IOException {
        Map<String, Tensor> good = stored(1);
        for (String shape : new String[] {"null", "[-1]", "[2, -3, -4]", "[1.5]", "[\"3\"]", "3", "[1e3]", "[99999999999999999999]"}) {
            refused("{\"a\": " + shape + "}", "1", good, "no list of sizes");
        }
        refused("{\"a\": [2000000000]}", "1", good, "more than 1 codes can stand for");
        refused("{\"a\": [60000], \"b\": [60000], \"c\": [60000]}", "1", good, "the tensor c");
        refused("{\"a\": [4294967296, 4294967296]}", "1", good, "overflow");
        refused("{\"a\": [9223372036854775807], \"b\": [9223372036854775807]}", "1", good, "can stand for");
        refused("[]", "0", good, "names no tensors");
        refused("{\"a\": [4]}", "-1", good, "-1");
        refused("{\"a\": [4]}", "5", good, "5 of 4 numbers");
        refused("{\"a\": [400]}", "17", good, "in 4 bytes");
        refused("{\"a\": [4]}", "two", good, "two");
        refused("{\"a\": [4]}", "1", stored(1, 2), "no scale");
        refused("{\"a\": [4]}", "1", stored(Double.NaN), "scale is NaN");
        refused("{\"a\": [4]}", "1", Map.of("codes", good.get("codes")), "no scale");
        refused("{\"a\": [4]}", "1", Map.of("scale", good.get("scale")), "no codes");
    }

    @Test
    void whatIsTooSparseForAFileIsNotWritten() {
        AdapterFiles.Contents c = new AdapterFiles.Contents(Lora.DEFAULTS, Map.of("a", Tensor.zeros(Backends.cpu(), DType.F32, 1 << 17)));
        Ternary none = ComPeft.compress(Values.of(c.tensors().get("a")), 0, 1);
        assertThatThrownBy(() -> ComPeftFile.write(dir.resolve("sparse"), c, none)).isInstanceOf(AdapterException.class)
                .hasMessageContaining("only 0 of 131072");
    }
}
