package dev.jotune.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListSet;

/**
 * Which tensors of the golden files the tests of a module looked at, written to {@code target/golden-reads} when its
 * virtual machine ends: a case that nobody compares is found by looking at what was never read.
 */
public final class GoldenReads {
    /** The folder within a module. */
    public static final Path FOLDER = Path.of("target", "golden-reads");

    private static final Set<String> READ = new ConcurrentSkipListSet<>();

    static {
        Runtime.getRuntime().addShutdownHook(new Thread(GoldenReads::write));
    }

    private GoldenReads() {}

    static void note(Path file, String tensor) {
        READ.add(key(file, tensor));
    }

    /** {@code models/gpt2/expected.safetensors right_padded.logits}. */
    public static String key(Path file, String tensor) {
        return Golden.root().toAbsolutePath().relativize(file.toAbsolutePath()) + " " + tensor;
    }

    private static void write() {
        try {
            Files.createDirectories(FOLDER);
            Files.write(FOLDER.resolve(ProcessHandle.current().pid() + ".txt"), READ);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
