package dev.jotune.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import jcuda.driver.CUresult;

/**
 * The driver's library, found once a process, and the calls of it that JCuda lacks or makes slowly. Everything else goes through JCuda,
 * whose class must not be touched before {@link #load} went well: without the library its initialiser fails for good. Since the library
 * is loaded here first, JCuda's native half finds it by its name wherever it lies.
 */
final class Driver {
    /** File of the driver's library, where the system's loader would not find it. */
    static final String LIBRARY = "jotune.cuda.library";
    private static final String NAME = "libcuda.so.1";

    private Driver() {}

    private static final class Library {
        static final SymbolLookup SYMBOLS = open(System.getProperty(LIBRARY, NAME));
    }

    /** @throws UnsatisfiedLinkError naming the library if it cannot be loaded */
    static SymbolLookup open(String name) {
        try {
            return SymbolLookup.libraryLookup(name, Arena.global());
        } catch (IllegalArgumentException e) {
            UnsatisfiedLinkError missing = new UnsatisfiedLinkError(name + " cannot be loaded");
            missing.initCause(e);
            throw missing;
        }
    }

    /** @throws LinkageError if there is no driver */
    static void load() {
        if (Library.SYMBOLS == null) {
            throw new IllegalStateException("the library was found and is not there");
        }
    }

    /** A function that answers with a status. One that an old driver lacks answers that it is not supported. */
    private static MethodHandle function(String name, FunctionDescriptor type) {
        return Library.SYMBOLS.find(name).map(f -> Linker.nativeLinker().downcallHandle(f, type)).orElseGet(() ->
                MethodHandles.dropArguments(MethodHandles.constant(int.class, CUresult.CUDA_ERROR_NOT_SUPPORTED), 0,
                        type.toMethodType().parameterList()));
    }

    private static final class Launch {
        /** Function, grid, group, shared bytes, stream, parameters, extra. */
        static final MethodHandle KERNEL = function("cuLaunchKernel", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT,
                JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG));
        /** Configuration, function, parameters, extra. */
        static final MethodHandle CONFIGURED = function("cuLaunchKernelEx", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                JAVA_LONG));
    }

    private static final class Maps {
        /** Map, type, rank, address, sizes, strides, box, steps, interleaving, swizzle, promotion, fill. */
        static final MethodHandle ENCODE = function("cuTensorMapEncodeTiled", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, JAVA_LONG,
                ADDRESS, ADDRESS, ADDRESS, ADDRESS, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));
    }

    /** {@code cuLaunchKernel}: enqueues and answers with a status. */
    static int launch(long function, int x, int y, int z, int group, int shared, long stream, long parameters) {
        try {
            return (int) Launch.KERNEL.invokeExact(function, x, y, z, group, 1, 1, shared, stream, parameters, 0L);
        } catch (Throwable e) {
            throw uncallable("cuLaunchKernel", e);
        }
    }

    /** {@code cuLaunchKernelEx}, with a {@code CUlaunchConfig} at this address. */
    static int launch(long configuration, long function, long parameters) {
        try {
            return (int) Launch.CONFIGURED.invokeExact(configuration, function, parameters, 0L);
        } catch (Throwable e) {
            throw uncallable("cuLaunchKernelEx", e);
        }
    }

    /** {@code cuTensorMapEncodeTiled}, without interleaving, zeros beyond the edges. */
    static int encode(MemorySegment map, int type, int rank, long address, MemorySegment sizes, MemorySegment strides, MemorySegment box,
            MemorySegment steps, int swizzle, int promotion) {
        try {
            return (int) Maps.ENCODE.invokeExact(map, type, rank, address, sizes, strides, box, steps, 0, swizzle, promotion, 0);
        } catch (Throwable e) {
            throw uncallable("cuTensorMapEncodeTiled", e);
        }
    }

    private static IllegalStateException uncallable(String name, Throwable e) {
        return new IllegalStateException(name + " could not be called", e);
    }
}
