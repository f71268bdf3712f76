package dev.jotune.models.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(120)
class HubTest extends HubFixture {
    @Test
    void aModelIsLaidOutAsTheHubsOwnClientDoes() throws IOException {
        Path snapshot = pull();
        assertPulled(snapshot);
        assertThat(Files.exists(snapshot.resolve("pytorch_model.bin"), LinkOption.NOFOLLOW_LINKS)).isFalse();
        assertThat(Files.exists(snapshot.resolve("README.md"), LinkOption.NOFOLLOW_LINKS)).isFalse();
        Path repo = cache().resolve("models--maker--tiny-model");
        assertThat(repo.resolve("refs/main")).hasContent(FakeHub.COMMIT);
        assertThat(Files.readSymbolicLink(snapshot.resolve(WEIGHTS))).isEqualTo(Path.of("../../blobs", server.etag(WEIGHTS)));
        assertThat(Files.readSymbolicLink(snapshot.resolve("1_Pooling/config.json")))
                .isEqualTo(Path.of("../../../blobs", server.etag("1_Pooling/config.json")));
        assertThat(cache().resolve(".locks/models--maker--tiny-model/" + server.etag(WEIGHTS) + ".lock")).exists();
        assertThat(new HubCache(cache()).find(REPO)).contains(snapshot);
        assertThat(new HubCache(cache()).find(REPO, FakeHub.COMMIT)).contains(snapshot);
        assertThat(new HubCache(cache()).find(REPO, "v2")).isEmpty();
    }

    @Test
    void theTokenGoesToTheHubAndNowhereElse() throws IOException {
        assertPulled(pull());
        assertThat(server.requests).filteredOn(r -> r.host().equals("cdn")).isNotEmpty()
                .allMatch(r -> r.authorization().isEmpty());
        assertThat(server.requests).filteredOn(r -> r.host().equals("hub")).isNotEmpty()
                .allMatch(r -> r.authorization().equals(Optional.of("Bearer hf_secret")));
    }

    @Test
    void whatIsInTheCacheIsNotFetchedAgain() throws IOException {
        pull();
        server.requests.clear();
        assertPulled(pull());
        assertThat(server.requests).filteredOn(r -> r.method().equals("GET")).allMatch(r -> r.path().startsWith("/api/"));
    }

    @Test
    void aPartOfAFileIsGoneOnWith() throws IOException {
        Path part = cache().resolve("models--maker--tiny-model/blobs/" + server.etag(WEIGHTS) + ".incomplete");
        Files.createDirectories(part.getParent());
        Files.write(part, Arrays.copyOf(server.files.get(WEIGHTS), 100_001));
        assertPulled(pull());
        assertThat(server.requests).filteredOn(r -> r.host().equals("cdn")).hasSize(1)
                .allMatch(r -> r.range().equals(Optional.of("bytes=100001-")));
    }

    @Test
    void aPartThatDoesNotFitIsThrownAway() throws IOException {
        Path part = cache().resolve("models--maker--tiny-model/blobs/" + server.etag(WEIGHTS) + ".incomplete");
        Files.createDirectories(part.getParent());
        Files.write(part, new byte[100_001]);
        assertPulled(pull());
        assertThat(notes).anyMatch(note -> note.contains("checksum"));
        Files.write(part, new byte[400_000]);
        Files.delete(cache().resolve("models--maker--tiny-model/blobs/" + server.etag(WEIGHTS)));
        assertPulled(pull());
    }

    @Test
    void aServerWithoutRangesSendsAllAgain() throws IOException {
        Path part = cache().resolve("models--maker--tiny-model/blobs/" + server.etag(WEIGHTS) + ".incomplete");
        Files.createDirectories(part.getParent());
        Files.write(part, Arrays.copyOf(server.files.get(WEIGHTS), 1_000));
        server.cdnTrouble = (exchange, path) -> {
            FakeHub.send(exchange, 200, server.files.get(path.substring(1)));
            return true;
        };
        assertPulled(pull());
    }

    @Test
    void aConnectionThatBreaksAgainAndAgainIsGoneOnWithAsLongAsItBringsSomething() throws IOException {
        AtomicInteger count = new AtomicInteger();
        server.cdnTrouble = (exchange, path) -> {
            if (count.incrementAndGet() > 8) {
                return false;
            }
            byte[] content = server.files.get(path.substring(1));
            String range = exchange.getRequestHeaders().getFirst("Range");
            int from = range == null ? 0 : Integer.parseInt(range.replaceAll("bytes=([0-9]+)-", "$1"));
            exchange.getResponseHeaders().add("Content-Range", "bytes " + from + "-" + (content.length - 1) + "/" + content.length);
            exchange.sendResponseHeaders(range == null ? 200 : 206, content.length - from);
            exchange.getResponseBody().write(content, from, 20_000);
            exchange.getResponseBody().flush();
            return true;
        };
        assertPulled(pull());
        assertThat(count.get()).isGreaterThan(8);
    }

    @Test
    void aConnectionThatBringsNothingIsGivenUp() {
        server.cdnTrouble = (exchange, path) -> {
            FakeHub.breakOff(exchange, server.files.get(path.substring(1)), 0);
            return true;
        };
        assertThatThrownBy(this::pull).isInstanceOf(HubException.class).hasMessageContaining("connection to localhost");
        assertThat(new HubCache(cache()).find(REPO)).as("an incomplete model is not found").isEmpty();
    }

    @Test
    void aWrongChecksumIsRefused() {
        server.cdnTrouble = (exchange, path) -> {
            byte[] damaged = server.files.get(path.substring(1)).clone();
            damaged[7]++;
            FakeHub.ranged(exchange, damaged);
            return true;
        };
        assertThatThrownBy(this::pull).isInstanceOf(HubException.class).hasMessageContaining("checksum of model.safetensors");
        assertThat(cache().resolve("models--maker--tiny-model/blobs/" + server.etag(WEIGHTS))).doesNotExist();
    }

    @Test
    void aSmallFilesChecksumIsThatOfGit() {
        server.etags.put("config.json", "0".repeat(40));
        assertThatThrownBy(this::pull).isInstanceOf(HubException.class).hasMessageContaining("checksum of config.json");
    }

    @Test
    void anETagThatIsNoChecksumIsTakenAsAName() throws IOException {
        server.etags.put("config.json", "some-etag-1");
        assertPulled(pull());
        assertThat(cache().resolve("models--maker--tiny-model/blobs/some-etag-1")).exists();
    }

    @Test
    void aFileThatChangedIsFetchedIntoABlobOfItsOwn() throws IOException {
        pull();
        String before = server.etag("config.json");
        server.commit = "f".repeat(40);
        server.files.put("config.json", "{\"model_type\": \"gpt2\"}".getBytes(StandardCharsets.UTF_8));
        Path snapshot = pull();
        assertThat(snapshot.getFileName()).hasToString(server.commit);
        assertThat(snapshot.resolve("config.json")).hasBinaryContent(server.files.get("config.json"));
        assertThat(snapshot.resolveSibling(FakeHub.COMMIT).resolve("config.json")).hasContent("{\"model_type\": \"llama\"}");
        assertThat(server.etag("config.json")).isNotEqualTo(before);
        assertThat(new HubCache(cache()).find(REPO)).contains(snapshot);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"401||Check the name", "401|GatedRepo|is gated", "403|GatedRepo|accept their terms",
        "403||refuses", "404|RepoNotFound|has no model 'maker/tiny-model'", "404|RevisionNotFound|no revision 'main'",
        "429||too many requests", "500||cannot answer", "503||cannot answer", "418||answers 418"})
    void whatTheHubRefusesIsExplained(int status, String code, String said) {
        AtomicInteger count = new AtomicInteger();
        server.hubTrouble = (exchange, _) -> {
            count.incrementAndGet();
            if (code != null) {
                exchange.getResponseHeaders().add("X-Error-Code", code);
            }
            FakeHub.send(exchange, status, "no".getBytes(StandardCharsets.UTF_8));
            return true;
        };
        assertThatThrownBy(this::pull).isInstanceOf(HubException.class).hasMessageContaining(said)
                .hasMessageNotContaining("hf_secret");
        assertThat(count.get()).isEqualTo(status == 429 || status >= 500 ? SOON.attempts() : 1);
    }

    @Test
    void withoutATokenAMessageAsksForOne() {
        server.hubTrouble = (exchange, _) -> {
            FakeHub.send(exchange, 401, new byte[0]);
            return true;
        };
        assertThatThrownBy(() -> hub(Optional.empty()).pull(REPO, "main", Selection.MODEL, new PullListener() { }))
                .hasMessageContaining("set HF_TOKEN");
        assertThat(server.requests).allMatch(r -> r.authorization().isEmpty());
    }

    @Test
    void aBusyServerIsWaitedForAsLongAsItAsks() throws IOException {
        AtomicInteger count = new AtomicInteger();
        server.hubTrouble = (exchange, _) -> {
            if (count.incrementAndGet() > 1) {
                return false;
            }
            exchange.getResponseHeaders().add("Retry-After", "1");
            FakeHub.send(exchange, 429, new byte[0]);
            return true;
        };
        long start = System.nanoTime();
        assertPulled(pull());
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isGreaterThanOrEqualTo(Duration.ofSeconds(1));
        assertThat(notes).anyMatch(note -> note.contains("in 1 s"));
    }

    @Test
    void aServerThatAsksToWaitForHoursIsNotWaitedFor() {
        server.hubTrouble = (exchange, _) -> {
            exchange.getResponseHeaders().add("Retry-After", "7200");
            FakeHub.send(exchange, 503, new byte[0]);
            return true;
        };
        assertThatThrownBy(this::pull).isInstanceOf(HubException.class);
        assertThat(server.requests).hasSize(1);
    }

    @ParameterizedTest
    @ValueSource(strings = {"../../evil.json", "/etc/evil.json", "a/../../../evil.json", "a//b.json", "./x.json", "C:\\\\x.json",
        "..\\\\x.json", "", "a/", "x\\u0000.json"})
    void aHostileNameIsRefused(String name) {
        server.extraPaths.add(name);
        assertThatThrownBy(this::pull).isInstanceOf(HubException.class);
        assertThat(folder.resolve("evil.json")).doesNotExist();
    }

    @Test
    void aLinkInTheSnapshotIsNotFollowed() throws IOException {
        Path outside = Files.createDirectory(folder.resolve("outside"));
        Path snapshot = cache().resolve("models--maker--tiny-model/snapshots/" + FakeHub.COMMIT);
        Files.createDirectories(snapshot);
        Files.createSymbolicLink(snapshot.resolve("1_Pooling"), outside);
        assertThatThrownBy(this::pull).isInstanceOf(HubException.class).hasMessageContaining("not a folder of the cache");
        assertThat(outside).isEmptyDirectory();
    }

    @ParameterizedTest
    @ValueSource(strings = {"../x", "a/b", ".hidden", "x.incomplete", "with space"})
    void anETagThatCannotNameAFileIsRefused(String etag) {
        server.etags.put("config.json", etag);
        assertThatThrownBy(this::pull).isInstanceOf(HubException.class).hasMessageContaining("ETag");
    }

    @ParameterizedTest
    @ValueSource(strings = {"ftp://localhost/x", "file:///etc/passwd", "http://[", "//"})
    void aRedirectToSomewhereOddIsRefused(String location) {
        server.hubTrouble = (exchange, path) -> {
            if (!path.startsWith("/api/")) {
                return false;
            }
            FakeHub.redirect(exchange, 302, location);
            return true;
        };
        assertThatThrownBy(this::pull).isInstanceOf(HubException.class);
    }

    @Test
    void redirectsInACircleEnd() {
        server.hubTrouble = (exchange, path) -> {
            FakeHub.redirect(exchange, 307, path);
            return true;
        };
        assertThatThrownBy(this::pull).hasMessageContaining("more than 10 times");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "[]", "{\"sha\": \"main\", \"siblings\": []}", "<html>", "{\"sha\": 1}"})
    void anAnswerThatIsNoListIsRefused(String body) {
        server.hubTrouble = (exchange, _) -> {
            FakeHub.send(exchange, 200, body.getBytes(StandardCharsets.UTF_8));
            return true;
        };
        assertThatThrownBy(this::pull).isInstanceOf(HubException.class).hasMessageContaining("HF_ENDPOINT");
    }

    @Test
    void aCacheThatCannotBeWrittenIsNamed() throws IOException {
        Files.writeString(cache(), "a file where the cache should be");
        assertThatThrownBy(this::pull).isInstanceOf(HubException.class).hasMessageContaining(cache().toString())
                .hasMessageContaining("HF_HUB_CACHE");
    }

    @Test
    void aFileLargerThanTheDiskIsRefusedBeforeItIsFetched() {
        server.hubTrouble = (exchange, path) -> {
            if (!path.endsWith(WEIGHTS)) {
                return false;
            }
            exchange.getResponseHeaders().add("X-Linked-Etag", server.etag(WEIGHTS));
            exchange.getResponseHeaders().add("X-Linked-Size", "900000000000000000");
            FakeHub.redirect(exchange, 302, server.large() + "/" + WEIGHTS);
            return true;
        };
        assertThatThrownBy(this::pull).hasMessageContaining("Make room");
        assertThat(server.requests).noneMatch(r -> r.host().equals("cdn"));
    }

    @Test
    void patternsChooseFiles() {
        List<String> paths = List.copyOf(server.files.keySet());
        assertThat(new Selection(List.of("*.gguf"), List.of()).of(paths)).containsExactly("model.gguf");
        assertThat(new Selection(List.of("*"), List.of("*.bin", "[R]*", "1_Pooling/", "?mpty.txt")).of(paths))
                .containsExactly("config.json", "a file + caf\u00e9.txt", WEIGHTS, "model.gguf");
        assertThat(Selection.MODEL.of(List.of("config.json", "pytorch_model.bin", "onnx/model.onnx", "training_args.bin")))
                .containsExactly("config.json", "pytorch_model.bin");
        assertThatThrownBy(() -> hub(Optional.empty()).pull(REPO, "main", new Selection(List.of("*.onnx"), List.of()),
                new PullListener() { })).hasMessageContaining("config.json");
    }

    @Test
    void twoProcessesAtOnceDoNoHarmAndAKilledOneIsGoneOnWith() throws Exception {
        AtomicInteger sent = new AtomicInteger();
        server.cdnTrouble = (exchange, path) -> {
            if (sent.getAndIncrement() > 0) {
                return false;
            }
            byte[] content = server.files.get(path.substring(1));
            FakeHub.breakOff(exchange, content, content.length / 2);
            try {
                Thread.sleep(60_000); // The process is killed meanwhile.
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return true;
        };
        Process killed = process();
        Path part = cache().resolve("models--maker--tiny-model/blobs/" + server.etag(WEIGHTS) + ".incomplete");
        while (!Files.exists(part) || Files.size(part) < server.files.get(WEIGHTS).length / 2) {
            assertThat(killed.isAlive()).isTrue();
            Thread.sleep(20);
        }
        killed.destroyForcibly().waitFor();
        Process one = process();
        Process two = process();
        assertThat(one.waitFor()).as(said(one)).isZero();
        assertThat(two.waitFor()).as(said(two)).isZero();
        assertPulled(cache().resolve("models--maker--tiny-model/snapshots/" + FakeHub.COMMIT));
        assertThat(server.requests).filteredOn(r -> r.host().equals("cdn")).extracting(FakeHub.Request::range)
                .containsExactly(Optional.empty(), Optional.of("bytes=150000-"));
    }

    /** Pulls the model in a process of its own. */
    private Process process() throws IOException {
        ProcessBuilder builder = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin/java").toString(),
                "-Xmx64m", "-XX:+UseSerialGC", "-cp", System.getProperty("java.class.path"), PullMain.class.getName());
        builder.environment().putAll(Map.of("HF_ENDPOINT", server.endpoint().toString(), "HF_HUB_CACHE", cache().toString()));
        return builder.redirectErrorStream(true).start();
    }

    private static String said(Process process) throws IOException {
        try (InputStream out = process.getInputStream()) {
            return new String(out.readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}
