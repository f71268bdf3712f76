package dev.jotune.kernels.x86;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;

/**
 * Executable memory of the process. Pages are written first and then made readable and executable, never both writable
 * and executable: systems that forbid the latter still run our code.
 */
final class CodeMemory {
    private static final int READ = 1;
    private static final int WRITE = 2;
    private static final int EXECUTE = 4;
    /** MAP_PRIVATE and MAP_ANONYMOUS. */
    private static final int FRESH = 0x22;
    private static final long PAGE = 4096;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final StructLayout STATE = Linker.Option.captureStateLayout();
    private static final VarHandle ERRNO = STATE.varHandle(MemoryLayout.PathElement.groupElement("errno"));
    private static final MethodHandle MMAP =
            systemCall("mmap", FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
    private static final MethodHandle MPROTECT = systemCall("mprotect", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
    private static final MethodHandle MUNMAP = LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow("munmap"),
            FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle STRERROR = LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow("strerror"),
            FunctionDescriptor.of(ADDRESS, JAVA_INT));

    private CodeMemory() {}

    private static MethodHandle systemCall(String name, FunctionDescriptor type) {
        return LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow(name), type, Linker.Option.captureCallState("errno"));
    }

    /**
     * Copies {@code code} to where it can run, until {@code arena} closes.
     *
     * @throws CodeRefusedException if the system does not allow it
     */
    static MemorySegment install(byte[] code, Arena arena) {
        return install(code, arena, READ | EXECUTE);
    }

    /** As the above with another final protection, for the test of a refusal. */
    static MemorySegment install(byte[] code, Arena arena, int protection) {
        long size = Math.max(1, code.length) + PAGE - 1 & -PAGE;
        try (Arena call = Arena.ofConfined()) {
            MemorySegment state = call.allocate(STATE);
            long address = (long) MMAP.invokeExact(state, 0L, size, READ | WRITE, FRESH, -1, 0L);
            if (address == -1) {
                throw refused("mmap", state);
            }
            MemorySegment.copy(code, 0, MemorySegment.ofAddress(address).reinterpret(size), ValueLayout.JAVA_BYTE, 0, code.length);
            if ((int) MPROTECT.invokeExact(state, address, size, protection) != 0) {
                CodeRefusedException refusal = refused("mprotect", state);
                unmap(address, size);
                throw refusal;
            }
            return MemorySegment.ofAddress(address).reinterpret(size, arena, gone -> unmap(address, size));
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    private static void unmap(long address, long size) {
        try {
            int ignored = (int) MUNMAP.invokeExact(address, size);
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    private static CodeRefusedException refused(String call, MemorySegment state) throws Throwable {
        int number = (int) ERRNO.get(state, 0L);
        MemorySegment text = (MemorySegment) STRERROR.invokeExact(number);
        return new CodeRefusedException("the system refuses memory for code (" + call + ": "
                + text.reinterpret(Long.MAX_VALUE).getString(0) + "); allow this process executable memory to have these kernels");
    }
}
