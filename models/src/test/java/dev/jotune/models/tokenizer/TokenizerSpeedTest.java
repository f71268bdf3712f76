package dev.jotune.models.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * One thread encodes English (256 KB of Shakespeare, in the public domain) at 1 MB/s or more with every family. The time
 * is the thread's own CPU time, the best of several runs, each with a new tokenizer that has yet to see any word.
 * {@code TokenizerBenchmark} in jmh measures more closely.
 */
class TokenizerSpeedTest {

    private static final double REQUIRED = 1.0;
    private static final int MOST_RUNS = 12;

    @TestFactory
    Stream<DynamicTest> everyFamilyEncodesAMegabyteASecond() throws IOException {
        Path root = Path.of(System.getProperty("jotune.golden", "golden"), "tokenizers");
        Map<String, String> tokenizers = new LinkedHashMap<>();
        for (JsonNode entry : new ObjectMapper().readTree(root.resolve("manifest.json").toFile()).get("cases")) {
            Path file = root.resolve(entry.get("folder").asText()).resolve("tokenizer.json");
            if (Files.exists(file)) {
                tokenizers.put(entry.get("id").asText(), Files.readString(file));
            }
        }
        assertThat(tokenizers).isNotEmpty();
        Path bert = Path.of(System.getProperty("jotune.models", "../shared/models"), "all-minilm-l6-v2/tokenizer.json");
        if (Files.exists(bert)) {
            tokenizers.put("all-minilm-l6-v2", Files.readString(bert));
        }
        List<String> documents = documents();
        return tokenizers.entrySet().stream().map(entry -> DynamicTest.dynamicTest(entry.getKey(), () -> {
            double speed = 0;
            for (int run = 0; run < MOST_RUNS && (run < 3 || speed < REQUIRED); run++) {
                speed = Math.max(speed, megabytesPerSecond(entry.getValue(), documents));
            }
            System.out.printf("encode %-18s %6.2f MB/s%n", entry.getKey(), speed);
            assertThat(speed).isGreaterThanOrEqualTo(REQUIRED);
        }));
    }

    private static double megabytesPerSecond(String json, List<String> documents) {
        Tokenizer tokenizer = Tokenizer.parse(json, "tokenizer.json");
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        long bytes = 0;
        long tokens = 0;
        long start = threads.getCurrentThreadCpuTime();
        for (String document : documents) {
            bytes += document.length();
            tokens += tokenizer.encode(document, false).length();
        }
        long nanoseconds = threads.getCurrentThreadCpuTime() - start;
        assertThat(tokens).isPositive();
        return bytes * 1e3 / nanoseconds;
    }

    private static List<String> documents() throws IOException {
        try (InputStream in = TokenizerSpeedTest.class.getResourceAsStream("/texts/shakespeare.txt")) {
            String text = new String(in.readAllBytes(), StandardCharsets.US_ASCII);
            List<String> documents = new ArrayList<>();
            for (int from = 0; from < text.length(); from += 4096) {
                documents.add(text.substring(from, Math.min(from + 4096, text.length())));
            }
            return documents;
        }
    }
}
