package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.jotune.kernel.KernelSource;
import dev.jotune.kernel.Param;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeMap;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.JCudaDriver;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is said of kernels that go wrong. A device would be of no use afterwards to this process, so all of it happens on the emulator. */
class CudaErrorsTest {
    private static final Program DOUBLE = Program.of(Expr.input(0).times(2));

    @TempDir
    private Path dir;

    @BeforeEach
    void emulatorIsThere() {
        assumeFalse(FakeCuda.isReal(), "a fault would end the work of every test on this device");
        CudaDevices.info();
    }

    @AfterEach
    void forget() {
        System.clearProperty(DeviceStream.WAIT);
        System.clearProperty(NvrtcSearch.PLACE);
        FakeCuda.install();
        if (!FakeCuda.isReal()) {
            FakeCuda.configure("fault=now memory=4294967296");
        }
    }

    private static KernelSource source(String body) {
        return new KernelSource("probe", "KERNEL {\n" + body + "}\n", List.of(Param.out("y", DType.F32), Param.int64("at")), new TreeMap<>(), 32,
                DType.F32);
    }

    @Test
    void aFaultNamesKernelGridArgumentsAndTheStepBefore() {
        System.setProperty(DeviceStream.WAIT, "true");
        CudaBackend b = CudaDevices.fresh(dir, text -> text);
        Tensor y = Tensor.zeros(b, DType.F32, 64);
        b.map(DOUBLE, new Tensor[] {y}, new Tensor[] {y});
        KernelSource behind = source("    ST(y, at, R(1.0));\n");
        assertThatThrownBy(() -> b.launch(behind, 3, y, 64)).isInstanceOf(CudaException.class)
                .hasMessageContaining("Launching kernel probe-").hasMessageContaining("3 x 1 x 1 groups of 32 items on cuda:9")
                .hasMessageContaining("64]").hasMessageContaining("CUDA_ERROR_ILLEGAL_ADDRESS (700)")
                .hasMessageFindingMatch("with map-[0-9a-f]{4} as the last step known to be complete");
    }

    @Test
    void withoutWaitingTheStepsSinceAreNamed() {
        CudaBackend b = CudaDevices.fresh(dir, text -> text);
        Tensor y = Tensor.zeros(b, DType.F32, 64);
        b.map(DOUBLE, new Tensor[] {y}, new Tensor[] {y});
        b.finish();
        b.launch(source("    ST(y, LID, R(1.0) + (real)at);\n"), 1, y, 0);
        KernelSource behind = source("    ST(y, at, R(1.0));\n");
        assertThatThrownBy(() -> b.launch(behind, 1, y, 64)).isInstanceOf(CudaException.class)
                .hasMessageFindingMatch("with map-[0-9a-f]{4} as the last step known to be complete and enqueued since then: probe-[0-9a-f]{4};")
                .hasMessageContaining("-D" + DeviceStream.WAIT + "=true");
    }

    /** As on a device, a fault shows when the host next asks, and stays: at a launch, at a wait, at a read. Cleaning up does not hide it. */
    @Test
    void aFaultThatShowsLaterIsNamedByEveryCallAfterIt() {
        CudaBackend b = CudaDevices.fresh(dir, text -> text);
        KernelSource behind = source("    ST(y, at, R(1.0));\n");
        Tensor y;
        try (Scope scope = Scope.open()) {
            y = scope.keep(Tensor.zeros(b, DType.F32, 64));
            Tensor.zeros(b, DType.F32, 1 << 16);
            b.map(DOUBLE, new Tensor[] {y}, new Tensor[] {y});
            b.finish();
            FakeCuda.configure("fault=late loud=no");
            b.launch(behind, 1, y, 64);
        }
        String since = "(?s)failed with CUDA_ERROR_ILLEGAL_ADDRESS .700.*-Djotune.cuda.wait=true";
        String good = "map-[0-9a-f]{4} as the last step known to be complete and enqueued since then: probe-[0-9a-f]{4};";
        assertThatThrownBy(() -> b.map(DOUBLE, new Tensor[] {y}, new Tensor[] {y})).isInstanceOf(CudaException.class)
                .hasMessageFindingMatch("Launching kernel map-").hasMessageFindingMatch(good).hasMessageFindingMatch(since);
        assertThatThrownBy(b::finish).hasMessageFindingMatch("Waiting on cuda:9").hasMessageFindingMatch(good).hasMessageFindingMatch(since);
        assertThatThrownBy(y::toDoubleArray).hasMessageFindingMatch("cuda:9").hasMessageFindingMatch(good).hasMessageFindingMatch(since);
        assertThatThrownBy(() -> Tensor.empty(b, DType.F32, 1 << 20)).isInstanceOf(CudaException.class).hasMessageFindingMatch("cuMemAlloc");
        y.storage().free();
        b.memory().trim();
    }

    /** What others hold is no memory of this process: the error says how much of either there is. */
    @Test
    void memoryThatOthersHoldIsSaid() {
        CudaBackend b = CudaDevices.fresh(dir, text -> text);
        Tensor.empty(b, DType.U8, 1 << 20);
        long[] free = new long[1];
        long[] all = new long[1];
        Cu.check(JCudaDriver.cuMemGetInfo(free, all), "cuMemGetInfo");
        long used = all[0] - free[0];
        FakeCuda.configure("memory=" + (used + (6 << 20)));
        CUdeviceptr others = new CUdeviceptr();
        Cu.check(JCudaDriver.cuMemAlloc(others, 4 << 20), "cuMemAlloc");
        try {
            assertThatThrownBy(() -> Tensor.empty(b, DType.U8, 3 << 20)).isInstanceOf(OutOfMemoryError.class)
                    .hasMessageContaining("cuda:9 has no room for a tensor of " + (3 << 20) + " bytes: " + (1 << 20) + " of ")
                    .hasMessageContaining("are in use by this process, the device has " + (2 << 20) + " of " + (used + (6 << 20)) + " bytes left")
                    .hasMessageContaining("other processes and the driver hold " + (used + (4 << 20) - (1 << 20)))
                    .hasMessageContaining((1 << 20) + " bytes are missing").hasMessageContaining("end what else uses the device");
        } finally {
            Cu.check(JCudaDriver.cuMemFree(others), "cuMemFree");
        }
        Tensor.empty(b, DType.U8, 3 << 20);
    }

    /** A folder for compiled kernels that cannot be made costs time, never a run. */
    @Test
    void aFolderThatCannotBeWrittenIsDoneWithout() throws IOException {
        Path file = Files.writeString(dir.resolve("a-file"), "no folder");
        for (int i = 0; i < 2; i++) {
            CudaBackend b = CudaDevices.fresh(file.resolve("below"), text -> text);
            Tensor y = Tensor.of(b, new float[] {1, 2}, 2);
            b.map(DOUBLE, new Tensor[] {y}, new Tensor[] {y});
            assertThat(y.toDoubleArray()).containsExactly(2, 4);
            assertThat(b.modules().builds()).isEqualTo(1);
        }
        assertThat(file).hasContent("no folder");
    }

    @Test
    void withoutCompilerWhatIsMissingIsSaid() {
        System.setProperty(NvrtcSearch.PLACE, dir.resolve("libnvrtc-of-nobody.so").toString());
        CudaBackend b = CudaDevices.fresh(dir, text -> text + "\n/* A text that nobody compiled ahead. */\n", info());
        Tensor y = Tensor.empty(b, DType.F32, 64);
        assertThatThrownBy(() -> b.map(DOUBLE, new Tensor[] {y}, new Tensor[] {y})).isInstanceOf(CudaException.class)
                .hasMessageContaining("Kernel map-").hasMessageContaining("libnvrtc-of-nobody.so").hasMessageContaining("nvidia-cuda-nvrtc");
    }

    private static DeviceInfo info() {
        return DeviceInfo.all().getFirst();
    }

    @Test
    void kernelsForOtherChipsAreRefused() {
        DeviceInfo i = info();
        DeviceInfo older = new DeviceInfo(i.id(), "An older chip", 75, i.units(), i.memory(), 64 << 10, i.driver());
        CudaBackend b = CudaDevices.fresh(dir, text -> text, older);
        Tensor y = Tensor.empty(b, DType.F32, 64);
        CudaSource source = CudaSource.of("decode_embed", List.of(Param.out("x", DType.F32)), new TreeMap<>(), 32, 0, CudaSource.Chip.SM80);
        assertThatThrownBy(() -> b.launch(source, 1, 1, 1, y)).isInstanceOf(CudaException.class)
                .hasMessageContaining("sm_80").hasMessageContaining("An older chip of compute capability 7.5");
        assertThat(b.chip()).isEqualTo(75);
    }

    @Test
    void moreSharedMemoryThanTheDeviceHasIsRefused() {
        DeviceInfo i = info();
        DeviceInfo smaller = new DeviceInfo(i.id(), "A smaller chip", 90, i.units(), i.memory(), 99 << 10, i.driver());
        CudaBackend b = CudaDevices.fresh(dir, text -> text, smaller);
        Tensor y = Tensor.empty(b, DType.F32, 64);
        KernelSource kernel = new KernelSource("probe", "KERNEL {\n    ST(y, LID, R(1.0));\n}\n", List.of(Param.out("y", DType.F32)), new TreeMap<>(),
                32, DType.F32);
        assertThatThrownBy(() -> b.launch(new CudaSource(kernel, 100 << 10, CudaSource.Chip.SM80, 1), 1, 1, 1, y)).isInstanceOf(CudaException.class)
                .hasMessageContaining("102400 bytes of shared memory").hasMessageContaining("A smaller chip allows 101376");
        b.launch(new CudaSource(kernel, 90 << 10, CudaSource.Chip.SM80, 1), 1, 1, 1, y);
        b.launch(new CudaSource(kernel, 0, CudaSource.Chip.SM90A, 2), 2, 1, 1, y);
        assertThat(y.slice(0, 0, 32).toDoubleArray()).containsOnly(1);
    }
}
