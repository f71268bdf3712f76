package dev.jotune.models.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.huggingface.tokenizers.jni.CharSpan;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/**
 * Compares with Hugging Face's own tokenizers (through their DJL binding) on random texts.
 *
 * <p>One difference is meant: an added token that is normalised decodes to its normalised form here, as in versions
 * from 0.22 on (and in the golden tables); the binding is older and gives the form in the file. Texts in which such a
 * token was found are not compared as to decoding.
 */
class TokenizerOracleTest {

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final Path GOLDEN = Path.of(System.getProperty("jotune.golden", "golden"), "tokenizers");
    private static final Path MODELS = Path.of(System.getProperty("jotune.models", "../shared/models"));
    private static final int QUICK = 1_500;
    private static final int ALL = 20_000;
    /** Shares of a test, side by side: each reads the tokenizer again, so that there are no more of them than two processors need. */
    private static final int SHARES = 2;

    @BeforeAll
    static void keepTheNativeLibraryInTheBuildFolder() {
        Path cache = Path.of("target", "djl").toAbsolutePath();
        System.setProperty("DJL_CACHE_DIR", cache.toString());
        System.setProperty("ENGINE_CACHE_DIR", cache.toString());
        System.setProperty("ai.djl.offline", "true");
        System.setProperty("OPT_OUT_TRACKING", "true");
        System.setProperty("RUST_FLAVOR", "cpu");
    }

    @TestFactory
    Stream<DynamicTest> randomTexts() throws IOException {
        return each((name, json) -> compare(name, json, QUICK, 1));
    }

    @TestFactory
    @Tag("heavy")
    Stream<DynamicTest> twentyThousandRandomTexts() throws IOException {
        return each((name, json) -> IntStream.range(0, SHARES).parallel().forEach(share -> compare(name, json, ALL / SHARES, 2 + share)));
    }

    @TestFactory
    @Tag("heavy")
    Stream<DynamicTest> everyCharacterOfUnicode() throws IOException {
        return each((name, json) -> everyCharacter(json));
    }

    private static Stream<DynamicTest> each(BiConsumer<String, String> check) throws IOException {
        Map<String, String> tokenizers = new LinkedHashMap<>();
        for (JsonNode entry : MAPPER.readTree(GOLDEN.resolve("manifest.json").toFile()).get("cases")) {
            for (String file : List.of("tokenizer.json", "added/tokenizer.json")) {
                Path path = GOLDEN.resolve(entry.get("folder").asText()).resolve(file);
                if (Files.exists(path)) {
                    tokenizers.put(entry.get("id").asText() + "/" + file, Files.readString(path));
                }
            }
        }
        assertThat(tokenizers).isNotEmpty();
        tokenizers.put("stories260k", TestTokenizers.storiesJson());
        String bytes = tokenizers.get("gpt2/tokenizer.json");
        String pieces = tokenizers.get("llama2/tokenizer.json");
        SplittingRules.all().forEach((name, rule) ->
                tokenizers.put(name, with(rule.contains("ByteLevel") ? bytes : pieces, rule)));
        Path bert = MODELS.resolve("all-minilm-l6-v2/tokenizer.json");
        if (Files.exists(bert)) {
            tokenizers.put("all-minilm-l6-v2", Files.readString(bert));
        }
        return tokenizers.entrySet().stream().map(entry -> DynamicTest.dynamicTest(entry.getKey(),
                () -> check.accept(entry.getKey(), entry.getValue())));
    }

    /** The tokenizer with other stages. */
    private static String with(String json, String stages) {
        try {
            ObjectNode node = (ObjectNode) MAPPER.readTree(json);
            node.setAll((ObjectNode) MAPPER.readTree(stages));
            return node.toString();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static HuggingFaceTokenizer oracle(String json) {
        try {
            return HuggingFaceTokenizer.newInstance(new ByteArrayInputStream(json.getBytes(StandardCharsets.UTF_8)),
                    Map.of("truncation", "false", "padding", "false"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Tokenizer ours(String json, String name) {
        return Tokenizer.parse(json, name).withPadding(Optional.empty()).withTruncation(Optional.empty());
    }

    private static void compare(String name, String json, int count, long seed) {
        Tokenizer ours = ours(json, name);
        List<AddedToken> added = ours.addedTokens();
        RandomTexts texts = new RandomTexts(seed + name.hashCode(), added.stream().map(AddedToken::content).toList());
        int[] normalised = added.stream().filter(AddedToken::normalized).mapToInt(AddedToken::id)
                .filter(id -> !ours.visibleToken(id, false).equals(ours.idToToken(id).orElseThrow())).toArray();
        try (HuggingFaceTokenizer oracle = oracle(json)) {
            for (int i = 0; i < count; i++) {
                String text = texts.next();
                String what = "text " + i + " " + escaped(text);
                var theirs = oracle.encode(text, true, false);
                Encoding mine = ours.encode(text, true);
                assertThat(mine.ids()).as(what).isEqualTo(ids(theirs.getIds()));
                assertThat(mine.tokens()).as(what).containsExactly(theirs.getTokens());
                assertThat(mine.offsets()).as(what).isEqualTo(offsets(theirs.getCharTokenSpans()));
                assertThat(ours.encode(text, false).ids()).as(what)
                        .isEqualTo(ids(oracle.encode(text, false, false).getIds()));
                if (Arrays.stream(normalised).noneMatch(id -> Arrays.stream(mine.ids()).anyMatch(x -> x == id))) {
                    assertThat(ours.decode(mine.ids(), false)).as(what).isEqualTo(oracle.decode(theirs.getIds(), false));
                    assertThat(ours.decode(mine.ids(), true)).as(what).isEqualTo(oracle.decode(theirs.getIds(), true));
                    streamed(ours, mine.ids(), what);
                }
            }
        }
    }

    /** A stream gives the whole text, and never a piece that begins or ends within a character. */
    private static void streamed(Tokenizer tokenizer, int[] ids, String what) {
        DecodeStream stream = tokenizer.stream(true);
        StringBuilder text = new StringBuilder();
        for (int id : ids) {
            String piece = stream.push(id);
            assertThat(piece.isEmpty() || !Character.isLowSurrogate(piece.charAt(0))
                    && !Character.isHighSurrogate(piece.charAt(piece.length() - 1))).as(what).isTrue();
            text.append(piece);
        }
        assertThat(text.append(stream.finish()).toString()).as(what).isEqualTo(tokenizer.decode(ids, true));
    }

    /** Each character between letters, doubled and alone; of planes of ideographs or without characters, every 64th. */
    private static void everyCharacter(String json) {
        List<String> differing = IntStream.range(0, SHARES).parallel().mapToObj(share -> differing(json, share)).flatMap(List::stream).toList();
        assertThat(differing).isEmpty();
    }

    private static List<String> differing(String json, int first) {
        Tokenizer ours = ours(json, "tokenizer.json");
        List<String> differing = new ArrayList<>();
        try (HuggingFaceTokenizer oracle = oracle(json)) {
            for (int c = first; c <= Character.MAX_CODE_POINT; c += SHARES) {
                int plane = c >> 16;
                if (c >= 0xD800 && c <= 0xDFFF || plane > 1 && plane != 14 && c % 64 != 0) {
                    continue;
                }
                String it = Character.toString(c);
                String text = "ab" + it + "cd" + it + it + " " + it;
                var theirs = oracle.encode(text, true, false);
                Encoding mine = ours.encode(text, true);
                if (!Arrays.equals(mine.ids(), ids(theirs.getIds()))
                        || !Arrays.equals(mine.offsets(), offsets(theirs.getCharTokenSpans()))) {
                    differing.add(Integer.toHexString(c));
                }
            }
        }
        return differing;
    }

    private static int[] ids(long[] ids) {
        return Arrays.stream(ids).mapToInt(Math::toIntExact).toArray();
    }

    private static int[] offsets(CharSpan[] spans) {
        int[] offsets = new int[2 * spans.length];
        for (int i = 0; i < spans.length; i++) {
            if (spans[i] != null) {
                offsets[2 * i] = spans[i].getStart();
                offsets[2 * i + 1] = spans[i].getEnd();
            }
        }
        return offsets;
    }

    private static String escaped(String text) {
        StringBuilder escaped = new StringBuilder();
        text.codePoints().forEach(c -> escaped.append(c >= ' ' && c < 0x7F ? Character.toString(c)
                : "\\u{" + Integer.toHexString(c) + "}"));
        return escaped.toString();
    }
}
