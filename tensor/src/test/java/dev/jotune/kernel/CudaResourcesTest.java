package dev.jotune.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.jotune.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What NVIDIA's compiler makes of every kernel, for two generations: nothing spilled, no array on a stack, little shared memory. */
class CudaResourcesTest {
    private static final Path NVCC = Path.of(System.getenv().getOrDefault("CUDA_HOME", "/usr/local/cuda"), "bin", "nvcc");
    private static final String[] CHIPS = {"80", "90a"};
    /** What every OpenCL device has. */
    private static final int SHARED = 32 << 10;
    private static final Pattern REPORT = Pattern.compile("Compiling entry function 'k(\\d+)' for '(\\w+)'[^']*?(\\d+) bytes stack frame, "
            + "(\\d+) bytes spill stores, (\\d+) bytes spill loads[^']*?Used (\\d+) registers([^\\n]*)");
    private static final Pattern SHARED_MEMORY = Pattern.compile("(\\d+) bytes smem");

    @TempDir
    Path folder;

    @BeforeEach
    void compilerIsThere() {
        assumeTrue(Files.isExecutable(NVCC), () -> NVCC + " is not there");
    }

    @Test
    void everyKernelFits() throws IOException, InterruptedException {
        assertThat(problems(KernelTexts.all())).isEmpty();
    }

    /** An array indexed by what only the run knows cannot lie in registers; 40 KB are more than 32. */
    @Test
    void theCheckSeesWhatDoesNotFit() throws IOException, InterruptedException {
        Map<String, KernelSource> wrong = new LinkedHashMap<>();
        wrong.put("stack", source("real a[64];\nfor (int i = 0; i < 64; i++) {\na[i] = i;\n}\n"
                + "for (int i = 0; i < 99; i++) {\na[(int)LD(y, i) & 63] += i;\n}\n"
                + "ST(y, LID, a[LID]);\n"));
        wrong.put("shared", source("SHM real a[10240];\na[LID] = LD(y, LID);\nBARRIER();\nST(y, LID, a[LID + (int)LD(y, 0)]);\n"));
        assertThat(problems(wrong)).containsExactlyInAnyOrder("stack on sm_80: 256 bytes of stack, 0 of spills, 0 of shared memory",
                "stack on sm_90a: 256 bytes of stack, 0 of spills, 0 of shared memory",
                "shared on sm_80: 0 bytes of stack, 0 of spills, 40960 of shared memory",
                "shared on sm_90a: 0 bytes of stack, 0 of spills, 40960 of shared memory");
        assertThat(problems(Map.of("nonsense", source("nonsense;\n")))).anySatisfy(p -> assertThat(p).contains("nonsense on sm_80: no report"));
    }

    private static KernelSource source(String body) {
        return new KernelSource("probe", "KERNEL {\n" + body + "}\n", List.of(Param.out("y", DType.F32)), new TreeMap<>(), 64, DType.F32);
    }

    /** One run of the compiler for all: its start costs as much as a kernel. */
    private List<String> problems(Map<String, KernelSource> kernels) throws IOException, InterruptedException {
        List<String> names = List.copyOf(kernels.keySet());
        List<String> command = new ArrayList<>(List.of(NVCC.toString(), "-fatbin", "-Xptxas", "-v", "--threads", "2", "-odir", folder.toString()));
        for (String chip : CHIPS) {
            command.addAll(List.of("-gencode", "arch=compute_" + chip + ",code=sm_" + chip));
        }
        for (int i = 0; i < names.size(); i++) {
            KernelSource k = kernels.get(names.get(i));
            KernelSource numbered = new KernelSource("k" + i, k.text(), k.params(), k.defines(), k.group(), k.arithmetic());
            command.add(Files.writeString(folder.resolve("k" + i + ".cu"), Emitter.emit(numbered, Target.CUDA)).toString());
        }
        Path log = folder.resolve("log");
        Process p = new ProcessBuilder(command).directory(folder.toFile()).redirectErrorStream(true).redirectOutput(log.toFile()).start();
        assertThat(p.waitFor(15, TimeUnit.MINUTES)).isTrue();
        String report = Files.readString(log);
        List<String> problems = new ArrayList<>();
        List<String> missing = new ArrayList<>();
        names.forEach(n -> List.of(CHIPS).forEach(chip -> missing.add(n + " on sm_" + chip)));
        for (Matcher m = REPORT.matcher(report); m.find();) {
            String what = names.get(Integer.parseInt(m.group(1))) + " on " + m.group(2);
            missing.remove(what);
            Matcher s = SHARED_MEMORY.matcher(m.group(7));
            int shared = s.find() ? Integer.parseInt(s.group(1)) : 0;
            int stack = Integer.parseInt(m.group(3));
            int spills = Integer.parseInt(m.group(4)) + Integer.parseInt(m.group(5));
            if (stack > 0 || spills > 0 || shared > SHARED) {
                problems.add(what + ": " + stack + " bytes of stack, " + spills + " of spills, " + shared + " of shared memory");
            }
            if (Boolean.getBoolean("jotune.print")) {
                System.out.println(what + ": " + m.group(6) + " registers, " + shared + " shared");
            }
        }
        missing.forEach(m -> problems.add(m + ": no report. The compiler said: "
                + report.lines().filter(l -> l.contains("error")).limit(3).toList()));
        return problems;
    }
}
