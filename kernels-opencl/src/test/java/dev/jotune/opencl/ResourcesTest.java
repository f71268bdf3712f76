package dev.jotune.opencl;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.kernel.KernelSource;
import dev.jotune.kernel.KernelTexts;
import dev.jotune.kernel.Param;
import dev.jotune.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** What the first device's compiler makes of every kernel: it compiles, and asks for no more than every OpenCL device has. */
class ResourcesTest {
    /** The least that OpenCL 1.2 lets a device have. */
    private static final long SHARED = 32 << 10;
    private static final int GROUP = 256;

    @Test
    void everyKernelFitsEveryDevice() {
        assertThat(problems(KernelTexts.all())).isEmpty();
    }

    @Test
    void theCheckSeesTooMuchSharedMemory() {
        KernelSource shared = probe("SHM real a[10240];\na[LID] = LD(y, LID);\nBARRIER();\nST(y, LID, a[LID + (int)LD(y, 0)]);\n");
        assertThat(problems(Map.of("probe", shared))).singleElement().asString().contains("40960 bytes of shared memory");
    }

    private static KernelSource probe(String body) {
        return new KernelSource("probe", "KERNEL {\n" + body + "}\n", List.of(Param.out("y", DType.F32)), new TreeMap<>(), 64, DType.F32);
    }

    private static List<String> problems(Map<String, KernelSource> kernels) {
        OpenClBackend device = Devices.first();
        // Some drivers say the same of every kernel; a spill is what goes beyond what they say of one that has nothing to spill.
        long nothing = device.programs().get(probe("ST(y, LID, R(0.0));\n")).privateMemory();
        List<String> problems = new ArrayList<>();
        kernels.forEach((name, source) -> {
            if (source.arithmetic() == DType.F64 && !device.info().doubles()) {
                return;
            }
            CompiledKernel k = device.programs().get(source);
            if (k.localMemory() > SHARED || source.group() > GROUP || k.privateMemory() > nothing) {
                problems.add(name + ": " + k.localMemory() + " bytes of shared memory, groups of " + source.group() + ", " + k.privateMemory()
                        + " bytes of private memory");
            }
        });
        return problems;
    }
}
