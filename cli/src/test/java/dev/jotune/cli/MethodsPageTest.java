package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.peft.Methods;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class MethodsPageTest {
    private static final Path PAGE = Path.of(System.getProperty("jotune.root"), "docs", "METHODS.md");

    @Test
    void thePageIsThatOfTheRegistry() throws IOException {
        assertThat(Files.readString(PAGE)).as("docs/METHODS.md; make it anew with ./jotune methods --markdown > docs/METHODS.md")
                .isEqualTo(MethodsPage.text());
    }

    @Test
    void testsThatAreNamedAreThere() throws IOException {
        try (Stream<Path> files = Files.walk(Path.of(System.getProperty("jotune.root")))) {
            Set<String> tests = files.filter(f -> f.toString().contains("src/test")).map(f -> f.getFileName().toString()).collect(Collectors.toSet());
            assertThat(Methods.unattached()).allSatisfy(m -> assertThat(tests).contains(m.test() + ".java"));
        }
    }
}
