package dev.jotune.kernels.x86.gemm;

import dev.jotune.kernels.x86.Machine;
import dev.jotune.kernels.x86.asm.Assembler;
import java.lang.invoke.MethodHandle;

/** Makes emitted code runnable by the processor. */
final class RealCode implements CodeInstaller {
    /** Whether AMX kernels run here. */
    static boolean hasAmx() {
        return Machine.hasAmx();
    }

    /** Whether the vector kernels run here. */
    static boolean hasVectors() {
        return Machine.hasVectors();
    }

    @Override
    public MethodHandle install(Assembler code) {
        return Machine.install(code);
    }
}
