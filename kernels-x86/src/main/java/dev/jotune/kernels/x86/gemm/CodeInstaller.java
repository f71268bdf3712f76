package dev.jotune.kernels.x86.gemm;

import dev.jotune.kernels.x86.asm.Assembler;
import java.lang.invoke.MethodHandle;

/** Makes code runnable for good: a call of type {@code (long) -> void}. */
@FunctionalInterface
public interface CodeInstaller {
    MethodHandle install(Assembler code);
}
