package dev.jotune.models.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Compares every check that the golden folder's manifest lists, character for character. */
@Tag("golden")
class TokenizerGoldenTest {

    private static final Path ROOT = Path.of(System.getProperty("jotune.golden", "golden"), "tokenizers");
    private static final ObjectMapper MAPPER = new ObjectMapper();

    @TestFactory
    Stream<DynamicTest> cases() throws IOException {
        JsonNode manifest = read(ROOT.resolve("manifest.json"));
        List<DynamicTest> tests = new ArrayList<>();
        for (JsonNode entry : manifest.get("cases")) {
            Path folder = ROOT.resolve(entry.get("folder").asText());
            for (JsonNode check : entry.get("checks")) {
                String name = check.get("name").asText();
                tests.add(DynamicTest.dynamicTest(entry.get("id").asText() + ": " + name,
                        () -> check(name, folder, entry)));
            }
        }
        assertThat(tests).isNotEmpty();
        return tests.stream();
    }

    private static void check(String name, Path folder, JsonNode entry) throws IOException {
        List<String> texts = new ArrayList<>();
        read(ROOT.resolve("texts.json")).forEach(text -> texts.add(text.asText()));
        if (entry.has("more_texts")) {
            entry.get("more_texts").forEach(text -> texts.add(text.asText()));
        }
        switch (name) {
            case "table" -> table(load(folder), texts, read(folder.resolve("table.json")));
            case "pairs" -> pairs(load(folder), read(folder.resolve("pairs.json")));
            case "fitting" -> fitting(load(folder), read(folder.resolve("fitting.json")));
            case "decoding" -> decoding(load(folder), read(folder.resolve("decoding.json")));
            case "added" -> {
                Path added = folder.resolve("added");
                List<String> own = new ArrayList<>();
                read(added.resolve("texts.json")).forEach(text -> own.add(text.asText()));
                table(load(added), own, read(added.resolve("table.json")));
            }
            case "normalizers" -> normalizers(texts, read(folder.resolve("normalizers.json")));
            case "pre_tokenizers" -> preTokenizers(texts, read(folder.resolve("pre_tokenizers.json")));
            default -> throw new AssertionError("Unknown check '" + name + "'");
        }
    }

    private static Tokenizer load(Path folder) {
        return Tokenizer.load(folder.resolve("tokenizer.json"));
    }

    private static void table(Tokenizer tokenizer, List<String> texts, JsonNode table) {
        assertThat(table.get("ids")).hasSameSizeAs(texts);
        for (int i = 0; i < texts.size(); i++) {
            Encoding encoding = tokenizer.encode(texts.get(i), true);
            String row = "row " + i + " '" + texts.get(i) + "'";
            assertThat(encoding.tokens()).as(row).isEqualTo(strings(table.get("tokens").get(i)));
            assertThat(encoding.ids()).as(row).isEqualTo(numbers(table.get("ids").get(i)));
            assertThat(encoding.offsets()).as(row + " " + encoding.tokens())
                    .isEqualTo(numbers(table.get("offsets").get(i)));
            // Null says that there are no special tokens to add.
            JsonNode plain = table.get("ids_plain").get(i);
            assertThat(tokenizer.encode(texts.get(i), false).ids()).as(row)
                    .isEqualTo(numbers(plain.isNull() ? table.get("ids").get(i) : plain));
            assertThat(tokenizer.decode(encoding.ids(), false)).as(row)
                    .isEqualTo(table.get("decoded").get(i).asText());
            assertThat(tokenizer.decode(encoding.ids(), true)).as(row)
                    .isEqualTo(table.get("decoded_clean").get(i).asText());
            assertThat(streamed(tokenizer, encoding.ids(), true)).as(row)
                    .isEqualTo(table.get("decoded_clean").get(i).asText());
        }
    }

    private static String streamed(Tokenizer tokenizer, int[] ids, boolean skipSpecialTokens) {
        DecodeStream stream = tokenizer.stream(skipSpecialTokens);
        StringBuilder text = new StringBuilder();
        for (int id : ids) {
            text.append(stream.push(id));
        }
        return text.append(stream.finish()).toString();
    }

    private static void pairs(Tokenizer tokenizer, JsonNode pairs) {
        for (JsonNode pair : pairs) {
            Encoding encoding = tokenizer.encode(pair.get("first").asText(), pair.get("second").asText(), true);
            compare(encoding, pair, pair.get("first") + " + " + pair.get("second"));
        }
    }

    private static void fitting(Tokenizer tokenizer, JsonNode cases) {
        for (JsonNode entry : cases) {
            Tokenizer fitted = tokenizer.withTruncation(truncation(entry.get("truncation")))
                    .withPadding(padding(entry.get("padding")));
            List<Tokenizer.Input> inputs = new ArrayList<>();
            List<JsonNode> expected = new ArrayList<>();
            for (int i = 0; i < entry.get("inputs").size(); i++) {
                Tokenizer.Input input = input(entry.get("inputs").get(i));
                if (entry.get("encodings").get(i).has("refused")) {
                    assertThatThrownBy(() -> fitted.encodeBatch(List.of(input), true)).as("%s", entry.get("truncation"))
                            .isInstanceOf(TokenizerException.class);
                } else {
                    inputs.add(input);
                    expected.add(entry.get("encodings").get(i));
                }
            }
            List<Encoding> encodings = fitted.encodeBatch(inputs, true);
            assertThat(encodings).hasSameSizeAs(expected);
            for (int i = 0; i < encodings.size(); i++) {
                compare(encodings.get(i), expected.get(i),
                        entry.get("truncation") + " " + entry.get("padding") + " " + inputs.get(i));
            }
        }
    }

    private static Tokenizer.Input input(JsonNode texts) {
        return texts.size() == 1 ? Tokenizer.Input.of(texts.get(0).asText())
                : Tokenizer.Input.of(texts.get(0).asText(), texts.get(1).asText());
    }

    private static Optional<Truncation> truncation(JsonNode node) {
        if (node.isNull()) {
            return Optional.empty();
        }
        String strategy = node.path("strategy").asText("longest_first");
        return Optional.of(new Truncation(node.get("max_length").asInt(), node.path("stride").asInt(0),
                Truncation.Strategy.valueOf(strategy.toUpperCase(Locale.ROOT)), direction(node)));
    }

    private static Optional<Padding> padding(JsonNode node) {
        if (node.isNull()) {
            return Optional.empty();
        }
        OptionalInt length = node.hasNonNull("length") ? OptionalInt.of(node.get("length").asInt())
                : OptionalInt.empty();
        return Optional.of(new Padding(length, node.path("pad_to_multiple_of").asInt(0), direction(node),
                node.path("pad_id").asInt(0), node.path("pad_type_id").asInt(0),
                node.path("pad_token").asText("[PAD]")));
    }

    private static Direction direction(JsonNode node) {
        return Direction.valueOf(node.path("direction").asText("right").toUpperCase(Locale.ROOT));
    }

    private static void compare(Encoding encoding, JsonNode expected, String what) {
        assertThat(encoding.tokens()).as(what).isEqualTo(strings(expected.get("tokens")));
        assertThat(encoding.ids()).as(what).isEqualTo(numbers(expected.get("ids")));
        assertThat(encoding.typeIds()).as(what).isEqualTo(numbers(expected.get("type_ids")));
        assertThat(encoding.attentionMask()).as(what).isEqualTo(numbers(expected.get("attention_mask")));
        assertThat(encoding.specialTokensMask()).as(what).isEqualTo(numbers(expected.get("special_tokens_mask")));
        assertThat(encoding.offsets()).as(what).isEqualTo(numbers(expected.get("offsets")));
        assertThat(encoding.wordIds()).as(what).isEqualTo(numbers(expected.get("word_ids")));
        assertThat(encoding.sequenceIds()).as(what).isEqualTo(numbers(expected.get("sequence_ids")));
        JsonNode overflowing = expected.path("overflowing");
        assertThat(encoding.overflowing()).as(what).hasSize(overflowing.size());
        for (int i = 0; i < overflowing.size(); i++) {
            compare(encoding.overflowing().get(i), overflowing.get(i), what + " window " + (i + 1));
        }
    }

    private static void decoding(Tokenizer tokenizer, JsonNode cases) {
        for (JsonNode entry : cases) {
            int[] ids = numbers(entry.get("ids"));
            assertThat(tokenizer.decode(ids, false)).as("%s", entry).isEqualTo(entry.get("decoded").asText());
            assertThat(tokenizer.decode(ids, true)).as("%s", entry).isEqualTo(entry.get("decoded_clean").asText());
        }
    }

    private static void normalizers(List<String> texts, JsonNode table) {
        table.properties().forEach(column -> {
            Normalizer normalizer = Components.normalizer(column.getKey());
            for (int i = 0; i < texts.size(); i++) {
                JsonNode expected = column.getValue().get(i);
                assertThat(normalizer.normalize(texts.get(i))).as(column.getKey() + " row " + i)
                        .isEqualTo(expected.isNull() ? texts.get(i) : expected.asText());
            }
        });
    }

    private static void preTokenizers(List<String> texts, JsonNode table) {
        table.properties().forEach(column -> {
            if (column.getKey().equals("UnicodeScripts")) {
                return; // Not supported: the reference's scripts are those of Unicode 9, and no known model uses them.
            }
            PreTokenizer preTokenizer = Components.preTokenizer(column.getKey());
            for (int i = 0; i < texts.size(); i++) {
                List<List<Object>> expected = new ArrayList<>();
                column.getValue().get(i).forEach(piece -> expected.add(
                        List.of(piece.get(0).asText(), piece.get(1).asInt(), piece.get(2).asInt())));
                List<List<Object>> pieces = new ArrayList<>();
                for (NormalizedText piece : preTokenizer.split(NormalizedText.of(texts.get(i)))) {
                    if (!piece.isEmpty()) {
                        pieces.add(List.of(piece.toString(), piece.start(0), piece.end(piece.length() - 1)));
                    }
                }
                assertThat(pieces).as(column.getKey() + " row " + i).isEqualTo(expected);
            }
        });
    }

    private static JsonNode read(Path file) throws IOException {
        return MAPPER.readTree(file.toFile());
    }

    private static List<String> strings(JsonNode node) {
        List<String> strings = new ArrayList<>();
        node.forEach(entry -> strings.add(entry.asText()));
        return strings;
    }

    private static int[] numbers(JsonNode node) {
        int[] numbers = new int[node.size()];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = node.get(i).isNull() ? Encoding.NONE : node.get(i).asInt();
        }
        return numbers;
    }
}
