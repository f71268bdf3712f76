package dev.jotune.kernels.x86.gemm;

import dev.jotune.kernels.x86.asm.Assembler;
import dev.jotune.kernels.x86.asm.Emulator;
import dev.jotune.kernels.x86.asm.Program;
import dev.jotune.kernels.x86.asm.Ranges;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;

/** Makes emitted code runnable on any machine: a call interprets it, within the memory that was allowed if any was. */
public final class EmulatedCode implements CodeInstaller {
    private final Ranges memory;

    /** Code that may touch what {@code memory} allows. */
    public EmulatedCode(Ranges memory) {
        this.memory = memory;
    }

    @Override
    public MethodHandle install(Assembler code) {
        byte[] bytes = code.toBytes();
        // Its constants are read from here.
        MemorySegment place = Arena.ofAuto().allocate(bytes.length, 64);
        MemorySegment.copy(bytes, 0, place, ValueLayout.JAVA_BYTE, 0, bytes.length);
        try {
            return MethodHandles.lookup().findStatic(EmulatedCode.class, "call",
                    MethodType.methodType(void.class, Program.class, MemorySegment.class, Ranges.class, long.class))
                    .bindTo(new Program(bytes, place.address())).bindTo(place).bindTo(memory);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void call(Program code, MemorySegment place, Ranges memory, long argument) {
        memory.allowIfLimited(place.address(), place.byteSize());
        new Emulator(code, memory).call(argument);
    }
}
