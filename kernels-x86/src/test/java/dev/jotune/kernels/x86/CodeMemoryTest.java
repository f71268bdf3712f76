package dev.jotune.kernels.x86;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.kernels.x86.asm.Assembler;
import dev.jotune.kernels.x86.asm.Reg;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/** Code runs from memory that is never writable and executable at once, until its arena is closed. */
@EnabledOnOs(value = OS.LINUX, architectures = "amd64", disabledReason = "emitted code is for Linux on x86-64")
class CodeMemoryTest {
    private static final FunctionDescriptor SUM = FunctionDescriptor.of(ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG);

    private static Assembler sum() {
        Assembler a = new Assembler();
        a.mov(Reg.RAX, Reg.RDI);
        a.add(Reg.RAX, Reg.RSI);
        a.ret();
        return a;
    }

    /** How the system describes the memory at an address; empty if there is none. */
    private static String rights(long address) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/maps"))) {
            String[] range = line.split("[- ]");
            if (Long.compareUnsigned(address, Long.parseUnsignedLong(range[0], 16)) >= 0
                    && Long.compareUnsigned(address, Long.parseUnsignedLong(range[1], 16)) < 0) {
                return line.split(" ")[1];
            }
        }
        return "";
    }

    @Test
    void codeIsCalledFromJava() throws Throwable {
        try (Arena arena = Arena.ofConfined()) {
            NativeCode code = NativeCode.of(sum(), arena);
            assertThat((long) code.handle(SUM).invokeExact(40L, 2L)).isEqualTo(42);
            assertThat((long) code.handle(SUM).invokeExact(-1L, Long.MIN_VALUE)).isEqualTo(Long.MAX_VALUE);
        }
    }

    @Test
    void memoryIsReadableAndExecutableAndGoesWithItsArena() throws Throwable {
        long address;
        MethodHandle call;
        try (Arena arena = Arena.ofConfined()) {
            NativeCode code = NativeCode.of(sum(), arena);
            address = code.code().address();
            call = code.handle(SUM);
            assertThat(rights(address)).isEqualTo("r-xp");
        }
        // Other threads may map memory there meanwhile, but not executable memory.
        assertThat(rights(address)).isNotEqualTo("r-xp");
        MethodHandle closed = call;
        assertThatThrownBy(() -> closed.invoke(1L, 2L)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void codeLongerThanAPageKeepsItsEnd() throws Throwable {
        Assembler a = new Assembler();
        for (int i = 0; i < 5000; i++) {
            a.inc(Reg.RDI);
        }
        a.mov(Reg.RAX, Reg.RDI);
        a.ret();
        try (Arena arena = Arena.ofConfined()) {
            MethodHandle call = NativeCode.of(a, arena).handle(FunctionDescriptor.of(ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));
            assertThat((long) call.invokeExact(7L)).isEqualTo(5007);
        }
    }

    @Test
    void aRefusalNamesTheCallAndTheReason() {
        try (Arena arena = Arena.ofConfined()) {
            // No system knows this protection.
            assertThatThrownBy(() -> CodeMemory.install(sum().toBytes(), arena, 0x40000000)).isInstanceOf(CodeRefusedException.class)
                    .hasMessageContaining("mprotect: Invalid argument").hasMessageContaining("allow this process");
        }
    }
}
