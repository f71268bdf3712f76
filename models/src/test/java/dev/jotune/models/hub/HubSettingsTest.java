package dev.jotune.models.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Where the cache, the token and the server come from, and what names a model. */
class HubSettingsTest {
    @TempDir
    private Path folder;

    @Test
    void settingsComeFromTheSameVariablesAsTheHubsOwnClient() throws IOException {
        Path home = folder;
        assertThat(HubSettings.from(Map.of(), home).cache()).isEqualTo(home.resolve(".cache/huggingface/hub"));
        assertThat(HubSettings.from(Map.of(), home).endpoint()).hasToString("https://huggingface.co");
        assertThat(HubSettings.from(Map.of(), home).token()).isEmpty();
        assertThat(HubSettings.from(Map.of("XDG_CACHE_HOME", "/x"), home).cache()).isEqualTo(Path.of("/x/huggingface/hub"));
        assertThat(HubSettings.from(Map.of("HF_HOME", "~/hf"), home).cache()).isEqualTo(home.resolve("hf/hub"));
        assertThat(HubSettings.from(Map.of("HF_HOME", "/y", "HF_HUB_CACHE", "/z"), home).cache()).isEqualTo(Path.of("/z"));
        Files.createDirectories(home.resolve("hf"));
        Files.writeString(home.resolve("hf/token"), "hf_file\n");
        assertThat(HubSettings.from(Map.of("HF_HOME", "~/hf"), home).token()).contains("hf_file");
        assertThat(HubSettings.from(Map.of("HF_HOME", "~/hf", "HUGGING_FACE_HUB_TOKEN", "hf_old"), home).token()).contains("hf_old");
        assertThat(HubSettings.from(Map.of("HUGGING_FACE_HUB_TOKEN", "hf_old", "HF_TOKEN", "hf_new"), home).token())
                .contains("hf_new");
        assertThat(HubSettings.from(Map.of("HF_ENDPOINT", "http://mirror:8080/"), home).endpoint()).hasToString("http://mirror:8080");
        assertThatThrownBy(() -> HubSettings.from(Map.of("HF_ENDPOINT", "mirror"), home)).hasMessageContaining("HF_ENDPOINT");
        assertThatThrownBy(() -> HubSettings.from(Map.of("HF_TOKEN", "a b"), home)).hasMessageContaining("HF_TOKEN")
                .hasMessageNotContaining("a b");
    }

    @Test
    void aTokenIsNotWrittenWhereSettingsAre() {
        HubSettings settings = HubSettings.from(Map.of("HF_TOKEN", "hf_secret"), folder);
        assertThat(settings).hasToString("https://huggingface.co (with a token), kept in " + folder.resolve(".cache/huggingface/hub"));
        assertThat(HubSettings.from(Map.of(), folder).toString()).contains("without a token");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "name", "a/b/c", "../b", "a/..", "a/-b", "/b", "a/", "a b/c", "a--b/c", "a/b..c", "a/b."})
    void whatIsNoNameOfAModelIsNotTakenForOne(String text) {
        assertThat(RepoId.of(text)).isEmpty();
    }
}
