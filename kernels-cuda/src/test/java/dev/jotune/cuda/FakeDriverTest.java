package dev.jotune.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The driver made for tests refuses what a real one would. */
class FakeDriverTest {
    private static final String COPY = """
            extern "C" __global__ void __launch_bounds__(64) copy(float* y, const float* x) {
                y[blockIdx.x * 64 + threadIdx.x] = x[blockIdx.x * 64 + threadIdx.x];
            }
            """;

    @BeforeEach
    void isFake() {
        FakeCuda.install();
    }

    @Test
    void hasEveryFunctionThatJCudaImports() throws IOException {
        SymbolLookup library = SymbolLookup.libraryLookup(FakeCuda.folder().resolve("libcuda.so.1"), Arena.global());
        List<String> names = Pattern.compile("NAME\\((\\w+)\\)").matcher(Files.readString(FakeCuda.folder().resolve("driver-names.h"))).results()
                .map((MatchResult m) -> m.group(1)).toList();
        assertThat(names).hasSize(312).doesNotHaveDuplicates().allMatch(n -> library.find(n).isPresent());
        assertThat((int) FakeCuda.call(library, "cuArrayDestroy", JAVA_INT, 0L)).isEqualTo(801);
    }

    @Test
    void remembersLaunches() {
        try (Emulator e = new Emulator("")) {
            Emulator.Pointer y = e.empty(512);
            e.launch(e.kernel(COPY, "copy"), 2, 64, 0, 1, y, e.floats(new float[128]));
            assertThat(FakeCuda.launches()).containsExactly("copy grid 2x1x1 group 64x1x1 shared 0 cluster 1");
        }
    }

    @Test
    void refusesLaunchesThatNoDeviceCanRun() {
        try (Emulator e = new Emulator("")) {
            long copy = e.kernel(COPY, "copy");
            Emulator.Pointer y = e.empty(512);
            assertThatThrownBy(() -> e.launch(copy, 2, 65, 0, 1, y, y)).hasMessageContaining("1:").hasMessageContaining("groups of 65 items");
            assertThatThrownBy(() -> e.launch(copy, 0, 64, 0, 1, y, y)).hasMessageContaining("a grid that is empty");
            assertThatThrownBy(() -> e.launch(copy, 3, 64, 0, 2, y, y)).hasMessageContaining("clusters of 2 groups");
            assertThatThrownBy(() -> e.launch(copy, 2, 64, 227 * 1024 + 1, 1, y, y)).hasMessageContaining("cuFuncSetAttribute failed with 1");
        }
    }

    @Test
    void refusesWhatAnOlderDeviceHasNot() {
        try (Emulator e = new Emulator("capability=80")) {
            Emulator.Pointer y = e.empty(512);
            assertThatThrownBy(() -> e.kernel(COPY, "copy")).hasMessageContaining("cuModuleGetFunction failed with 209");
            assertThatThrownBy(() -> e.map(y, EmulatedTexts.F32, 4, 8, 16, 8, 16, 0)).hasMessageContaining("801");
        }
    }

    @Test
    void refusesMemoryBeyondTheDevice() {
        try (Emulator e = new Emulator("memory=1000000")) {
            assertThatThrownBy(() -> e.empty(1_000_001)).hasMessageContaining("cuMemAlloc_v2 failed with 2");
        }
    }

    @Test
    void seesMemoryThatWasFreed() {
        try (Emulator e = new Emulator("")) {
            long copy = e.kernel(COPY, "copy");
            Emulator.Pointer y = e.empty(512);
            Emulator.Pointer gone = e.empty(512);
            e.free(gone);
            assertThatThrownBy(() -> e.launch(copy, 2, 64, 0, 1, y, gone)).hasMessageContaining("argument 1: device memory that was freed");
            assertThatThrownBy(() -> e.free(gone)).hasMessageContaining("cuMemFree_v2 failed with 1");
        }
    }

    @Test
    void freshMemoryIsNoNumber() {
        try (Emulator e = new Emulator("")) {
            assertThat(e.floats(e.empty(64))).containsOnly(Float.NaN);
        }
    }

    @Test
    void refusesTensorMapsThatNoDeviceTakes() {
        try (Emulator e = new Emulator("")) {
            Emulator.Pointer p = e.empty(64 * 64 * 4);
            assertThat(e.map(p, EmulatedTexts.F32, 4, 64, 64, 64, 32, 3)).isNotNull();
            // A swizzled row that is too long, a box too large, memory too small, rows at odd addresses.
            assertThatThrownBy(() -> e.map(p, EmulatedTexts.F32, 4, 64, 64, 64, 64, 3)).hasMessageContaining("failed with 1");
            assertThatThrownBy(() -> e.map(p, EmulatedTexts.F32, 4, 64, 64, 257, 32, 0)).hasMessageContaining("failed with 1");
            assertThatThrownBy(() -> e.map(p, EmulatedTexts.F32, 4, 65, 64, 64, 32, 0)).hasMessageContaining("failed with 1");
            assertThatThrownBy(() -> e.map(p, EmulatedTexts.F32, 4, 60, 63, 32, 32, 0)).hasMessageContaining("failed with 1");
        }
    }
}
