package dev.jotune.kernels.x86;

import dev.jotune.kernels.x86.asm.Assembler;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/** This machine, for the tests of other packages. */
public final class Machine {
    private Machine() {}

    /** Whether AMX kernels run here. */
    public static boolean hasAmx() {
        return hasVectors() && Processor.current().has(Feature.AMX_TILE, Feature.AMX_BF16, Feature.AMX_INT8);
    }

    /** Whether the vector kernels run here. */
    public static boolean hasVectors() {
        return Processor.current().has(Feature.AVX512F, Feature.AVX512DQ, Feature.AVX512BW, Feature.AVX512VL, Feature.AVX512_BF16);
    }

    /** Code that takes one address, runnable for as long as the handle is used. */
    public static MethodHandle install(Assembler code) {
        return NativeCode.of(code, Arena.ofAuto()).handle(FunctionDescriptor.ofVoid(ValueLayout.JAVA_LONG));
    }
}
