package dev.jotune.tensor.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

class CheckpointTest {

    @TempDir
    Path folder;

    @Tag("golden")
    @TestFactory
    Stream<DynamicTest> shardedCheckpointsAreReadOrRefused() {
        return SafeTensorsGoldenTest.checks("safetensors_index", (golden, check) -> {
            Path path = golden.file(check.get("folder").asText());
            String expect = check.get("expect").asText();
            if (expect.equals("refuse")) {
                assertThatThrownBy(() -> Checkpoint.open(path)).isInstanceOf(FormatException.class)
                        .hasMessageContaining(path.resolve(Checkpoint.INDEX_FILE).toString())
                        .hasMessageMatching("(?s).+: .+\\. [A-Z].+\\.");
                return;
            }
            try (Checkpoint checkpoint = Checkpoint.open(path)) {
                assertThat(checkpoint.names()).isNotEmpty();
                Map<String, RawTensor> tensors = new HashMap<>();
                checkpoint.names().forEach(name -> tensors.put(name, checkpoint.raw(name)));
                SafeTensorsGoldenTest.checkSaid(golden, tensors);
            } catch (FormatException e) {
                assertThat(expect).isEqualTo("either");
            }
        });
    }

    @Test
    void aSingleFileOpensByItselfAndThroughItsFolder() throws IOException {
        Path file = folder.resolve(Checkpoint.SINGLE_FILE);
        SafeTensorsWriter.write(file, Map.of("w", SafeTensorsWriterTest.floats(1, 2)), Map.of());
        for (Path path : new Path[] {file, folder}) {
            try (Checkpoint checkpoint = Checkpoint.open(path)) {
                assertThat(checkpoint.names()).containsExactly("w");
                assertThat(checkpoint.contains("v")).isFalse();
                assertThat(checkpoint.entry("w").shape()).containsExactly(2);
                assertThat(checkpoint.data("w").isReadOnly()).isTrue();
                assertThatThrownBy(() -> checkpoint.raw("v")).isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("\"v\"");
            }
        }
    }

    @Test
    void whatWasTakenSurvivesClosing() throws IOException {
        SafeTensorsWriter.write(folder.resolve(Checkpoint.SINGLE_FILE),
                Map.of("w", SafeTensorsWriterTest.floats(1, 2)), Map.of());
        Checkpoint checkpoint = Checkpoint.open(folder);
        RawTensor taken = checkpoint.raw("w");
        checkpoint.close();
        assertThat(taken.toFloats()).containsExactly(1, 2);
        assertThatThrownBy(() -> checkpoint.raw("w")).isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("closed");
    }

    @Test
    void missingThingsAreNamed() {
        assertThatThrownBy(() -> Checkpoint.open(folder)).isInstanceOf(NoSuchFileException.class)
                .hasMessageContaining(folder.toString()).hasMessageContaining(Checkpoint.INDEX_FILE);
        Path missing = folder.resolve("none.safetensors");
        assertThatThrownBy(() -> Checkpoint.open(missing)).isInstanceOf(NoSuchFileException.class)
                .hasMessageContaining(missing.toString()).hasMessageContaining("no such file");
    }

    @Test
    void anIndexOfRubbishIsRefused() throws IOException {
        Path index = folder.resolve(Checkpoint.INDEX_FILE);
        for (String text : new String[] {"", "[]", "{", "null", "{\"weight_map\":{\"a\":\"..\"}}",
            "{\"weight_map\":{\"a\":\"x\",\"a\":\"y\"}}", "{\"weight_map\":{}} x",
            "{\"weight_map\":{\"a\":\"b\\\\c\"}}", "{\"weight_map\":{\"a\":\"\"}}",
            // No system's encoding has half a character.
            "{\"weight_map\":{\"a\":\"b\\ud800\"}}",
            // Taken for UTF-32, of which it is none.
            "\0\0\0{\"weight_map\""}) {
            Files.writeString(index, text);
            assertThatThrownBy(() -> Checkpoint.open(folder)).as(text).isInstanceOf(FormatException.class)
                    .hasMessageContaining(index.toString());
        }
    }
}
