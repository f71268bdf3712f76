package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Rules of style that a look at the text can check. */
class SourceRulesTest {
    private static final int LINES = 400;
    /** Of what one method is: its equation, how it begins, what it does. */
    private static final int LINES_OF_A_METHOD = 160;
    private static final int COLUMNS = 150;
    private static final Pattern WILDCARD = Pattern.compile("(?m)^import .*\\*;");
    private static final Pattern LEFT_OVER = Pattern.compile("TODO|FIXME|XXX|printStackTrace\\(\\)");
    private static List<Path> sources;

    @BeforeAll
    static void find() throws IOException {
        Path root = Path.of(System.getProperty("jotune.root"));
        try (Stream<Path> files = Files.walk(root)) {
            sources = files.filter(f -> f.toString().matches(".*[/\\\\]src[/\\\\](main|test)[/\\\\].*\\.java")).sorted().toList();
        }
        assertThat(sources.size()).isGreaterThan(100);
    }

    private static List<String> offenders(Pattern pattern) {
        return sources.stream().filter(f -> !f.endsWith("SourceRulesTest.java")).filter(f -> pattern.matcher(read(f)).find())
                .map(Path::toString).toList();
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void filesFitInAHead() {
        assertThat(sources.stream().filter(f -> f.toString().contains("main")).filter(f -> read(f).lines().count() > LINES)
                .map(Path::toString)).isEmpty();
    }

    @Test
    void aMethodIsReadInOneGo() {
        List<Path> methods = sources.stream().filter(f -> f.toString().replace('\\', '/').matches(".*/src/main/.*/peft/(methods|steps)/.*")).toList();
        assertThat(methods).hasSizeGreaterThan(30);
        assertThat(methods.stream().filter(f -> read(f).lines().count() > LINES_OF_A_METHOD).map(Path::toString)).isEmpty();
    }

    @Test
    void linesFitOnAScreen() {
        assertThat(sources.stream().filter(f -> read(f).lines().anyMatch(l -> l.length() > COLUMNS)).map(Path::toString)).isEmpty();
    }

    @Test
    void importsNameWhatTheyImport() {
        assertThat(offenders(WILDCARD)).isEmpty();
    }

    @Test
    void nothingIsLeftForLater() {
        assertThat(offenders(LEFT_OVER)).isEmpty();
    }

    @Test
    void everyPackageSaysWhatLivesInIt() {
        assertThat(sources.stream().filter(f -> f.toString().replace('\\', '/').contains("/src/main/")).map(Path::getParent).distinct()
                .filter(p -> !Files.exists(p.resolve("package-info.java"))).filter(p -> !p.endsWith("java")).map(Path::toString)).isEmpty();
    }
}
