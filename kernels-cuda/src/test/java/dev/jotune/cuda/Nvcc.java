package dev.jotune.cuda;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.function.Executable;

/** NVIDIA's compiler, and what it says of kernels. It needs no device. */
final class Nvcc {
    private static final Path COMPILER = Path.of(System.getenv().getOrDefault("CUDA_HOME", "/usr/local/cuda"), "bin", "nvcc");
    private static final String DISASSEMBLER = "nvdisasm";
    private static final Pattern REPORT = Pattern.compile("(\\d+) bytes stack frame, (\\d+) bytes spill stores, (\\d+) bytes spill loads"
            + "[^']*?Used (\\d+) registers");

    private Nvcc() {}

    /**
     * What a kernel takes.
     *
     * @param log all that the compiler said
     * @param cubin the machine code, if there is any
     */
    record Report(int stack, int spills, int registers, String log, Path cubin) {}

    /** Skips the test where the compiler is missing, or fails it where it must be there. */
    static void mustBeThere() {
        if (Boolean.getBoolean("jotune.cuda.required") && !Files.isExecutable(COMPILER)) {
            throw new AssertionError(COMPILER + " is not there. Install CUDA's compiler, or set CUDA_HOME.");
        }
        assumeTrue(Files.isExecutable(COMPILER), () -> COMPILER + " is not there");
    }

    /** Compiles each kernel for {@code architecture}, two at a time. */
    static Map<String, Report> compile(Map<String, CudaSource> kernels, String architecture, Path folder) throws IOException, InterruptedException {
        Map<String, Report> all = new LinkedHashMap<>();
        List<Map.Entry<String, CudaSource>> rest = new ArrayList<>(kernels.entrySet());
        for (int i = 0; i < rest.size(); i += 2) {
            List<Map.Entry<String, CudaSource>> pair = rest.subList(i, Math.min(rest.size(), i + 2));
            List<Process> running = new ArrayList<>();
            for (int k = 0; k < pair.size(); k++) {
                running.add(start(pair.get(k).getValue().emit(), architecture, folder, "k" + (i + k)));
            }
            for (int k = 0; k < pair.size(); k++) {
                if (!running.get(k).waitFor(5, TimeUnit.MINUTES)) {
                    running.get(k).destroyForcibly();
                    throw new AssertionError("the compiler does not finish " + pair.get(k).getKey());
                }
                all.put(pair.get(k).getKey(), report(folder, "k" + (i + k)));
            }
        }
        return all;
    }

    private static Process start(String text, String architecture, Path folder, String name) throws IOException {
        Path file = Files.writeString(folder.resolve(name + ".cu"), text);
        return new ProcessBuilder(COMPILER.toString(), "-cubin", "-arch=" + architecture, "-Xptxas", "-v", "-diag-suppress", "177", "-o",
                folder.resolve(name + ".cubin").toString(), file.toString()).redirectErrorStream(true)
                .redirectOutput(folder.resolve(name + ".log").toFile()).start();
    }

    private static Report report(Path folder, String name) throws IOException {
        String log = Files.readString(folder.resolve(name + ".log"));
        Matcher m = REPORT.matcher(log);
        if (!m.find()) {
            return new Report(-1, -1, -1, log, folder.resolve(name + ".cubin"));
        }
        return new Report(Integer.parseInt(m.group(1)), Integer.parseInt(m.group(2)) + Integer.parseInt(m.group(3)), Integer.parseInt(m.group(4)),
                log, folder.resolve(name + ".cubin"));
    }

    /** A tool of NVIDIA's: in the folder that {@code jotune.cuda.tools} names, beside the compiler, or on the path. */
    static Optional<Path> tool(String name) {
        return Stream.concat(Stream.of(Path.of(System.getProperty("jotune.cuda.tools", "none"), name), COMPILER.resolveSibling(name)),
                Stream.of(System.getenv("PATH").split(":")).map(p -> Path.of(p, name))).filter(Files::isExecutable).findFirst();
    }

    /** One test where there is a disassembler, none elsewhere: it does not come with the compiler everywhere. */
    static Stream<DynamicTest> disassembled(String name, Executable test) {
        return tool(DISASSEMBLER).stream().map(t -> DynamicTest.dynamicTest(name, test));
    }

    /** The machine code in words. */
    static String disassemble(Path cubin) throws IOException, InterruptedException {
        return run(List.of(tool(DISASSEMBLER).orElseThrow().toString(), cubin.toString()), cubin.resolveSibling(cubin.getFileName() + ".sass"));
    }

    /** What a tool prints. */
    static String run(List<String> command, Path out) throws IOException, InterruptedException {
        Process p = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(out.toFile()).start();
        if (!p.waitFor(2, TimeUnit.MINUTES)) {
            p.destroyForcibly();
            throw new AssertionError(command + " does not finish");
        }
        return Files.readString(out);
    }
}
