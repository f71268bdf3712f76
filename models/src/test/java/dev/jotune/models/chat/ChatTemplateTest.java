package dev.jotune.models.chat;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ChatTemplateTest {

    private static final List<ChatTemplate.Message> HELLO = List.of(new ChatTemplate.Message("user", "Hello"));

    private static String rendered(String template) {
        return ChatTemplate.parse(template, Map.of("bos_token", "<s>")).apply(HELLO, true);
    }

    @ParameterizedTest
    @Timeout(60)
    @ValueSource(strings = {
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% set x = 'a' * 1000000000000 %}",
        "{% set ns = namespace(x='abcdefgh') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x == ns.x }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
        "{% set x = 'a' * 10000000 %}{% for i in range(100000) %}{{ 'b' in x }}{% endfor %}",
        "{% set x = 'ab ' * 5000000 %}{% for i in range(100000) %}{% set y = x.split() %}{% endfor %}",
        "{% set x = 'ab ' * 5000000 %}{% for i in range(100000) %}{{ x.replace('', 'longer') | length }}{% endfor %}",
        "{{ range(100001) }}", "{{ 10 ** 1000000000 }}", "{{ 9223372036854775807 + 1 }}", "{{ 1 / 0 }}",
        "{% for i in range(100000) %}{{ 'x' * 10000 }}{% endfor %}"})
    void aTemplateThatWouldNotFinishOrGrowWithoutBoundIsStopped(String template) {
        assertThatThrownBy(() -> rendered(template)).isInstanceOf(ChatTemplateException.class);
    }

    @ParameterizedTest
    @ValueSource(strings = {"(", "[", "{'a':", "not ", "-", "1 if 1 else ", "'a' ~ (", "a["})
    void aTemplateNestedWithoutEndIsRefused(String open) {
        assertThatThrownBy(() -> rendered("{{ " + open.repeat(100_000 / open.length()) + " }}"))
                .isInstanceOf(ChatTemplateException.class);
    }

    @ParameterizedTest
    @ValueSource(strings = {"{{ messages.__class__.__mro__ }}", "{{ ''.getClass().forName('java.lang.Runtime') }}",
        "{{ messages.getClass().getClassLoader() }}", "{{ raise_exception.__globals__.os }}", "{{ namespace.__init__.x }}",
        "{{ messages[0].class.module }}", "{{ ''.__class__() }}", "{{ messages.append(1) }}", "{{ messages[0].update(a=1) }}",
        "{{ cycler.__init__.__globals__.os }}", "{% include 'file:/etc/passwd' %}", "{% import 'x' as y %}",
        "{% extends '/etc/passwd' %}", "{{ self.x.y }}", "{{ loop.x.y }}", "{{ messages | attr('class') }}"})
    void aTemplateGetsAtNothingButItsValues(String template) {
        assertThatThrownBy(() -> rendered(template)).isInstanceOf(ChatTemplateException.class);
    }

    @ParameterizedTest
    @ValueSource(strings = {"{{ a", "{% if %}", "{% if a %}", "{% endif %}", "{% for %}{% endfor %}", "{{ a b }}", "{# open",
        "{{ 'open }}", "{% raw %}", "{% unknown %}", "{{ 1 + }}", "{{ a | }}", "{{ a is }}", "{{ a[1 }}", "{% set = 1 %}",
        "{{ 'a' | nofilter }}", "{{ 'a' is notest }}", "{{ nofunction() }}", "{{ 'a' + 1 }}", "{{ missing.part }}",
        "{{ 1 < 'a' }}", "{% macro %}{% endmacro %}", "{% call x %}{% endcall %}", "{{ '\\xZZ' }}", "{{ & }}"})
    void aBrokenTemplateIsRefused(String template) {
        assertThatThrownBy(() -> rendered(template)).isInstanceOf(ChatTemplateException.class)
                .hasMessageContaining(". ");
    }

    @Test
    void aMessageNamesTheLine() {
        assertThatThrownBy(() -> rendered("a\nb\n{{ 1 + }}")).hasMessageContaining("line 3");
    }

    @Test
    void whatTheTemplateRaisesIsPassedOn() {
        assertThatThrownBy(() -> rendered("{{ raise_exception('No system message, please!') }}"))
                .hasMessageContaining("No system message, please!");
    }

    /** Pieces of real templates thrown together must be rendered or refused, never crash or hang. */
    @Test
    @Timeout(120)
    void templatesMadeOfRandomPiecesAreRenderedOrRefused() throws IOException {
        String real = Files.readString(Path.of(System.getProperty("jotune.root", ".."),
                "golden/chat_templates/constructs.jinja"))
                + Files.readString(Path.of(System.getProperty("jotune.root", ".."), "golden/chat_templates/qwen3.jinja"));
        SplittableRandom random = new SplittableRandom(7);
        int rendered = 0;
        for (int i = 0; i < 2_000; i++) {
            StringBuilder template = new StringBuilder(real);
            for (int k = random.nextInt(1, 6); k > 0; k--) {
                int at = random.nextInt(template.length());
                int end = Math.min(template.length(), at + random.nextInt(12));
                int from = random.nextInt(real.length() - 12);
                template.replace(at, end, real.substring(from, from + random.nextInt(12)));
            }
            try {
                rendered(template.toString());
                rendered++;
            } catch (ChatTemplateException e) {
                assertThat(e).hasMessageContaining(".");
            }
        }
        assertThat(rendered).isBetween(10, 1_990);
    }

    @Test
    void theTemplateIsFoundWhereverACheckpointKeepsIt(@TempDir Path folder) throws IOException {
        assertThat(ChatTemplate.load(folder)).isEmpty();
        Files.writeString(folder.resolve("tokenizer_config.json"), """
                {"bos_token": {"content": "<b>"}, "eos_token": null, "chat_template": "config {{ bos_token }} {{ eos_token }}"}""");
        assertThat(ChatTemplate.load(folder).orElseThrow().apply(HELLO, true)).isEqualTo("config <b> ");
        Files.writeString(folder.resolve("chat_template.json"), "{\"chat_template\": \"json {{ bos_token }}\"}");
        assertThat(ChatTemplate.load(folder).orElseThrow().apply(HELLO, true)).isEqualTo("json <b>");
        Files.writeString(folder.resolve("chat_template.jinja"), "jinja {{ messages[0].content }}\n");
        assertThat(ChatTemplate.load(folder).orElseThrow().apply(HELLO, true)).isEqualTo("jinja Hello");
        Files.createDirectory(folder.resolve("additional_chat_templates"));
        Files.writeString(folder.resolve("additional_chat_templates/tool_use.jinja"), "tools {{ tools | length }}");
        ChatTemplate template = ChatTemplate.load(folder).orElseThrow();
        assertThat(template.names()).containsExactly("default", "tool_use");
        List<Map<String, Object>> messages = List.of(HELLO.getFirst().fields());
        ChatTemplate.Options options = ChatTemplate.Options.prompt(true).withTools(List.of(Map.of("name", "f")));
        assertThat(template.apply(messages, options)).isEqualTo("tools 1");
        assertThat(template.apply(messages, options.withTemplate("default"))).isEqualTo("jinja Hello");
        assertThatThrownBy(() -> template.apply(messages, options.withTemplate("rag")))
                .hasMessageContaining("'rag'").hasMessageContaining("default, tool_use");
    }

    @Test
    void aListOfNamedTemplatesIsRead(@TempDir Path folder) throws IOException {
        Files.writeString(folder.resolve("tokenizer_config.json"), """
                {"chat_template": [{"name": "default", "template": "d"}, {"name": "rag", "template": "r"}]}""");
        assertThat(ChatTemplate.load(folder).orElseThrow().names()).containsExactly("default", "rag");
    }

    @ParameterizedTest
    @ValueSource(strings = {"{\"chat_template\": 1}", "{\"chat_template\": [{\"name\": \"a\"}]}",
        "{\"chat_template\": \"{{\"}", "{"})
    void aBrokenFileIsRefused(String config, @TempDir Path folder) throws IOException {
        Files.writeString(folder.resolve("tokenizer_config.json"), config);
        assertThatThrownBy(() -> ChatTemplate.load(folder)).isInstanceOf(ChatTemplateException.class);
    }

    @Test
    void messagesAreNotChangedAndOddValuesAreRefused() {
        ChatTemplate template = ChatTemplate.parse("{{ messages[0].content }}", Map.of());
        assertThatThrownBy(() -> template.apply(List.of(Map.of("content", new Object())), ChatTemplate.Options.prompt(false)))
                .isInstanceOf(ChatTemplateException.class).hasMessageContaining("messages");
    }
}
