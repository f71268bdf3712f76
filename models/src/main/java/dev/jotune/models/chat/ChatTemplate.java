package dev.jotune.models.chat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * How a model wants a conversation written: what {@code apply_chat_template} of transformers gives, character for
 * character.
 *
 * <p>The template is a program that came with a checkpoint, so it runs without reflection or input and output, and is
 * stopped after 5 million steps or 32 million characters. A template is immutable and may be used by many threads.
 */
public final class ChatTemplate {

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final int LONGEST = 1 << 20;
    /** The name of the template that is used where none is asked for. */
    private static final String DEFAULT = "default";
    private static final String WITH_TOOLS = "tool_use";
    private static final List<String> SPECIAL = List.of("bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
            "cls_token", "mask_token");

    private final Map<String, List<Statement>> templates;
    private final Map<String, Object> variables;

    private ChatTemplate(Map<String, List<Statement>> templates, Map<String, Object> variables) {
        this.templates = templates;
        this.variables = variables;
    }

    /**
     * One turn of a conversation that is plain text.
     *
     * @param role who speaks: {@code system}, {@code user} or {@code assistant}
     */
    public record Message(String role, String content) {

        /** The message as templates see it. */
        public Map<String, Object> fields() {
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("role", role);
            fields.put("content", content);
            return fields;
        }
    }

    /**
     * What a template is given besides the messages.
     *
     * @param tools functions the model may call, each as its JSON schema; empty for none
     * @param documents texts to answer from, each with {@code title} and {@code text}; empty for none
     * @param addGenerationPrompt whether the text ends where the assistant begins to speak
     * @param template which of several templates; empty for {@code tool_use} where there are tools and such a template,
     *     else {@code default}
     * @param variables further variables, such as {@code enable_thinking}; they replace those of the checkpoint
     * @param now what {@code strftime_now} tells
     */
    public record Options(List<Map<String, Object>> tools, List<Map<String, Object>> documents, boolean addGenerationPrompt,
                          Optional<String> template, Map<String, Object> variables, Supplier<LocalDateTime> now) {

        /** No tools, no documents, the usual template and the machine's clock. */
        public static Options prompt(boolean addGenerationPrompt) {
            return new Options(List.of(), List.of(), addGenerationPrompt, Optional.empty(), Map.of(), LocalDateTime::now);
        }

        public Options withTools(List<Map<String, Object>> newTools) {
            return new Options(newTools, documents, addGenerationPrompt, template, variables, now);
        }

        public Options withVariables(Map<String, Object> newVariables) {
            return new Options(tools, documents, addGenerationPrompt, template, newVariables, now);
        }

        public Options withTemplate(String name) {
            return new Options(tools, documents, addGenerationPrompt, Optional.of(name), variables, now);
        }

        public Options at(Supplier<LocalDateTime> clock) {
            return new Options(tools, documents, addGenerationPrompt, template, variables, clock);
        }
    }

    /**
     * A template from its text.
     *
     * @param variables what it may use, such as {@code bos_token}
     * @throws ChatTemplateException if the text is not a template, or uses what is not supported
     */
    public static ChatTemplate parse(String template, Map<String, ?> variables) {
        return new ChatTemplate(Map.of(DEFAULT, statements(template)), values(variables));
    }

    /**
     * The template of a checkpoint folder, if it has one: {@code chat_template.jinja} (and further ones in
     * {@code additional_chat_templates}), else {@code chat_template.json}, else {@code chat_template} in
     * {@code tokenizer_config.json}, a text or a list of named ones.
     *
     * @throws ChatTemplateException if a file cannot be read or used; the message names it
     */
    public static Optional<ChatTemplate> load(Path folder) {
        JsonNode config = json(folder.resolve("tokenizer_config.json"));
        Map<String, String> texts = new LinkedHashMap<>();
        Path file = folder.resolve("chat_template.jinja");
        if (Files.isRegularFile(file)) {
            texts.put(DEFAULT, read(file));
            named(folder.resolve("additional_chat_templates"), texts);
        } else if (Files.isRegularFile(folder.resolve("chat_template.json"))) {
            texts(json(folder.resolve("chat_template.json")).path("chat_template"), texts, "chat_template.json");
        } else {
            texts(config.path("chat_template"), texts, "tokenizer_config.json");
        }
        if (texts.isEmpty()) {
            return Optional.empty();
        }
        Map<String, List<Statement>> templates = new LinkedHashMap<>();
        texts.forEach((name, text) -> {
            try {
                templates.put(name, statements(text));
            } catch (ChatTemplateException e) {
                throw new ChatTemplateException(folder + ": " + e.getMessage());
            }
        });
        Map<String, Object> variables = new LinkedHashMap<>();
        for (JsonNode source : List.of(json(folder.resolve("special_tokens_map.json")), config)) {
            for (String name : SPECIAL) {
                JsonNode token = source.path(name).isObject() ? source.path(name).path("content") : source.path(name);
                if (token.isTextual()) {
                    variables.put(name, token.asText());
                }
            }
        }
        return Optional.of(new ChatTemplate(templates, variables));
    }

    /** The names of the templates; one alone is called {@code default}. */
    public List<String> names() {
        return List.copyOf(templates.keySet());
    }

    /** Writes messages that are plain text. */
    public String apply(List<Message> messages, boolean addGenerationPrompt) {
        return apply(messages.stream().map(Message::fields).toList(), Options.prompt(addGenerationPrompt));
    }

    /**
     * Writes a conversation.
     *
     * @param messages each with the fields that the template asks for: {@code role}, {@code content} (text, or a list of
     *     parts), {@code tool_calls}
     * @throws ChatTemplateException if the template refuses the messages, fails, or does not finish
     */
    public String apply(List<Map<String, Object>> messages, Options options) {
        Map<String, Object> given = new LinkedHashMap<>(variables);
        given.put("messages", Values.of(messages, "messages"));
        given.put("tools", options.tools().isEmpty() ? None.NONE : Values.of(options.tools(), "tools"));
        given.put("documents", options.documents().isEmpty() ? None.NONE : Values.of(options.documents(), "documents"));
        given.put("add_generation_prompt", options.addGenerationPrompt());
        given.putAll(values(options.variables()));
        given.put("strftime_now", (Callable) (arguments, named) -> Strftime.format(Values.text(
                new Arguments("strftime_now", arguments, named, "format").required(0), "strftime_now"), options.now().get()));
        try {
            return new Interpreter().run(chosen(options), given);
        } catch (StackOverflowError e) {
            throw new ChatTemplateException("The chat template is nested too deeply to run. Use a simpler one.");
        }
    }

    private List<Statement> chosen(Options options) {
        String name = options.template().orElse(
                !options.tools().isEmpty() && templates.containsKey(WITH_TOOLS) ? WITH_TOOLS : DEFAULT);
        List<Statement> template = templates.get(name);
        if (template == null) {
            throw new ChatTemplateException("There is no chat template '" + name + "'. This checkpoint has "
                    + String.join(", ", templates.keySet()) + ".");
        }
        return template;
    }

    private static List<Statement> statements(String template) {
        if (template.length() > LONGEST) {
            throw new ChatTemplateException("The chat template has " + template.length() + " characters. At most " + LONGEST
                    + " are read.");
        }
        try {
            return Parser.parse(template);
        } catch (StackOverflowError e) {
            throw new ChatTemplateException("The chat template is nested too deeply to read. Use a simpler one.");
        }
    }

    private static Map<String, Object> values(Map<String, ?> variables) {
        Map<String, Object> values = new LinkedHashMap<>();
        variables.forEach((name, value) -> values.put(name, Values.of(value, "The variable '" + name + "'")));
        return values;
    }

    private static void texts(JsonNode node, Map<String, String> texts, String file) {
        if (node.isTextual()) {
            texts.put(DEFAULT, node.asText());
        } else if (node.isArray()) {
            for (JsonNode entry : node) {
                if (!entry.path("name").isTextual() || !entry.path("template").isTextual()) {
                    throw new ChatTemplateException(file + ": an entry of chat_template has no name or no template. "
                            + "Give each both.");
                }
                texts.put(entry.get("name").asText(), entry.get("template").asText());
            }
        } else if (!node.isMissingNode() && !node.isNull()) {
            throw new ChatTemplateException(file + ": chat_template is neither text nor a list. Write the template.");
        }
    }

    private static void named(Path folder, Map<String, String> texts) {
        if (!Files.isDirectory(folder)) {
            return;
        }
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "*.jinja")) {
            for (Path file : files) {
                String name = file.getFileName().toString();
                texts.put(name.substring(0, name.length() - ".jinja".length()), read(file));
            }
        } catch (IOException e) {
            throw new ChatTemplateException(folder + ": the folder cannot be read (" + e + "). Check it.");
        }
    }

    private static JsonNode json(Path file) {
        if (!Files.isRegularFile(file)) {
            return MAPPER.createObjectNode();
        }
        try {
            return MAPPER.readTree(read(file));
        } catch (JsonProcessingException e) {
            throw new ChatTemplateException(file + ": not JSON (" + e.getOriginalMessage() + "). Fetch the file again.");
        }
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (CharacterCodingException e) {
            throw new ChatTemplateException(file + ": the file is not UTF-8. Save it as UTF-8.");
        } catch (IOException e) {
            throw new ChatTemplateException(file + ": the file cannot be read (" + e + "). Check the path.");
        }
    }
}
