package dev.jotune.kernels.x86;

import dev.jotune.kernels.x86.asm.Assembler;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * Emitted code that Java can call, by the system's calling convention.
 *
 * @param code the code's memory; calls after its arena is closed are refused
 */
record NativeCode(MemorySegment code) {
    /**
     * Makes the code runnable until {@code arena} closes; {@link Arena#global()} for kernels that stay.
     *
     * @throws CodeRefusedException if the system does not allow it
     */
    static NativeCode of(Assembler code, Arena arena) {
        return new NativeCode(CodeMemory.install(code.toBytes(), arena));
    }

    /**
     * A call during which this thread counts as native, so that garbage collection goes on: for work of any length. The
     * linker's critical calls would save some nanoseconds of kernels that run for microseconds, and hold collections up.
     */
    MethodHandle handle(FunctionDescriptor type) {
        return Linker.nativeLinker().downcallHandle(code, type);
    }
}
