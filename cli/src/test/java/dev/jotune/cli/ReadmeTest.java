package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The README's Java program, compiled and run as it stands there. */
class ReadmeTest {
    private static final Pattern JAVA_BLOCK = Pattern.compile("(?s)```java\\R(.*?)```");

    @TempDir
    private Path dir;

    private static List<String> blocks() throws IOException {
        String readme = Files.readString(Path.of(System.getProperty("jotune.root"), "README.md"));
        return JAVA_BLOCK.matcher(readme).results().map(m -> m.group(1)).toList();
    }

    @Test
    void theTenLinesAreTenAndRun() throws IOException, InterruptedException {
        List<String> blocks = blocks();
        assertThat(blocks).as("the ten lines, and their imports").hasSize(2);
        assertThat(blocks.getFirst().strip().lines()).hasSize(10);
        Path source = dir.resolve("TenLines.java");
        Files.writeString(source, blocks.get(1) + "\npublic class TenLines {\n    public static void main(String[] args) {\n"
                + blocks.getFirst() + "    }\n}\n");
        compile(source);
        String printed = run();
        assertThat(printed).contains("loss ");
        assertThat(dir.resolve("my-adapter/adapter_config.json")).exists();
        assertThat(dir.resolve("my-adapter/adapter_model.safetensors")).exists();
    }

    private void compile(Path source) throws IOException {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        StringWriter messages = new StringWriter();
        try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
            List<String> options = List.of("-d", dir.toString(), "-cp", System.getProperty("java.class.path"), "-proc:none");
            boolean good = compiler.getTask(messages, files, null, options, null, files.getJavaFileObjects(source)).call();
            assertThat(good).as(messages.toString()).isTrue();
        }
    }

    /** In a JVM of its own, so that the relative path it saves to lies in the test's folder. */
    private String run() throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED",
                "-cp", dir + File.pathSeparator + System.getProperty("java.class.path"), "TenLines"));
        Path log = dir.resolve("log.txt");
        Process p = new ProcessBuilder(command).directory(dir.toFile()).redirectErrorStream(true).redirectOutput(log.toFile()).start();
        boolean ended = p.waitFor(3, TimeUnit.MINUTES);
        if (!ended) {
            p.destroyForcibly();
        }
        String printed = Files.readString(log);
        assertThat(ended).as(printed).isTrue();
        assertThat(p.exitValue()).as(printed).isZero();
        return printed;
    }
}
