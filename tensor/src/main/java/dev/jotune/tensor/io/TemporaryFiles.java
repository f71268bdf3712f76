package dev.jotune.tensor.io;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Names of temporary files, {@code .<target>.<pid>-<start>-<random>.tmp}. They tell which process made them, so
 * that what a killed process left can be told from what a living one is writing.
 */
final class TemporaryFiles {

    private static final Pattern NAME = Pattern.compile("\\..+\\.(\\d{1,18})-(\\d{1,18})-[0-9a-f]{16}\\.tmp");

    private TemporaryFiles() {
    }

    static Path nameFor(Path target) {
        ProcessHandle self = ProcessHandle.current();
        return target.resolveSibling(String.format(".%s.%d-%d-%016x.tmp", target.getFileName(), self.pid(),
                startMillis(self).orElse(0L), ThreadLocalRandom.current().nextLong()));
    }

    static boolean isName(String name) {
        return NAME.matcher(name).matches();
    }

    /** Deletes temporary files whose process is gone; what cannot be deleted stays, since it does no harm. */
    static void deleteAbandoned(Path folder) throws IOException {
        try (DirectoryStream<Path> hidden = Files.newDirectoryStream(folder, ".*.tmp")) {
            for (Path file : hidden) {
                Matcher name = NAME.matcher(file.getFileName().toString());
                if (name.matches() && !alive(Long.parseLong(name.group(1)), Long.parseLong(name.group(2)))) {
                    deleteQuietly(file, new IOException());
                }
            }
        }
    }

    /** Deletes a temporary file if it exists; a failure to do so is added to the exception under way. */
    static void deleteQuietly(Path file, Throwable underWay) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            underWay.addSuppressed(e);
        }
    }

    /** Process numbers are given out again, so the start must agree too, where the system tells it. */
    private static boolean alive(long pid, long start) {
        Optional<ProcessHandle> process = ProcessHandle.of(pid);
        return process.isPresent() && startMillis(process.get()).map(s -> s == start || start == 0).orElse(true);
    }

    private static Optional<Long> startMillis(ProcessHandle process) {
        return process.info().startInstant().map(Instant::toEpochMilli);
    }
}
