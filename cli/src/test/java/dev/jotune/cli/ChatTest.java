package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.models.Models;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code generate --chat}, and models by the name the hub has for them. */
class ChatTest {

    @TempDir
    private Path folder;

    private void model(String template) throws IOException {
        Models.sideFiles(Models.EMBEDDED).forEach((name, bytes) -> {
            try {
                Files.write(folder.resolve(name), bytes);
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
        Files.copy(ChatTest.class.getResourceAsStream("/dev/jotune/models/" + Models.EMBEDDED + "/model.safetensors"),
                folder.resolve("model.safetensors"));
        Files.writeString(folder.resolve("chat_template.jinja"), template);
    }

    @Test
    void thePromptIsWrittenWithTheTemplateAndOnlyTheAnswerIsPrinted() throws IOException {
        model("{{ bos_token }}{% for m in messages %}{{ m.content }}{{ ' ' if not loop.last }}{% endfor %}");
        Jotune plain = Jotune.run("generate", "--model", folder, "--prompt", "Once upon a time", "--max-new-tokens", "12");
        Jotune chat = Jotune.run("generate", "--model", folder, "--chat", "--system", "Once", "--prompt", "upon a time",
                "--max-new-tokens", "12");
        assertThat(plain.code()).as(plain.err()).isZero();
        assertThat(chat.code()).as(chat.err()).isZero();
        assertThat("Once upon a time" + chat.out()).isEqualTo(plain.out());
    }

    @Test
    void whatTheTemplateRefusesIsSaid() throws IOException {
        model("{{ raise_exception('Only questions, please!') if messages[0].content[-1] != '?' }}");
        Jotune chat = Jotune.run("generate", "--model", folder, "--chat", "--prompt", "Hello");
        assertThat(chat.code()).isEqualTo(1);
        assertThat(chat.err()).contains("Only questions, please!").doesNotContain("internal error");
        assertThat(chat.out()).isEmpty();
    }

    @Test
    void aModelWithoutATemplateAndASystemPromptWithoutAChatAreRefused() {
        Jotune none = Jotune.run("generate", "--model", Models.EMBEDDED, "--chat", "--prompt", "Hello");
        assertThat(none.code()).isEqualTo(1);
        assertThat(none.err()).contains("no chat template");
        Jotune system = Jotune.run("generate", "--model", Models.EMBEDDED, "--system", "Be kind.", "--prompt", "Hello");
        assertThat(system.code()).isEqualTo(2);
        assertThat(system.err()).contains("--chat");
    }

    @Test
    void aModelThatWasNotFetchedIsNamedWithTheCommandThatFetchesIt() {
        Jotune j = Jotune.run("generate", "--model", "no-such-maker/no-such-model", "--prompt", "Hello");
        assertThat(j.code()).isEqualTo(1);
        assertThat(j.err()).contains("./jotune pull no-such-maker/no-such-model");
    }

    @Test
    void pullWantsTheNameOfAModel() {
        Jotune j = Jotune.run("pull", "../evil");
        assertThat(j.code()).isEqualTo(2);
        assertThat(j.err()).contains("OWNER/NAME");
    }
}
