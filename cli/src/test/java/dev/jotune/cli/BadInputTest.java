package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.models.Models;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One error line that names the thing and the remedy, and the right exit code. */
class BadInputTest {
    @TempDir
    private Path dir;
    private Path data;

    @BeforeEach
    void writeData() throws IOException {
        data = file("train.jsonl", "{\"text\": \"Once upon a time, there was a dog!\"}\n");
    }

    private Path file(String name, String text) throws IOException {
        return Files.writeString(dir.resolve(name), text);
    }

    private static Jotune refused(int code, Object... args) {
        Jotune j = Jotune.run(args);
        assertThat(j.code()).as(j.err()).isEqualTo(code);
        List<String> errors = j.err().lines().filter(l -> l.startsWith("jotune: ")).toList();
        assertThat(errors).as(j.err()).hasSize(1);
        assertThat(j.err()).doesNotContain("\tat ", "Exception", "internal error");
        assertThat(errors.getFirst()).matches(".*[.?]");
        return new Jotune(j.code(), j.out(), errors.getFirst());
    }

    private Jotune tuneRefused(int code, Object... more) {
        Object[] first = {"tune", "--model", "stories260k", "--out", dir.resolve("out")};
        Jotune j = refused(code, Stream.concat(Arrays.stream(first), Arrays.stream(more)).toArray());
        assertThat(dir.resolve("out").resolve("adapter_model.safetensors")).doesNotExist();
        return j;
    }

    @Test
    void noCommandAndUnknownCommand() {
        assertThat(refused(2).err()).contains("no command");
        assertThat(refused(2, "tuna").err()).contains("tuna");
    }

    @Test
    void unknownOption() {
        assertThat(tuneRefused(2, "--method", "lora", "--data", data, "--lora-alfa", 3).err()).contains("--lora-alfa", "--help");
    }

    @Test
    void unknownMethod() {
        assertThat(tuneRefused(2, "--method", "lorra", "--data", data).err()).contains("lorra", "prefix, prompt, p-tuning", "lora, dora");
    }

    @Test
    void aMethodOrAnAdapterToStartFrom() {
        assertThat(tuneRefused(2, "--data", data).err()).contains("neither --method nor --from");
        assertThat(tuneRefused(2, "--from", dir, "--method", "lora", "--data", data).err()).contains("Leave out --method lora");
        assertThat(tuneRefused(2, "--from", dir, "--lora-alpha", 3, "--data", data).err()).contains("Leave out --lora-alpha");
        assertThat(tuneRefused(1, "--from", dir.resolve("nowhere"), "--data", data).err()).contains("nowhere");
    }

    @Test
    void optionOfAnotherMethod() {
        assertThat(tuneRefused(2, "--method", "prefix", "--data", data, "--r", 4).err()).contains("--r belongs to lora", "prefix");
    }

    @Test
    void valuesOfWrongTypeOrRange() {
        assertThat(tuneRefused(2, "--method", "lora", "--data", data, "--r", "many").err()).contains("--r", "many", "integer");
        assertThat(tuneRefused(2, "--method", "lora", "--data", data, "--r", 0).err()).contains("r is 0", "positive");
        assertThat(tuneRefused(2, "--method", "lora", "--data", data, "--rank-pattern", "q_proj").err()).contains("name=value");
        assertThat(tuneRefused(2, "--method", "lora", "--data", data, "--batch-size", 0).err()).contains("batch size is 0");
        assertThat(tuneRefused(2, "--method", "prompt", "--data", data, "--prompt-tuning-init", "WARM").err()).contains("WARM", "RANDOM");
        assertThat(refused(2, "generate", "--model", "stories260k", "--prompt", "a", "--top-p", 2).err()).contains("top_p is 2");
    }

    @Test
    void waysToWriteThatContradictEachOther() throws IOException {
        List<String[]> cases = List.of(new String[] {"--num-beams 2 --temperature 1", "do_sample"},
                new String[] {"--num-beams 2 --draft stories260k", "Choose one"}, new String[] {"--num-beams 0", "num_beams is 0"},
                new String[] {"--patience 2", "Add --num-beams"}, new String[] {"--num-beams 2 --patience 0", "patience is 0"},
                new String[] {"--num-beams 2 --early-stopping soon", "soon"}, new String[] {"--penalty-alpha 2", "penalty_alpha is 2"},
                new String[] {"--num-assistant-tokens 2", "Add --draft"}, new String[] {"--regex (a --choices x", "Choose one"},
                new String[] {"--regex (a", "regular expression"}, new String[] {"--num-beams 2 --num-return-sequences 3", "num_return"});
        for (String[] one : cases) {
            List<Object> args = new ArrayList<>(List.of("generate", "--model", "stories260k", "--prompt", "a"));
            args.addAll(List.of(one[0].split(" ")));
            assertThat(refused(2, args.toArray()).err()).contains(one[1]);
        }
        assertThat(refused(1, "generate", "--model", "stories260k", "--prompt", "a", "--choices", dir.resolve("none.txt")).err())
                .contains("none.txt");
        Path empty = Files.writeString(dir.resolve("empty.txt"), "\n\n");
        assertThat(refused(1, "generate", "--model", "stories260k", "--prompt", "a", "--choices", empty).err()).contains("no line");
    }

    @Test
    void targetThatMatchesNothing() {
        assertThat(tuneRefused(2, "--method", "lora", "--data", data, "--target-modules", "query").err())
                .contains("query", "matches no linear layer", "q_proj");
    }

    @Test
    void unknownDeviceAndTask() {
        assertThat(refused(2, "generate", "--model", "stories260k", "--prompt", "a", "--device", "abacus").err())
                .contains("abacus", "cpu");
        assertThat(refused(2, "eval", "--model", "stories260k", "--data", data, "--task", "beauty").err())
                .contains("beauty", "perplexity");
    }

    @Test
    void missingFiles() {
        assertThat(tuneRefused(1, "--method", "lora", "--data", dir.resolve("none.jsonl")).err()).contains("none.jsonl");
        assertThat(refused(1, "generate", "--model", dir.resolve("nowhere"), "--prompt", "a").err())
                .contains("nowhere", "config.json");
        assertThat(refused(1, "generate", "--model", "stories260k", "--prompt", "a", "--adapter", dir.resolve("nothing")).err())
                .contains("nothing");
    }

    @Test
    void wrongJson() throws IOException {
        assertThat(tuneRefused(1, "--method", "lora", "--data", file("a.jsonl", "{\"text\": \"a b\"}\n{\"text\" 3}\n")).err())
                .contains("a.jsonl", "line 2", "JSON");
        assertThat(tuneRefused(1, "--method", "lora", "--data", file("b.jsonl", "{\"txt\": \"a b\"}\n")).err())
                .contains("b.jsonl", "line 1", "text");
        assertThat(tuneRefused(1, "--method", "lora", "--data", file("c.jsonl", "")).err()).contains("c.jsonl", "no example");
        Path model = Files.createDirectory(dir.resolve("model"));
        Files.writeString(model.resolve("config.json"), "{\"model_type\": \"llama\",");
        assertThat(refused(1, "generate", "--model", model, "--prompt", "a").err()).contains("config.json", "JSON");
    }

    @Test
    void wrongShapeAndTruncatedAdapter() throws IOException {
        Path adapter = dir.resolve("adapter");
        Jotune tuned = Jotune.run("tune", "--model", "stories260k", "--out", adapter, "--data", data, "--method", "prefix",
                "--num-virtual-tokens", 3, "--max-steps", 1);
        assertThat(tuned.code()).as(tuned.err()).isZero();
        Path config = adapter.resolve("adapter_config.json");
        Files.writeString(config, Files.readString(config).replace("\"num_virtual_tokens\": 3", "\"num_virtual_tokens\": 4"));
        assertThat(refused(1, "generate", "--model", "stories260k", "--prompt", "a", "--adapter", adapter).err())
                .contains("prompt_embeddings", "[3, 320]", "[4, 320]");
        Path tensors = adapter.resolve("adapter_model.safetensors");
        Files.write(tensors, Arrays.copyOf(Files.readAllBytes(tensors), 200));
        assertThat(refused(1, "generate", "--model", "stories260k", "--prompt", "a", "--adapter", adapter).err())
                .contains("adapter_model.safetensors");
    }

    @Test
    void modelWithoutAWeight() throws IOException {
        Path model = Files.createDirectory(dir.resolve("model"));
        for (var side : Models.sideFiles(Models.EMBEDDED).entrySet()) {
            Files.write(model.resolve(side.getKey()), side.getValue());
        }
        assertThat(refused(1, "generate", "--model", model, "--prompt", "a").err()).contains("model.safetensors");
    }

    @Test
    void lossThatIsNotANumber() {
        assertThat(tuneRefused(1, "--method", "prefix", "--data", data, "--learning-rate", "1e38", "--max-steps", 5,
                "--max-grad-norm", 0, "--optim", "sgd").err()).containsIgnoringCase("loss");
    }

    @Test
    void promptLongerThanTheContext() {
        assertThat(refused(1, "generate", "--model", "stories260k", "--prompt", "Once upon a time there was a dog. ".repeat(100)).err())
                .contains("tokens", "context of 512", "Shorten");
    }

    @Test
    void outOfMemory() {
        StringWriter err = new StringWriter();
        int heap = Errors.failure(new OutOfMemoryError("Java heap space"), new PrintWriter(err), false);
        int nativeMemory = Errors.failure(new OutOfMemoryError("no memory for a tensor of 9 bytes: 3 are in use. Use a smaller batch."),
                new PrintWriter(err), false);
        assertThat(List.of(heap, nativeMemory)).containsOnly(1);
        assertThat(err.toString().lines()).containsExactly(
                "jotune: out of memory (Java heap space). Give Java more with JOTUNE_JAVA_OPTS=-Xmx8g, or use a smaller --batch-size "
                        + "or --max-length.",
                "jotune: no memory for a tensor of 9 bytes: 3 are in use. Use a smaller batch.");
    }

    @Test
    void moreVirtualTokensThanTheContextHas() {
        assertThat(tuneRefused(2, "--method", "prefix", "--data", data, "--num-virtual-tokens", Integer.MAX_VALUE).err())
                .contains("num_virtual_tokens", "512", "Use fewer");
    }

    @Test
    void debugShowsTheStackTrace() {
        Jotune j = Jotune.run("generate", "--model", dir.resolve("nowhere"), "--prompt", "a", "--debug");
        assertThat(j.code()).isEqualTo(1);
        assertThat(j.err()).contains("ModelException", "\tat ");
    }
}
