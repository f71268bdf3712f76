package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.cuda.CudaSource.Chip;
import dev.jotune.kernel.Emitter;
import dev.jotune.kernel.KernelSource;
import dev.jotune.kernel.KernelTexts;
import dev.jotune.kernel.Target;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * Every kernel through NVIDIA's own run-time compiler, as on a machine with a device: it takes the text, for two generations, and nothing
 * lies on a stack. The compiler needs no device; where it is not found (the folder that {@code jotune.cuda.tools} names) there are no tests.
 */
@Tag("heavy")
class NvrtcCompilesTest {
    private static final Pattern USE = Pattern.compile("REG:(\\d+) STACK:(\\d+) SHARED:\\d+ LOCAL:(\\d+)");

    @TempDir
    Path folder;

    @TestFactory
    Stream<DynamicTest> everyKernel() throws Nvrtc.Missing {
        Path tools = Path.of(System.getProperty("jotune.cuda.tools", "none"));
        Path library = tools.resolve("libnvrtc.so.13");
        if (!Files.exists(library)) {
            return Stream.empty();
        }
        Nvrtc nvrtc = Nvrtc.find(new NvrtcSearch(library.toString(), Map.of(), 13_000));
        return Stream.of(Chip.values()).map(chip -> DynamicTest.dynamicTest(chip.architecture(), () -> compile(nvrtc, chip)));
    }

    private void compile(Nvrtc nvrtc, Chip chip) throws IOException, InterruptedException {
        Map<String, String> texts = new LinkedHashMap<>();
        for (Map.Entry<String, KernelSource> e : KernelTexts.all().entrySet()) {
            texts.put(e.getKey(), Emitter.emit(e.getValue(), Target.CUDA));
        }
        Map<String, CudaSource> own = new LinkedHashMap<>(GemmTextTest.warpProducts());
        own.putAll(AttentionTextTest.ofWarps());
        own.putAll(DecodeTextTest.all());
        own.putAll(DecodeTextTest.all());
        if (chip == Chip.SM90A) {
            own.putAll(GemmTextTest.groupProducts());
            own.putAll(AttentionTextTest.ofGroups());
        }
        own.forEach((name, source) -> texts.put(name, source.emit()));
        List<String> problems = new ArrayList<>();
        for (Map.Entry<String, String> e : texts.entrySet()) {
            Path cubin = folder.resolve("k.cubin");
            try {
                Files.write(cubin, nvrtc.compile(e.getValue(), e.getKey(), nvrtc.goal(chip.capability()), Modules.OPTIONS));
            } catch (CudaException refused) {
                problems.add(e.getKey() + ": " + refused.getMessage());
                continue;
            }
            if (Nvcc.tool("cuobjdump").isPresent()) {
                String said = Nvcc.run(List.of(Nvcc.tool("cuobjdump").get().toString(), "-res-usage", cubin.toString()), folder.resolve("use"));
                Matcher m = USE.matcher(said);
                if (!m.find() || !m.group(2).equals("0") || !m.group(3).equals("0")) {
                    problems.add(e.getKey() + ": " + said);
                }
            }
        }
        assertThat(problems).isEmpty();
    }
}
