package dev.jotune.jmh.gpu;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;

/** Calls of the driver's library through {@code java.lang.foreign}, for the probe. */
final class Native {
    private static final SymbolLookup DRIVER = SymbolLookup.libraryLookup("libcuda.so.1", Arena.global());
    private static final MethodHandle LAUNCH = function("cuLaunchKernel", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT,
            JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG));

    private Native() {}

    private static MethodHandle function(String name, FunctionDescriptor type) {
        return Linker.nativeLinker().downcallHandle(DRIVER.find(name).orElseThrow(() -> new UnsatisfiedLinkError("the driver has no " + name)), type);
    }

    /** One group of {@code items}, arguments as addresses of values at {@code parameters}. */
    static int launch(long function, int groups, int items, long stream, long parameters) {
        try {
            return (int) LAUNCH.invokeExact(function, groups, 1, 1, items, 1, 1, 0, stream, parameters, 0L);
        } catch (Throwable e) {
            throw new IllegalStateException("cuLaunchKernel could not be called", e);
        }
    }

    /** {@code cuTensorMapEncodeTiled} of a dense F32 matrix, no interleaving, no swizzle, zeros beyond the edges. */
    static int encode(MemorySegment map, long address, long columns, long rows, int boxColumns, int boxRows) {
        MethodHandle encode = function("cuTensorMapEncodeTiled", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG,
                JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment sizes = arena.allocateFrom(JAVA_LONG, columns, rows);
            MemorySegment strides = arena.allocateFrom(JAVA_LONG, columns * Float.BYTES);
            MemorySegment box = arena.allocateFrom(JAVA_INT, boxColumns, boxRows);
            MemorySegment steps = arena.allocateFrom(JAVA_INT, 1, 1);
            // CU_TENSOR_MAP_DATA_TYPE_FLOAT32 is 7.
            return (int) encode.invokeExact(map.address(), 7, 2, address, sizes.address(), strides.address(), box.address(), steps.address(),
                    0, 0, 0, 0);
        } catch (Throwable e) {
            throw new IllegalStateException("cuTensorMapEncodeTiled could not be called", e);
        }
    }
}
