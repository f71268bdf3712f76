package dev.jotune.models.chat;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** What transformers renders, and refuses, with templates of the common chat models (golden/make_chat_templates.py). */
@Tag("golden")
class ChatTemplateGoldenTest {

    private static final Path FOLDER = Path.of(System.getProperty("jotune.root", ".."), "golden", "chat_templates");
    private static final ObjectMapper MAPPER = new ObjectMapper();

    @TestFactory
    Stream<DynamicTest> cases() throws IOException {
        JsonNode golden = MAPPER.readTree(FOLDER.resolve("cases.json").toFile());
        assertThat(golden.get("cases")).hasSizeGreaterThan(300);
        return StreamSupport.stream(golden.get("cases").spliterator(), false).map(entry -> DynamicTest.dynamicTest(
                entry.get("template").asText() + ": " + entry.get("conversation").asText() + (entry.get("tools").asBoolean()
                        ? ", tools" : "") + (entry.get("add_generation_prompt").asBoolean() ? ", prompt" : ""),
                () -> check(golden, entry)));
    }

    private static void check(JsonNode golden, JsonNode entry) throws IOException {
        ChatTemplate template = ChatTemplate.parse(
                Files.readString(FOLDER.resolve(entry.get("template").asText() + ".jinja")),
                MAPPER.convertValue(golden.get("tokens"), new TypeReference<Map<String, Object>>() { }));
        List<Map<String, Object>> messages = list(golden.get("conversations").get(entry.get("conversation").asText()));
        LocalDateTime now = LocalDateTime.parse(golden.get("made_with").get("now").asText());
        ChatTemplate.Options options = ChatTemplate.Options.prompt(entry.get("add_generation_prompt").asBoolean())
                .withTools(entry.get("tools").asBoolean() ? list(golden.get("tools")) : List.of())
                .withVariables(MAPPER.convertValue(entry.get("variables"), new TypeReference<Map<String, Object>>() { }))
                .at(() -> now);
        if (entry.has("refused")) {
            assertThatThrownBy(() -> template.apply(messages, options)).isInstanceOf(ChatTemplateException.class);
        } else {
            assertThat(template.apply(messages, options)).isEqualTo(entry.get("text").asText());
        }
    }

    private static List<Map<String, Object>> list(JsonNode node) {
        return MAPPER.convertValue(node, new TypeReference<List<Map<String, Object>>>() { });
    }
}
