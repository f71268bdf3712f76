package dev.jotune.opencl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * All kernels on Oclgrind, a device that is interpreted and watches every access and every race; and proof that it, or the numbers,
 * give a fault away. PoCL alone would not: it lets some missing barriers and stores behind a buffer pass.
 */
class OclgrindTest {
    private static final List<Path> LIBRARIES = List.of(Path.of("/usr/lib/oclgrind/liboclgrind-rt-icd.so"),
            Path.of("/usr/lib/x86_64-linux-gnu/oclgrind/liboclgrind-rt-icd.so"), Path.of("/usr/local/lib/oclgrind/liboclgrind-rt-icd.so"));

    @TempDir
    private Path dir;

    /** Runs that Oclgrind itself may break off. */
    private static final int ATTEMPTS = 8;
    private static final int ABORTED = 134;
    private static final int SEGMENTATION_FAULT = 139;

    private record Run(int code, String out, String reports) {
        /** Oclgrind 21.10 now and then dies in its own queue, whatever it is given; what it has said of a kernel by then, counts. */
        boolean isBrokenOff() {
            String said = reports.toLowerCase(Locale.ROOT);
            return (code == ABORTED || code == SEGMENTATION_FAULT) && !out.contains("wrong:") && !said.contains("data race")
                    && !said.contains("invalid");
        }
    }

    private Run run(Fault fault) throws IOException, InterruptedException {
        Run run = once(fault);
        for (int i = 1; i < ATTEMPTS && run.isBrokenOff(); i++) {
            run = once(fault);
        }
        return run;
    }

    private Run once(Fault fault) throws IOException, InterruptedException {
        Optional<Path> library = Stream.concat(Optional.ofNullable(System.getProperty("jotune.oclgrind")).map(Path::of).stream(), LIBRARIES.stream())
                .filter(Files::exists).findFirst();
        if (Boolean.getBoolean("jotune.opencl.required")) {
            assertThat(library).as("Oclgrind's library").isPresent();
        }
        assumeTrue(library.isPresent(), "Oclgrind is not installed");
        Path vendors = Files.createDirectories(dir.resolve("vendors"));
        Files.writeString(vendors.resolve("oclgrind.icd"), library.get() + "\n");
        Path out = dir.resolve("out");
        Path err = dir.resolve("err");
        ProcessBuilder child = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "--add-modules",
                "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-Xmx512m",
                // Without it Oclgrind 21.10 now and then begins a kernel before it has ended the last one, and aborts.
                "-Djotune.opencl.wait=true", "-Djotune.opencl.tune=false", "-XX:ErrorFile=" + dir.resolve("crash%p.log"), "-cp",
                System.getProperty("java.class.path"),
                SmallRun.class.getName(), fault.name(), dir.resolve("programs").toString()).redirectOutput(out.toFile()).redirectError(err.toFile());
        child.environment().put("OCL_ICD_VENDORS", vendors.toString());
        child.environment().put("OCLGRIND_DATA_RACES", "1");
        Process p = child.start();
        assertThat(p.waitFor(10, TimeUnit.MINUTES)).as("it ends").isTrue();
        String reports = String.join("\n", Files.readAllLines(err, StandardCharsets.UTF_8).stream()
                .filter(l -> !l.isBlank() && !l.startsWith("WARNING: Using incubator modules")).toList());
        Run run = new Run(p.exitValue(), Files.readString(out), reports);
        assertThat(run.out).contains("Oclgrind");
        return run;
    }

    @Test
    void nothingIsReportedAndEverythingIsRight() throws Exception {
        Run run = run(Fault.NONE);
        assertThat(run.reports).isEmpty();
        assertThat(run.out).contains("right");
        assertThat(run.code).isZero();
    }

    @ParameterizedTest
    @EnumSource(value = Fault.class, mode = EnumSource.Mode.EXCLUDE, names = "NONE")
    void faultsAreNoticed(Fault fault) throws Exception {
        Run run = run(fault);
        switch (fault) {
            case MISSING_BARRIER, ATTENTION_MISSING_BARRIER -> assertThat(run.reports).containsIgnoringCase("data race").contains(fault.kernel());
            case STORE_OUT_OF_BOUNDS, ATTENTION_STORE_OUT_OF_BOUNDS ->
                    assertThat(run.reports).containsIgnoringCase("invalid write").contains(fault.kernel());
            case WRONG_STRIDE -> assertThat(run.out).contains("wrong: matmul");
            default -> assertThat(run.out).contains("wrong: attention");
        }
    }
}
