package dev.jotune.models.hub;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** A hub on this machine with one little model, and what pulls it. */
abstract class HubFixture {
    static final RepoId REPO = RepoId.of("maker/tiny-model").orElseThrow();
    static final String WEIGHTS = "model.safetensors";
    static final Retry SOON = new Retry(3, Duration.ofMillis(5), Duration.ofSeconds(3));

    @TempDir
    Path folder;
    FakeHub server;
    final List<String> notes = new ArrayList<>();

    @BeforeEach
    void start() {
        server = new FakeHub();
        byte[] weights = new byte[300_000];
        new Random(1).nextBytes(weights);
        server.files.put("config.json", "{\"model_type\": \"llama\"}".getBytes(StandardCharsets.UTF_8));
        server.files.put("1_Pooling/config.json", "{}".getBytes(StandardCharsets.UTF_8));
        server.files.put("empty.txt", new byte[0]);
        server.files.put("a file + caf\u00e9.txt", "odd name".getBytes(StandardCharsets.UTF_8));
        server.files.put(WEIGHTS, weights);
        server.files.put("pytorch_model.bin", new byte[10]);
        server.files.put("model.gguf", new byte[20]);
        server.files.put("README.md", new byte[5]);
    }

    @AfterEach
    void stop() {
        server.close();
    }

    final Path cache() {
        return folder.resolve("hub");
    }

    final Hub hub(Optional<String> token) {
        return new Hub(new HubSettings(server.endpoint(), token, cache()), SOON);
    }

    final Path pull() {
        return hub(Optional.of("hf_secret")).pull(REPO, "main", Selection.MODEL, new PullListener() {
            @Override
            public void onNote(String note) {
                notes.add(note);
            }
        });
    }

    final void assertPulled(Path snapshot) throws IOException {
        assertThat(snapshot).isEqualTo(cache().resolve("models--maker--tiny-model/snapshots/" + FakeHub.COMMIT));
        for (String path : List.of("config.json", "1_Pooling/config.json", "empty.txt", "a file + caf\u00e9.txt", WEIGHTS)) {
            assertThat(snapshot.resolve(path)).hasBinaryContent(server.files.get(path));
        }
        try (Stream<Path> blobs = Files.list(cache().resolve("models--maker--tiny-model/blobs"))) {
            assertThat(blobs).noneMatch(blob -> blob.toString().endsWith(".incomplete")).isNotEmpty();
        }
    }
}
