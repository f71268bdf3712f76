package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.tensor.DType;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Where the compiler is looked for and what is asked of it. */
class NvrtcTest {
    private static final int[] OF_13 = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};

    @TempDir
    private Path dir;

    private Path file(String folder, String name) throws IOException {
        Path f = dir.resolve(folder).resolve(name);
        Files.createDirectories(f.getParent());
        return Files.writeString(f, "not a library");
    }

    private List<String> found(Map<String, String> environment, int driver) {
        return new NvrtcSearch("", environment, driver).candidates().stream().filter(c -> !c.startsWith("/usr")).toList();
    }

    @Test
    void aPlaceThatWasNamedIsTheOnlyOne() throws IOException {
        Path f = file("chosen", "libnvrtc.so.12");
        assertThat(new NvrtcSearch(f.toString(), Map.of(), 13_000).candidates()).containsExactly(f.toString());
        assertThat(new NvrtcSearch(f.getParent().toString(), Map.of(), 13_000).candidates()).containsExactly(f.toString());
        Path none = dir.resolve("none.so");
        assertThat(new NvrtcSearch(none.toString(), Map.of(), 13_000).candidates()).containsExactly(none.toString());
    }

    @Test
    void theLoadersPathComesBeforeTheToolkitAndThatBeforePython() throws IOException {
        Path home = file("cuda/lib64", "libnvrtc.so.13");
        Path thirteen = file("venv/lib/python3.12/site-packages/nvidia/cu13/lib", "libnvrtc.so.13");
        Path twelve = file("venv/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib", "libnvrtc.so.12");
        Map<String, String> environment = Map.of("CUDA_HOME", dir.resolve("cuda").toString(), "VIRTUAL_ENV", dir.resolve("venv").toString());
        assertThat(found(environment, 13_000)).containsExactly("libnvrtc.so.13", "libnvrtc.so.12", home.toString(), thirteen.toString(),
                twelve.toString());
        assertThat(found(Map.of("PYTHONPATH", dir.resolve("venv/lib/python3.12/site-packages").toString()), 13_000)).contains(thirteen.toString());
    }

    /** A driver for CUDA 12 refuses what the compiler of CUDA 13 makes. */
    @Test
    void theCompilerOfTheDriversAgeComesFirst() {
        assertThat(found(Map.of(), 12_040)).containsExactly("libnvrtc.so.12", "libnvrtc.so.13");
    }

    @Test
    void whatWasTriedIsSaid() throws IOException {
        Path f = file("chosen", "libnvrtc.so.12");
        assertThatThrownBy(() -> Nvrtc.find(new NvrtcSearch(f.toString(), Map.of(), 13_000))).isInstanceOf(Nvrtc.Missing.class)
                .hasMessageContaining(f.toString());
    }

    @Test
    void machineCodeIsMadeForChipsThatTheCompilerKnows() {
        assertThat(Nvrtc.goal(80, OF_13, "13.0")).isEqualTo(new Nvrtc.Goal("--gpu-architecture=sm_80", true));
        assertThat(Nvrtc.goal(90, OF_13, "13.0")).isEqualTo(new Nvrtc.Goal("--gpu-architecture=sm_90a", true));
        assertThat(Nvrtc.goal(130, OF_13, "13.0")).isEqualTo(new Nvrtc.Goal("--gpu-architecture=compute_121", false));
        assertThatThrownBy(() -> Nvrtc.goal(70, OF_13, "13.0")).isInstanceOf(CudaException.class).hasMessageContaining("compute capability 7.0")
                .hasMessageContaining("older");
    }

    /** With NVIDIA's own compiler, where {@code jotune.cuda.tools} names its folder; elsewhere there are no such tests. */
    @TestFactory
    Stream<DynamicTest> withTheCompiler() throws Nvrtc.Missing {
        Path library = Path.of(System.getProperty("jotune.cuda.tools", "none"), "libnvrtc.so.13");
        if (!Files.exists(library)) {
            return Stream.empty();
        }
        Nvrtc nvrtc = Nvrtc.find(new NvrtcSearch(library.toString(), Map.of(), 13_000));
        String text = DecodeTexts.embed(DType.F32).emit();
        return Stream.of(DynamicTest.dynamicTest("chips from the future get text", () -> {
            byte[] ptx = nvrtc.compile(text, "probe", nvrtc.goal(999), Modules.OPTIONS);
            assertThat(new String(ptx, StandardCharsets.US_ASCII)).contains(".version", ".entry decode_embed");
            assertThat(ptx[ptx.length - 1]).isZero();
        }), DynamicTest.dynamicTest("what is wrong is shown", () -> assertThatThrownBy(() -> nvrtc.compile(text + "nonsense;\n", "probe",
                nvrtc.goal(90), Modules.OPTIONS)).isInstanceOf(CudaException.class).hasMessageContaining("NVRTC " + nvrtc.version())
                .hasMessageContaining("Kernel probe does not compile").hasMessageContaining("sm_90a").hasMessageContaining("nonsense")));
    }
}
