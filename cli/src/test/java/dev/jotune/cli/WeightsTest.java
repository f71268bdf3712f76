package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.tensor.io.Checkpoint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code jotune weights} on fine-tunings of the embedded model. */
class WeightsTest {
    @TempDir
    private static Path dir;
    private static Path data;
    private static Path base;

    @BeforeAll
    static void tuneTwo() throws IOException {
        data = Files.writeString(dir.resolve("train.jsonl"), """
                {"text": "Once upon a time, there was a dog! He was happy!"}
                {"text": "Lily had a ball! She loved it!"}
                """);
        for (int i = 1; i <= 2; i++) {
            ok("tune", "--model", "stories260k", "--method", "lora", "--r", 2, "--data", data, "--out", dir.resolve("lora" + i),
                    "--learning-rate", 0.01, "--max-steps", 3, "--seed", i);
            ok("merge", "--model", "stories260k", "--adapter", dir.resolve("lora" + i), "--out", dir.resolve("model" + i));
        }
        base = dir.resolve("base");
        ok("merge", "--model", "stories260k", "--adapter", dir.resolve("lora1"), "--adapter-weight", 0, "--out", base);
    }

    private static Jotune ok(Object... args) {
        Jotune j = Jotune.run(args);
        assertThat(j.code()).as(j.err()).isZero();
        return j;
    }

    private Jotune models(String method, Path out, Object... more) {
        Object[] first = {"weights", "--method", method, "--model", dir.resolve("model1"), "--model", dir.resolve("model2"), "--out", out};
        return Jotune.run(Stream.concat(Arrays.stream(first), Arrays.stream(more)).toArray());
    }

    private double loss(Path model, Object... more) {
        Object[] first = {"eval", "--task", "perplexity", "--model", model, "--data", data};
        Jotune j = ok(Stream.concat(Arrays.stream(first), Arrays.stream(more)).toArray());
        Matcher m = Pattern.compile("\\(([\\d.]+) nats").matcher(j.out());
        assertThat(m.find()).isTrue();
        return Double.parseDouble(m.group(1));
    }

    @Test
    void aModelAndAnAdapterAreCompressedAndRun() throws IOException {
        double start = loss(base);
        Path delta = dir.resolve("model1.bitdelta");
        ok("compress", "--method", "bitdelta", "--base", base, "--model", dir.resolve("model1"), "--out", delta);
        assertThat(Files.size(delta)).isLessThan(Files.size(dir.resolve("model1").resolve("model.safetensors")) / 4);
        assertThat(loss(base, "--adapter", delta)).isLessThan(start);
        assertThat(ok("generate", "--model", base, "--adapter", delta, "--prompt", "Once", "--max-new-tokens", 3).out()).isNotBlank();

        Path adapter = dir.resolve("lora1.compeft");
        ok("compress", "--method", "compeft", "--adapter", dir.resolve("lora1"), "--density", 0.5, "--out", adapter);
        assertThat(Files.size(adapter)).isLessThan(Files.size(dir.resolve("lora1").resolve("adapter_model.safetensors")));
        assertThat(loss(base, "--adapter", adapter)).isNotEqualTo(start);
    }

    @Test
    void compressingRefusesWhatItCannotRead() throws IOException {
        Path out = dir.resolve("nothing");
        assertThat(Jotune.run("compress", "--method", "zip", "--out", out).err()).contains("'zip'");
        assertThat(Jotune.run("compress", "--method", "bitdelta", "--model", base, "--out", out).err()).contains("--base");
        assertThat(Jotune.run("compress", "--method", "compeft", "--model", base, "--out", out).err()).contains("--adapter");
        assertThat(Jotune.run("compress", "--method", "bitdelta", "--base", base, "--model", base, "--out", data).code()).isEqualTo(2);
        assertThat(Jotune.run("merge", "--model", base, "--adapter", data, "--out", out).code()).isNotZero();
        assertThat(out).doesNotExist();
    }

    @Test
    void modelsMergeIntoOneThatRuns() throws IOException {
        double start = loss(base);
        double tuned = loss(dir.resolve("model1"));
        assertThat(tuned).isLessThan(start);
        for (String method : new String[] {"soup", "linear", "slerp", "task-arithmetic", "ties", "dare-linear", "dare-ties", "magnitude-prune",
            "breadcrumbs"}) {
            Path out = dir.resolve("out-" + method);
            Jotune j = models(method, out, "--base", base, "--density", 0.9, "--max-shard-size", 200_000);
            assertThat(j.code()).as(j.err()).isZero();
            assertThat(j.out()).contains("saved " + out);
            assertThat(out.resolve("model.safetensors.index.json")).exists();
            assertThat(loss(out)).as(method).isLessThan(start);
        }
        try (Checkpoint a = Checkpoint.open(dir.resolve("model1")); Checkpoint b = Checkpoint.open(dir.resolve("model2"));
                Checkpoint soup = Checkpoint.open(dir.resolve("out-soup"))) {
            String name = a.names().stream().filter(n -> n.endsWith("q_proj.weight")).findFirst().orElseThrow();
            double[] x = a.raw(name).toDoubles();
            double[] y = b.raw(name).toDoubles();
            double[] mean = soup.raw(name).toDoubles();
            for (int i = 0; i < mean.length; i++) {
                assertThat(mean[i]).isEqualTo((float) ((x[i] + y[i]) / 2));
            }
        }
    }

    @Test
    void greedySoupsNameTheirIngredients() {
        Jotune of = models("greedy-soup", dir.resolve("greedy"), "--data", data);
        assertThat(of.code()).as(of.err()).isZero();
        assertThat(of.out()).contains("ingredients: ").contains("model");
        double best = Math.min(loss(dir.resolve("model1")), loss(dir.resolve("model2")));
        assertThat(loss(dir.resolve("greedy"))).isLessThanOrEqualTo(best + 1e-6);
        // The base joined with a model would not lower the loss; it stays out.
        Jotune with = ok("weights", "--method", "greedy-soup", "--model", base, "--model", dir.resolve("model1"), "--data", data, "--out",
                dir.resolve("alone"));
        assertThat(with.out()).contains("ingredients: " + dir.resolve("model1") + System.lineSeparator());
    }

    @Test
    void adaptersMergeIntoOne() throws IOException {
        for (Map.Entry<String, Integer> e : Map.of("linear", 2, "cat", 4, "svd", 2, "ties", 2, "dare-ties-svd", 2).entrySet()) {
            Path out = dir.resolve("adapter-" + e.getKey());
            ok("weights", "--method", e.getKey(), "--adapter", dir.resolve("lora1"), "--adapter", dir.resolve("lora2"), "--weight", 0.5,
                    "--weight", 0.5, "--density", 0.9, "--out", out);
            assertThat(Files.readString(out.resolve("adapter_config.json"))).contains("\"r\": " + e.getValue(), "CAUSAL_LM");
            assertThat(loss(base, "--adapter", out)).as(e.getKey()).isLessThan(loss(base));
        }
        // Concatenated factors are exactly the weighted sum of what the adapters add.
        ok("merge", "--model", "stories260k", "--adapter", dir.resolve("lora1"), "--adapter-weight", 0.5, "--adapter", dir.resolve("lora2"),
                "--adapter-weight", 0.5, "--out", dir.resolve("sum"));
        assertThat(loss(base, "--adapter", dir.resolve("adapter-cat"))).isCloseTo(loss(dir.resolve("sum")),
                within(2e-6));
        Jotune greedy = ok("weights", "--method", "greedy-soup", "--base", "stories260k", "--adapter", dir.resolve("lora1"), "--adapter",
                dir.resolve("lora2"), "--data", data, "--out", dir.resolve("adapter-greedy"));
        assertThat(greedy.out()).contains("ingredients: ");
    }

    private static double[] factor(Path adapter) throws IOException {
        try (Checkpoint c = Checkpoint.open(adapter.resolve("adapter_model.safetensors"))) {
            return c.raw(c.names().stream().filter(n -> n.endsWith("lora_A.weight")).sorted().findFirst().orElseThrow()).toDoubles();
        }
    }

    /** As PEFT adds factors; without weights each of N adapters counts 1 / N. */
    @Test
    void linearOfAdaptersAddsFactorsByTheRootsOfTheirWeights() throws IOException {
        Object[] both = {"weights", "--method", "linear", "--adapter", dir.resolve("lora1"), "--adapter", dir.resolve("lora2"), "--out"};
        ok(Stream.concat(Arrays.stream(both), Stream.of(dir.resolve("usual"))).toArray());
        ok(Stream.concat(Arrays.stream(both), Stream.of(dir.resolve("ones"), "--weight", 1, "--weight", 1)).toArray());
        double[] x = factor(dir.resolve("lora1"));
        double[] y = factor(dir.resolve("lora2"));
        double[] usual = factor(dir.resolve("usual"));
        double[] ones = factor(dir.resolve("ones"));
        Matcher alpha = Pattern.compile("\"lora_alpha\": ([\\d.]+)").matcher(Files.readString(dir.resolve("lora1/adapter_config.json")));
        assertThat(alpha.find()).isTrue();
        double scale = Double.parseDouble(alpha.group(1)) / 2;
        for (int i = 0; i < x.length; i++) {
            assertThat(usual[i]).isCloseTo(Math.sqrt(scale / 2) * (x[i] + y[i]), within(1e-5));
            assertThat(ones[i]).isCloseTo(Math.sqrt(scale) * (x[i] + y[i]), within(1e-5));
        }
    }

    @Test
    void optionsOfModelsAreRefusedOfAdapters() {
        Path out = dir.resolve("refused-adapters");
        for (Object[] option : new Object[][] {{"--scale", 0.5}, {"--whole-model"}, {"--dtype", "float16"}, {"--max-shard-size", 1000}}) {
            Object[] first = {"weights", "--method", "ties", "--adapter", dir.resolve("lora1"), "--adapter", dir.resolve("lora2"), "--out", out};
            Jotune j = Jotune.run(Stream.concat(Arrays.stream(first), Arrays.stream(option)).toArray());
            assertThat(j.code()).isEqualTo(2);
            assertThat(j.err()).contains(option[0] + " is for models", "Leave it out").doesNotContain("\tat ");
        }
        assertThat(out).doesNotExist();
    }

    @Test
    void whatCannotBeMergedIsRefused() {
        Path out = dir.resolve("refused");
        assertThat(models("tise", out).err()).contains("no 'tise'", "--help");
        assertThat(models("ties", out).err()).contains("--base MODEL");
        assertThat(models("cat", out).err()).contains("LoRA adapters");
        assertThat(models("greedy-soup", out).err()).contains("--data FILE");
        assertThat(models("linear", out, "--weight", 1).err()).contains("1 times for 2");
        assertThat(models("soup", out, "--weight", 1, "--weight", 2).err()).contains("soup has no weights");
        assertThat(models("slerp", out, "--model", base).err()).contains("3 are given");
        assertThat(models("ties", out, "--base", base, "--svd-rank", 4).err()).contains("--svd-rank is for the methods of adapters", "ties");
        assertThat(models("soup", out, "--svd-clamp", 0.9).err()).contains("--svd-clamp is for the methods of adapters", "Leave it out");
        assertThat(Jotune.run("weights", "--method", "svd", "--svd-rank", 0, "--adapter", dir.resolve("lora1"), "--adapter", dir.resolve("lora2"),
                "--out", out).err()).contains("--svd-rank is 0");
        assertThat(models("soup", out, "--dtype", "int8").err()).contains("int8", "bfloat16");
        assertThat(models("ties", out, "--base", base, "--density", 2).err()).contains("density is 2.0");
        assertThat(Jotune.run("weights", "--method", "soup", "--out", out).err()).contains("--model", "--adapter");
        assertThat(models("soup", base).err()).contains("holds weights already");
        assertThat(out).doesNotExist();
    }
}
