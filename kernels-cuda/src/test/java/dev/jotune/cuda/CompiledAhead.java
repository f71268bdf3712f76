package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;

/** The kernels in the jar that are compiled already, as they lie in the sources, and {@code ahead.sh}, which makes them of texts. */
public final class CompiledAhead {
    /** With {@code -D}{@value}{@code =true} tests write them anew. */
    public static final String WRITE = "jotune.cuda.embed";
    private static final String FILE = ".ptx.gz";
    private static final Path ROOT = Path.of(System.getProperty("jotune.root", ".."));
    private static final Path FOLDER = ROOT.resolve("kernels-cuda/src/main/resources/dev/jotune/cuda/ptx");
    private static final Path NVCC = Path.of(System.getenv().getOrDefault("CUDA_HOME", "/usr/local/cuda"), "bin", "nvcc");
    private static final Path MADE_BY = FOLDER.resolve("made-by.txt");
    /** The digests of texts that tuning, writing and measuring ask for, which take a whole model to find out. */
    private static final Path STEPS = FOLDER.resolve("steps.txt");

    private CompiledAhead() {}

    /** What the tests' failures ask for. */
    public static String advice(String test) {
        return "run " + test + " with -D" + WRITE + "=true where " + NVCC + " is, and commit what it writes";
    }

    public static Set<String> steps() throws IOException {
        return new TreeSet<>(Files.readAllLines(STEPS));
    }

    /** Digests of all that there are. */
    public static Set<String> all() throws IOException {
        Set<String> all = new TreeSet<>();
        try (Stream<Path> files = Files.list(FOLDER)) {
            files.map(f -> f.getFileName().toString()).filter(f -> f.endsWith(FILE)).map(f -> f.substring(0, f.length() - FILE.length()))
                    .forEach(all::add);
        }
        return all;
    }

    /** The kernel of a digest. */
    public static String ptx(String digest) throws IOException {
        try (GZIPInputStream in = new GZIPInputStream(Files.newInputStream(FOLDER.resolve(digest + FILE)))) {
            return new String(in.readAllBytes(), StandardCharsets.US_ASCII);
        }
    }

    /** Skips the test where another compiler would make others, and fails if there is none though it was installed. */
    public static void compilerIsTheSame(Path dir) throws IOException, InterruptedException {
        if (!Files.isExecutable(NVCC)) {
            String missing = NVCC + " is not there. Install CUDA's compiler, or set CUDA_HOME.";
            if (Boolean.getBoolean("jotune.cuda.required")) {
                throw new AssertionError(missing);
            }
            assumeTrue(false, missing);
        }
        String before = Files.readString(MADE_BY);
        assumeTrue(before.equals(version(dir)), () -> "made by another compiler: " + before);
    }

    /** Compiles what a program kept in the folder {@code texts}; by digest. */
    public static Map<String, String> compile(Path texts, Path dir) throws IOException, InterruptedException {
        Path out = dir.resolve("compiled");
        run(dir, List.of(ROOT.resolve("kernels-cuda/ahead.sh").toString(), texts.toString(), out.toString()));
        Map<String, String> made = new TreeMap<>();
        try (Stream<Path> files = Files.list(out.resolve("dev/jotune/cuda/ptx"))) {
            for (Path f : files.toList()) {
                made.put(f.getFileName().toString().replace(".ptx", ""), Files.readString(f));
            }
        }
        return made;
    }

    /** Puts them into the sources. */
    public static void write(Map<String, String> made, Path dir) throws IOException, InterruptedException {
        Files.createDirectories(FOLDER);
        for (Map.Entry<String, String> e : made.entrySet()) {
            ByteArrayOutputStream packed = new ByteArrayOutputStream();
            try (GZIPOutputStream out = new GZIPOutputStream(packed)) {
                out.write(e.getValue().getBytes(StandardCharsets.US_ASCII));
            }
            Files.write(FOLDER.resolve(e.getKey() + FILE), packed.toByteArray());
        }
        Files.writeString(MADE_BY, version(dir));
    }

    /** The same for those of whole models, in place of what these took before. */
    public static void writeSteps(Map<String, String> made, Path dir) throws IOException, InterruptedException {
        for (String old : Files.exists(STEPS) ? steps() : Set.<String>of()) {
            Files.deleteIfExists(FOLDER.resolve(old + FILE));
        }
        write(made, dir);
        Files.write(STEPS, made.keySet());
    }

    static void delete(String digest) throws IOException {
        Files.delete(FOLDER.resolve(digest + FILE));
    }

    private static String version(Path dir) throws IOException, InterruptedException {
        return run(dir, List.of(NVCC.toString(), "--version")).lines().filter(l -> l.startsWith("Cuda compilation")).findFirst().orElseThrow() + "\n";
    }

    private static String run(Path dir, List<String> command) throws IOException, InterruptedException {
        Path log = dir.resolve("log");
        Process p = new ProcessBuilder(command).directory(dir.toFile()).redirectErrorStream(true).redirectOutput(log.toFile()).start();
        if (!p.waitFor(15, TimeUnit.MINUTES)) {
            p.destroyForcibly();
        }
        String said = Files.readString(log);
        assertThat(p.waitFor()).as(said).isZero();
        return said;
    }
}
