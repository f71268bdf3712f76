package dev.jotune.kernels.x86;

import dev.jotune.kernels.x86.asm.Assembler;
import dev.jotune.kernels.x86.asm.Ranges;
import dev.jotune.kernels.x86.gemm.EmulatedCode;
import dev.jotune.kernels.x86.gemm.Gemms;
import dev.jotune.tensor.cpu.simd.Parallel;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Optional;
import java.util.function.Supplier;

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

    /** Products on vectors: run by the processor if it can, in the interpreter otherwise or with {@code jotune.emulate}. */
    static Gemms gemms(Supplier<Parallel> pool) {
        if (hasVectors() && Processor.current().has(Feature.AVX512_VNNI) && !Boolean.getBoolean("jotune.emulate")) {
            return X86Extension.gemms(pool, Optional.empty());
        }
        return new Gemms(new EmulatedCode(new Ranges()), pool, Optional.empty());
    }

    /** Code that takes one address, runnable for as long as the handle is used. */
    public static MethodHandle install(Assembler code) {
        return NativeCode.of(code, Arena.ofAuto()).handle(FunctionDescriptor.ofVoid(ValueLayout.JAVA_LONG));
    }
}
