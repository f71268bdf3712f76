package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class MethodsPageTest {
    private static final Path PAGE = Path.of(System.getProperty("jotune.root"), "docs", "METHODS.md");

    @Test
    void thePageIsThatOfTheRegistry() throws IOException {
        assertThat(Files.readString(PAGE)).as("docs/METHODS.md; make it anew with ./jotune methods --markdown > docs/METHODS.md")
                .isEqualTo(MethodsPage.text());
    }
}
