package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RoundTripTest {
    @TempDir
    private Path dir;
    private Path data;

    @BeforeEach
    void writeData() throws IOException {
        data = dir.resolve("train.jsonl");
        Files.writeString(data, """
                {"text": "Once upon a time, there was a dog! He was happy!"}
                {"text": "Lily had a ball! She loved it!"}
                {"prompt": "Tom said", "completion": " hello!"}
                """);
    }

    private Jotune tune(String method, Path out, Object... more) {
        Object[] first = {"tune", "--model", "stories260k", "--method", method, "--data", data, "--out", out,
            "--learning-rate", "0.01", "--batch-size", "2"};
        Object[] all = java.util.stream.Stream.concat(java.util.Arrays.stream(first), java.util.Arrays.stream(more)).toArray();
        return Jotune.run(all);
    }

    @ParameterizedTest
    @ValueSource(strings = {"prefix", "prompt", "lora"})
    void whatTuneSavesGenerateAndEvalUse(String method) throws IOException {
        Path adapter = dir.resolve("adapter");
        Jotune tuned = method.equals("prefix") ? tune(method, adapter, "--max-steps", 3, "--prefix-projection")
                : tune(method, adapter, "--max-steps", 3);
        assertThat(tuned.err()).as("error stream").doesNotContain("jotune:");
        assertThat(tuned.code()).isZero();
        assertThat(adapter.resolve("adapter_config.json")).content().contains("peft_type");
        assertThat(adapter.resolve("adapter_model.safetensors")).exists();

        Jotune written = Jotune.run("generate", "--model", "stories260k", "--adapter", adapter, "--prompt", "Once upon",
                "--max-new-tokens", 5, "--stats");
        assertThat(written.code()).isZero();
        assertThat(written.out()).startsWith("Once upon").hasLineCount(1);
        assertThat(written.err()).contains("new tokens");

        Jotune measured = Jotune.run("eval", "--task", "perplexity", "--model", "stories260k", "--adapter", adapter, "--data", data);
        assertThat(measured.code()).isZero();
        double bare = perplexity(Jotune.run("eval", "--task", "perplexity", "--model", "stories260k", "--data", data));
        assertThat(perplexity(measured)).isNotEqualTo(bare).isLessThan(40 * bare);
    }

    @Test
    void trainingGoesOnFromASavedAdapter() throws IOException {
        Path first = dir.resolve("first");
        tune("lora", first, "--max-steps", 12, "--target_modules", "all-linear", "--r", 4);
        Path second = dir.resolve("second");
        Jotune on = Jotune.run("tune", "--model", "stories260k", "--from", first, "--data", data, "--out", second, "--learning-rate", "0",
                "--max-steps", 1);
        assertThat(on.code()).as(on.err()).isZero();
        assertThat(second.resolve("adapter_model.safetensors")).hasSameBinaryContentAs(first.resolve("adapter_model.safetensors"));
        assertThat(write("stories260k", "--adapter", second)).isEqualTo(write("stories260k", "--adapter", first))
                .isNotEqualTo(write("stories260k"));
    }

    @Test
    void aMergedModelWritesWhatTheAdapterWrote() {
        Path adapter = dir.resolve("adapter");
        tune("lora", adapter, "--max-steps", 3, "--target_modules", "all-linear", "--lora_alpha=16", "--r", 4);
        Path merged = dir.resolve("merged");
        Jotune j = Jotune.run("merge", "--model", "stories260k", "--adapter", adapter, "--out", merged);
        assertThat(j.code()).as(j.err()).isZero();
        assertThat(merged).isDirectoryContaining(p -> p.endsWith("config.json"))
                .isDirectoryContaining(p -> p.endsWith("tokenizer.json")).isDirectoryContaining(p -> p.endsWith("model.safetensors"));
        assertThat(write(merged)).isEqualTo(write("stories260k", "--adapter", adapter)).isNotEqualTo(write("stories260k"));
        Jotune again = Jotune.run("merge", "--model", "stories260k", "--adapter", adapter, "--out", merged);
        assertThat(again.code()).isEqualTo(2);
        assertThat(again.err()).contains("holds weights already");
    }

    @Test
    void anAdapterTrainsOverAQuantisedModel() {
        Path adapter = dir.resolve("adapter");
        Jotune tuned = tune("lora", adapter, "--max-steps", 2, "--quantize", "nf4");
        assertThat(tuned.code()).as(tuned.err()).isZero();
        assertThat(write("stories260k", "--adapter", adapter, "--quantize", "nf4")).startsWith("Tom said")
                .isNotEqualTo(write("stories260k"));
        Jotune merged = Jotune.run("merge", "--model", "stories260k", "--quantize", "nf4", "--adapter", adapter, "--out",
                dir.resolve("merged"));
        assertThat(merged.code()).isEqualTo(2);
        assertThat(merged.err()).contains("--quantize");
    }

    @Test
    void anAdapterTrainsAndWritesInBf16() {
        Path adapter = dir.resolve("adapter");
        Jotune tuned = tune("lora", adapter, "--max-steps", 2, "--precision", "bf16");
        assertThat(tuned.code()).as(tuned.err()).isZero();
        assertThat(write("stories260k", "--adapter", adapter, "--precision", "bf16")).startsWith("Tom said");
        double rounded = perplexity(eval("--precision", "bf16"));
        assertThat(rounded).isCloseTo(perplexity(eval()), withinPercentage(2));
        Jotune unknown = Jotune.run("generate", "--model", "stories260k", "--prompt", "x", "--precision", "fp8");
        assertThat(unknown.code()).isEqualTo(2);
        assertThat(unknown.err()).contains("'fp8'").contains("f32, bf16");
    }

    private Jotune eval(Object... more) {
        Object[] first = {"eval", "--task", "perplexity", "--model", "stories260k", "--data", data};
        return Jotune.run(java.util.stream.Stream.concat(java.util.Arrays.stream(first), java.util.Arrays.stream(more)).toArray());
    }

    @Test
    void aFormatThatDoesNotExistOrFitIsRefused() {
        Jotune unknown = Jotune.run("generate", "--model", "stories260k", "--prompt", "x", "--quantize", "q3");
        assertThat(unknown.code()).isNotZero();
        assertThat(unknown.err()).contains("'q3'").contains("nf4, q4_0");
        // 172 columns.
        Jotune misfit = Jotune.run("generate", "--model", "stories260k", "--prompt", "x", "--quantize", "q8_0");
        assertThat(misfit.code()).isNotZero();
        assertThat(misfit.err()).contains("down_proj").contains("172 columns");
    }

    private static String write(Object model, Object... more) {
        Object[] first = {"generate", "--model", model, "--prompt", "Tom said", "--max-new-tokens", 24};
        Jotune j = Jotune.run(java.util.stream.Stream.concat(java.util.Arrays.stream(first), java.util.Arrays.stream(more)).toArray());
        assertThat(j.code()).as(j.err()).isZero();
        return j.out();
    }

    @Test
    void aPrefixIsNotMerged() {
        Path adapter = dir.resolve("adapter");
        tune("prefix", adapter, "--max-steps", 1, "--num-virtual-tokens", 2);
        Jotune j = Jotune.run("merge", "--model", "stories260k", "--adapter", adapter, "--out", dir.resolve("merged"));
        assertThat(j.code()).isEqualTo(1);
        assertThat(j.err()).contains("PREFIX_TUNING", "cannot be merged", "--adapter");
        assertThat(dir.resolve("merged")).doesNotExist();
    }

    @Test
    void aResumedRunEndsInTheSameAdapter() throws IOException {
        Path whole = dir.resolve("whole");
        tune("lora", whole, "--max-steps", 4, "--lora-dropout", "0.1");
        Path parts = dir.resolve("parts");
        // Killed after its second step: only its checkpoint is left.
        tune("lora", parts, "--max-steps", 4, "--lora-dropout", "0.1", "--save-every", 2);
        Files.delete(parts.resolve("adapter_model.safetensors"));
        Jotune resumed = tune("lora", parts, "--max-steps", 4, "--lora-dropout", "0.1", "--save-every", 2, "--resume");
        assertThat(resumed.code()).as(resumed.err()).isZero();
        assertThat(Files.readAllBytes(parts.resolve("adapter_model.safetensors")))
                .isEqualTo(Files.readAllBytes(whole.resolve("adapter_model.safetensors")));
        Jotune other = tune("lora", parts, "--max-steps", 4, "--lora-dropout", "0.2", "--save-every", 2, "--resume");
        assertThat(other.code()).isEqualTo(1);
        assertThat(other.err().lines().filter(l -> l.startsWith("jotune: "))).singleElement().asString()
                .contains("checkpoint");
    }

    @Test
    void theSameSeedWritesTheSameTextAndStopStringsEndIt() {
        List<Object> args = List.of("generate", "--model", "stories260k", "--prompt", "Once upon a time", "--temperature", "0.9",
                "--top-k", 40, "--top-p", "0.95", "--min-p", "0.02", "--repetition_penalty", "1.1", "--max-new-tokens", 30);
        String one = Jotune.run(with(args, "--seed", 7)).out();
        assertThat(one).isEqualTo(Jotune.run(with(args, "--seed", 7)).out()).isNotEqualTo(Jotune.run(with(args, "--seed", 8)).out());
        String stopped = Jotune.run("generate", "--model", "stories260k", "--prompt", "Once upon a time", "--stop", "named").out();
        assertThat(stopped.strip()).startsWith("Once upon a time").endsWith("girl");
    }

    @Test
    void everyWayToWriteIsThere() throws IOException {
        List<Object> args = List.of("generate", "--model", "stories260k", "--prompt", "Once upon a time", "--max-new-tokens", 20);
        String plain = Jotune.run(with(args)).out();
        assertThat(Jotune.run(with(args, "--draft", "stories260k")).out()).isEqualTo(plain);
        Jotune beams = Jotune.run(with(args, "--beams", 3, "--length-penalty", "0.5", "--patience", 2, "--num-return-sequences", 2, "--stats"));
        assertThat(beams.out().lines()).hasSize(2).allMatch(line -> line.startsWith("Once upon a time"));
        assertThat(beams.err().lines().filter(line -> line.startsWith("score "))).hasSize(2);
        assertThat(Jotune.run(with(args, "--penalty-alpha", "0.6", "--top-k", 4)).out()).startsWith("Once upon a time").isNotEqualTo(plain);
        assertThat(Jotune.run(with(args, "--regex", ", (he|she) [a-z]+\\.")).out()).matches("Once upon a time, (he|she) [a-z]+\\.\\R");
        Path choices = Files.writeString(dir.resolve("choices.txt"), "a dog\na big cat\n");
        assertThat(Jotune.run(with(args, "--choices", choices)).out()).matches("Once upon a time a (dog|big cat)\\R");
    }

    private static Object[] with(List<Object> args, Object... more) {
        return java.util.stream.Stream.concat(args.stream(), java.util.Arrays.stream(more)).toArray();
    }

    @Test
    void evalCountsExactMatchesAndChoices() throws IOException {
        Path pairs = dir.resolve("pairs.jsonl");
        Files.writeString(pairs, "{\"prompt\": \"Once upon a time, there was a\", \"completion\": \"nothing like it\"}\n");
        assertThat(Jotune.run("eval", "--task", "exact-match", "--model", "stories260k", "--data", pairs).out())
                .contains("exact match 0.0000", "(0 of 1)");
        Path choices = dir.resolve("choices.jsonl");
        Files.writeString(choices, "{\"prompt\": \"Once upon a time, there\", \"choices\": [\" xzq vvv\", \" was a little girl\"], "
                + "\"answer\": 1}\n");
        assertThat(Jotune.run("eval", "--task", "choices", "--model", "stories260k", "--data", choices).out())
                .contains("accuracy 1.0000", "(1 of 1)");
    }

    private static double perplexity(Jotune j) {
        return Double.parseDouble(j.out().replaceAll("(?s)perplexity ([0-9.]+) .*", "$1"));
    }
}
