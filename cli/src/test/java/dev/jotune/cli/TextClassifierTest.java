package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A pretrained encoder becomes a classifier: tuned, measured, merged, from the command line. */
class TextClassifierTest {
    @TempDir
    private Path dir;
    private Path model;
    private Path data;

    @BeforeEach
    void make() throws IOException {
        model = TinyEncoder.model(dir.resolve("model"));
        data = TinyEncoder.data(dir.resolve("data.tsv"));
    }

    private Jotune tune(Path out, int steps, Object... more) {
        Object[] first = {"tune", "--task", "classify", "--model", model, "--method", "lora", "--data", data, "--out", out,
            "--learning-rate", "0.005", "--batch-size", "8", "--max-steps", steps};
        return Jotune.run(java.util.stream.Stream.concat(Arrays.stream(first), Arrays.stream(more)).toArray());
    }

    private static String accuracy(Object model, Path data, Object... more) {
        Object[] first = {"eval", "--task", "classify", "--model", model, "--data", data};
        Jotune j = Jotune.run(java.util.stream.Stream.concat(Arrays.stream(first), Arrays.stream(more)).toArray());
        assertThat(j.code()).as(j.err()).isZero();
        return j.out();
    }

    @Test
    void tunedMeasuredAndMerged() throws IOException {
        Path adapter = dir.resolve("adapter");
        Jotune tuned = tune(adapter, 150);
        assertThat(tuned.code()).as(tuned.err()).isZero();
        assertThat(adapter.resolve("labels.json")).content().contains("bad", "good");
        String measured = accuracy(model, data, "--adapter", adapter);
        assertThat(measured).contains("accuracy 1.0000", "(40 of 40)");

        Path merged = dir.resolve("merged");
        Jotune m = Jotune.run("merge", "--model", model, "--adapter", adapter, "--out", merged);
        assertThat(m.code()).as(m.err()).isZero();
        assertThat(merged.resolve("config.json")).content().contains("BertForSequenceClassification", "\"1\" : \"good\"");
        assertThat(accuracy(merged, data)).isEqualTo(measured);
    }

    @Test
    void aStoppedRunGoesOnAndEndsInTheSameAdapter() throws IOException {
        Path whole = dir.resolve("whole");
        tune(whole, 6);
        Path parts = dir.resolve("parts");
        tune(parts, 6, "--save-every", 4);
        Files.delete(parts.resolve("adapter_model.safetensors"));
        Jotune resumed = tune(parts, 6, "--save-every", 4, "--resume");
        assertThat(resumed.code()).as(resumed.err()).isZero();
        assertThat(Files.readAllBytes(parts.resolve("adapter_model.safetensors")))
                .isEqualTo(Files.readAllBytes(whole.resolve("adapter_model.safetensors")));
    }

    @Test
    void whatCannotBeClassifiedIsRefusedInAWord() throws IOException {
        Jotune unknown = Jotune.run("tune", "--task", "sing", "--model", model, "--method", "lora", "--data", data, "--out", dir.resolve("o"));
        assertThat(unknown.code()).isEqualTo(2);
        assertThat(unknown.err()).contains("'sing'", "write, classify");
        Jotune decoder = Jotune.run("tune", "--task", "classify", "--model", "stories260k", "--method", "lora", "--data", data, "--out",
                dir.resolve("o"));
        assertThat(decoder.code()).isEqualTo(2);
        assertThat(decoder.err()).contains("stories260k", "encoder");
        Jotune bare = Jotune.run("eval", "--task", "classify", "--model", model, "--data", data);
        assertThat(bare.code()).isEqualTo(1);
        assertThat(bare.err()).contains("no classifier", "--adapter");
        Path other = Files.writeString(dir.resolve("other.tsv"), "w11\tawful\n");
        Path adapter = dir.resolve("adapter");
        tune(adapter, 1);
        Jotune label = Jotune.run("eval", "--task", "classify", "--model", model, "--adapter", adapter, "--data", other);
        assertThat(label.code()).isEqualTo(1);
        assertThat(label.err()).contains("'awful'", "line 1", "bad, good");
    }
}
