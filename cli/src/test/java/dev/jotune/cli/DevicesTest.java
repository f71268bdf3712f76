package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** {@code jotune devices} names the machine code that runs here, or says why none does. */
class DevicesTest {
    private static String devices(String... options) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"));
        command.addAll(List.of(options));
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), "dev.jotune.cli.Main", "devices"));
        Process child = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
        String out = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(child.waitFor()).isZero();
        return out;
    }

    @Test
    void openClDevicesAreListedAndMeasuredOrTheReasonAgainstThemIs() throws Exception {
        assertThat(devices("-Djotune.opencl=off")).containsPattern("\\(none\\) +opencl +- +switched off by -Djotune.opencl=off");
        Jotune j = Jotune.run("devices", "--profile");
        assertThat(j.code()).as(j.err()).isZero();
        assertThat(j.out()).contains("cpu does not measure its kernels");
        if (j.out().contains("opencl:0")) {
            assertThat(j.out()).containsPattern("KERNEL ON opencl:0 +CALLS +TOTAL us +MEDIAN us").containsPattern("gemm-\\S+ +10 ");
        } else {
            assertThat(j.out()).containsPattern("\\(none\\) +opencl +- +\\S+");
        }
    }

    @Test
    void cudaDevicesAreListedOrTheReasonAgainstThemIs() throws Exception {
        assertThat(devices("-Djotune.cuda=off")).containsPattern("\\(none\\) +cuda +- +switched off by -Djotune.cuda=off");
        assertThat(devices("-Djotune.cuda.library=libcuda-of-nobody.so.1"))
                .containsPattern("\\(none\\) +cuda +- +NVIDIA's driver .*libcuda-of-nobody.so.1");
    }

    @Test
    void machineCodeIsNamedOrTheReasonAgainstIt() throws Exception {
        String out = devices();
        if (out.contains("; AVX-512 machine code")) {
            assertThat(out).containsPattern(", AMX|no AMX: \\S+");
        } else {
            assertThat(out).containsPattern("no AVX-512 machine code: \\S+");
        }
    }

    @Test
    void itCanBeSwitchedOff() throws Exception {
        assertThat(devices("-Djotune.extensions=off")).contains("extensions are switched off by jotune.extensions").doesNotContain("AVX-512");
    }
}
