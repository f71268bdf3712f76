package dev.jotune.models.seq2seq;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.testing.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Encoder-decoders against transformers: every check but beam search and audio features, which have tests of their own. */
@Tag("golden")
class Seq2SeqGoldenTest {
    @TempDir
    Path folder;

    static Stream<Golden.Case> cases() {
        return Golden.cases("models").filter(c -> Files.exists(c.file("config.json"))
                && Golden.json(c.file("config.json")).path("is_encoder_decoder").asBoolean());
    }

    @TestFactory
    Stream<DynamicTest> everyCheckOnBothBackends() {
        List<DynamicTest> tests = new ArrayList<>();
        cases().forEach(c -> {
            for (boolean wide : new boolean[] {true, false}) {
                for (JsonNode check : c.checks()) {
                    String name = check.get("name").asText();
                    boolean elsewhere = check.at("/settings/num_beams").asInt(1) > 1 || check.path("expected").has("input_features");
                    // Buckets are whole numbers: T5Test compares them.
                    if (!elsewhere && !check.at("/settings").has("num_buckets")) {
                        tests.add(DynamicTest.dynamicTest(c.id() + " " + name + (wide ? " F64" : " F32"), () -> run(c, c.folder(), check, wide)));
                    }
                }
            }
        });
        assertThat(tests).isNotEmpty();
        return tests.stream();
    }

    private static void run(Golden.Case c, Path checkpoint, JsonNode check, boolean wide) {
        Seq2SeqCheck run = new Seq2SeqCheck(c, checkpoint, check, wide);
        if (check.path("expected").has("sequences")) {
            run.greedy();
        } else {
            run.forward();
        }
    }

    @TestFactory
    Stream<DynamicTest> theOlderFormOfConfigurationsMeansTheSame() {
        return cases().filter(c -> Files.exists(c.file("legacy/config.json"))).map(c -> DynamicTest.dynamicTest(c.id(), () -> {
            Path old = legacy(c);
            for (JsonNode check : c.checks()) {
                if (check.path("expected").has("logits") || check.get("name").asText().equals("greedy")) {
                    run(c, old, check, true);
                }
            }
        }));
    }

    private Path legacy(Golden.Case c) throws IOException {
        Path old = Files.createDirectories(folder.resolve(c.id()));
        try (Stream<Path> files = Files.list(c.folder())) {
            for (Path f : files.filter(Files::isRegularFile).toList()) {
                Files.copy(f, old.resolve(f.getFileName()));
            }
        }
        Files.delete(old.resolve("config.json"));
        Files.copy(c.file("legacy/config.json"), old.resolve("config.json"));
        return old;
    }
}
