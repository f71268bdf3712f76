package dev.jotune.kernels.x86;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.cpu.simd.Matrix;
import dev.jotune.tensor.kernels.FrozenKernel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** What the processor is said to have is what the system says, and what is missing is missing with a reason. */
class ProcessorTest {
    private static final Path SYSTEM = Path.of("/proc/cpuinfo");

    /** The system's list; empty on other systems. */
    private static List<String> flags() throws IOException {
        if (!Files.exists(SYSTEM)) {
            return List.of();
        }
        return Files.readAllLines(SYSTEM).stream().filter(l -> l.startsWith("flags")).findFirst()
                .map(l -> Arrays.asList(l.split("\\s+"))).orElse(List.of());
    }

    @Test
    void featuresAreThoseTheSystemLists() throws IOException {
        Processor p = Processor.current();
        Set<Feature> listed = EnumSet.noneOf(Feature.class);
        List<String> flags = flags();
        for (Feature f : Feature.values()) {
            String name = f.name().toLowerCase().replace("avx512_vbmi", "avx512vbmi");
            if (flags.contains(name)) {
                listed.add(f);
            }
        }
        if (p.features().isEmpty()) {
            assertThat(p.note()).isNotEmpty();
        } else if (p.has(Feature.AMX_TILE)) {
            assertThat(p.features()).isEqualTo(listed);
            assertThat(p.note()).isEmpty();
        } else {
            listed.removeIf(Feature::isAmx);
            assertThat(p.features()).isEqualTo(listed);
            assertThat(p.note()).startsWith("no AMX: ");
        }
    }

    @Test
    void cachesAreOfAPlausibleSize() {
        Processor p = Processor.current();
        if (!p.features().isEmpty()) {
            assertThat(p.levelOne()).isBetween(16 << 10, 1 << 20);
            assertThat(p.levelTwo()).isBetween(128 << 10, 64 << 20);
        }
    }

    @Test
    void otherSystemsHaveNothingAndSayWhy() {
        for (String[] s : new String[][] {{"Windows 11", "amd64"}, {"Linux", "aarch64"}, {"Mac OS X", "x86_64"}}) {
            Processor p = Processor.detect(s[0], s[1]);
            assertThat(p.features()).isEmpty();
            assertThat(p.note()).contains("Linux on x86-64").contains(s[0] + " on " + s[1]);
            X86Extension e = new X86Extension(p);
            assertThat(e.isAvailable()).isFalse();
            assertThat(e.note()).isEqualTo(p.note());
            assertThat(e.kernel(FrozenKernel.class)).isEmpty();
            assertThat(e.matmul(64, 64, 64, Matrix.f32(0, 64), Matrix.f32(0, 64), 0, 64, false)).isFalse();
        }
    }

    @Test
    void theDescriptionNamesWhatIsUsed() {
        Processor all = new Processor(EnumSet.allOf(Feature.class), "", 0, 0);
        assertThat(new X86Extension(all).description()).isEqualTo("AVX-512 machine code, BF16, VNNI, AMX");
        assertThat(new X86Extension(all).isAvailable()).isTrue();
        Processor old = new Processor(EnumSet.of(Feature.AVX512F, Feature.AVX512DQ, Feature.AVX512BW, Feature.AVX512VL), "no AMX: x", 0, 0);
        assertThat(new X86Extension(old).description()).isEqualTo("AVX-512 machine code");
        assertThat(new X86Extension(old).kernel(FrozenKernel.class)).isEmpty();
    }
}
