package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.testing.Golden;
import dev.jotune.testing.GoldenReads;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Nothing in the golden set goes unlooked at. Runs after all other modules' tests, so only with the heavy ones. */
@Tag("heavy")
class GoldenCoverageTest {
    private static final String EXPECTED = "expected.safetensors";

    @Test
    void everyExpectedTensorOfModelsAndOperationsWasReadByATest() throws IOException {
        Set<String> read = new HashSet<>();
        for (String module : List.of("tensor", "autograd", "models", "peft")) {
            Path folder = Path.of("..", module).resolve(GoldenReads.FOLDER);
            assertThat(folder).as("run the tests of all modules first: mvn verify -Pheavy").isDirectory();
            try (Stream<Path> files = Files.list(folder)) {
                for (Path f : files.toList()) {
                    read.addAll(Files.readAllLines(f));
                }
            }
        }
        Set<String> never = new TreeSet<>();
        int tensors = 0;
        for (String suite : List.of("models", "ops")) {
            for (Golden.Case c : Golden.cases(suite).filter(c -> Files.exists(c.file(EXPECTED))).toList()) {
                for (String name : Golden.open(c.file(EXPECTED)).names()) {
                    tensors++;
                    if (!read.contains(GoldenReads.key(c.file(EXPECTED), name))) {
                        never.add(c.id() + " " + name);
                    }
                }
            }
        }
        assertThat(tensors).isGreaterThan(1000);
        assertThat(never).as("expected tensors, of %s, that no test compares", tensors).isEmpty();
    }
}
