package dev.jotune.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.util.ArrayList;
import java.util.List;

/**
 * The fake driver and compiler called directly, without Jotune's host code: compiles a text, launches its kernel on arrays, copies them
 * back. One a test; its memory is checked and freed at the end.
 */
final class Emulator implements AutoCloseable {
    private static final int FULL_SHARED_LIMIT = 8;
    private static final String DEFAULTS = "schedule=forward async=lazy seed=1 capability=90 memory=4294967296 loud=yes";

    private final Arena arena = Arena.ofConfined();
    private final SymbolLookup driver;
    private final SymbolLookup compiler;
    private final List<Long> memory = new ArrayList<>();
    private long module;

    /** A launch that went wrong, or a text that does not compile. */
    static final class Failure extends RuntimeException {
        private static final long serialVersionUID = 1;

        Failure(String message) {
            super(message);
        }
    }

    /** Device memory. */
    record Pointer(long address, long bytes) {}

    /**
     * @param settings see {@code emulated_configure} in emulator.h
     */
    Emulator(String settings) {
        FakeCuda.install();
        driver = SymbolLookup.libraryLookup(FakeCuda.folder().resolve("libcuda.so.1"), arena);
        compiler = SymbolLookup.libraryLookup(FakeCuda.folder().resolve("libnvrtc.so.13"), arena);
        FakeCuda.configure(DEFAULTS + " loud=no " + settings);
        FakeCuda.forget();
        call("cuInit", 0);
        MemorySegment context = arena.allocate(ADDRESS);
        call("cuDevicePrimaryCtxRetain", context, 0);
        call("cuCtxSetCurrent", context.get(ADDRESS, 0));
    }

    /** The kernel {@code name} of a text in CUDA. */
    long kernel(String text, String name) {
        MemorySegment out = arena.allocate(ADDRESS);
        int status = (int) FakeCuda.call(compiler, "nvrtcCreateProgram", JAVA_INT, out, arena.allocateFrom(text), arena.allocateFrom(name + ".cu"), 0,
                MemorySegment.NULL, MemorySegment.NULL);
        MemorySegment program = out.get(ADDRESS, 0);
        MemorySegment options = arena.allocate(ADDRESS);
        options.set(ADDRESS, 0, arena.allocateFrom("--gpu-architecture=sm_90a"));
        status = status != 0 ? status : (int) FakeCuda.call(compiler, "nvrtcCompileProgram", JAVA_INT, program, 1, options);
        if (status != 0) {
            throw new Failure(new String(output(program, "nvrtcGetProgramLog")));
        }
        MemorySegment image = arena.allocateFrom(JAVA_BYTE, output(program, "nvrtcGetCUBIN"));
        FakeCuda.call(compiler, "nvrtcDestroyProgram", JAVA_INT, out);
        call("cuModuleLoadData", out, image);
        module = out.get(JAVA_LONG, 0);
        call("cuModuleGetFunction", out, module, arena.allocateFrom(name));
        return out.get(JAVA_LONG, 0);
    }

    private byte[] output(MemorySegment program, String what) {
        MemorySegment size = arena.allocate(JAVA_LONG);
        FakeCuda.call(compiler, what + "Size", JAVA_INT, program, size);
        MemorySegment bytes = arena.allocate(size.get(JAVA_LONG, 0));
        FakeCuda.call(compiler, what, JAVA_INT, program, bytes);
        return bytes.toArray(JAVA_BYTE);
    }

    /** Memory full of NaNs. */
    Pointer empty(long bytes) {
        MemorySegment out = arena.allocate(JAVA_LONG);
        call("cuMemAlloc_v2", out, bytes);
        memory.add(out.get(JAVA_LONG, 0));
        return new Pointer(out.get(JAVA_LONG, 0), bytes);
    }

    Pointer floats(float... values) {
        return filled(arena.allocateFrom(JAVA_FLOAT, values));
    }

    Pointer halves(short... values) {
        return filled(arena.allocateFrom(JAVA_SHORT, values));
    }

    Pointer ints(int... values) {
        return filled(arena.allocateFrom(JAVA_INT, values));
    }

    /** Frees memory before the end. */
    void free(Pointer p) {
        memory.remove(p.address());
        call("cuMemFree_v2", p.address());
    }

    private Pointer filled(MemorySegment host) {
        Pointer p = empty(host.byteSize());
        call("cuMemcpyHtoD_v2", p.address(), host, p.bytes());
        return p;
    }

    private MemorySegment read(Pointer p) {
        MemorySegment host = arena.allocate(p.bytes(), 16);
        call("cuMemcpyDtoH_v2", host, p.address(), p.bytes());
        return host;
    }

    float[] floats(Pointer p) {
        return read(p).toArray(JAVA_FLOAT);
    }

    int[] ints(Pointer p) {
        return read(p).toArray(JAVA_INT);
    }

    /**
     * A tensor map of a dense matrix.
     *
     * @param type CUtensorMapDataType
     * @param swizzle 0 none, 1 to 3 for 32, 64, 128 bytes
     */
    MemorySegment map(Pointer p, int type, int bytes, long rows, long columns, int boxRows, int boxColumns, int swizzle) {
        MemorySegment map = arena.allocate(128, 64);
        call("cuTensorMapEncodeTiled", map, type, 2, p.address(), arena.allocateFrom(JAVA_LONG, columns, rows),
                arena.allocateFrom(JAVA_LONG, columns * bytes), arena.allocateFrom(JAVA_INT, boxColumns, boxRows),
                arena.allocateFrom(JAVA_INT, 1, 1), 0, swizzle, 0, 0);
        return map;
    }

    /** Launches along x. Arguments: Pointer, Integer, Long, Float, a tensor map. Fails if the emulator saw something wrong. */
    void launch(long kernel, int groups, int items, int shared, int cluster, Object... arguments) {
        if (shared > 0) {
            call("cuFuncSetAttribute", kernel, FULL_SHARED_LIMIT, shared);
        }
        MemorySegment addresses = arena.allocate(ADDRESS, Math.max(1, arguments.length));
        for (int i = 0; i < arguments.length; i++) {
            addresses.setAtIndex(ADDRESS, i, switch (arguments[i]) {
                case Pointer p -> arena.allocateFrom(JAVA_LONG, p.address());
                case Integer n -> arena.allocateFrom(JAVA_INT, n);
                case Long n -> arena.allocateFrom(JAVA_LONG, n);
                case Float x -> arena.allocateFrom(JAVA_FLOAT, x);
                case MemorySegment map -> map;
                default -> throw new IllegalArgumentException(arguments[i] + " is no argument of a kernel.");
            });
        }
        // CUlaunchConfig: grid, group, shared bytes, stream, attributes; attribute 4 is a cluster's size.
        MemorySegment attribute = arena.allocateFrom(JAVA_INT, 4, 0, cluster, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        MemorySegment config = arena.allocate(56, 8);
        MemorySegment.copy(MemorySegment.ofArray(new int[] {groups, 1, 1, items, 1, 1, shared}), 0, config, 0, 28);
        config.set(ADDRESS, 40, attribute);
        config.set(JAVA_INT, 48, cluster > 1 ? 1 : 0);
        int status = (int) FakeCuda.call(driver, "cuLaunchKernelEx", JAVA_INT, config, kernel, addresses, MemorySegment.NULL);
        if (status != 0) {
            throw new Failure(status + ": " + FakeCuda.problem());
        }
    }

    private void call(String name, Object... arguments) {
        int status = (int) FakeCuda.call(driver, name, JAVA_INT, arguments);
        if (status != 0) {
            throw new Failure(name + " failed with " + status);
        }
    }

    @Override
    public void close() {
        for (long p : memory) {
            call("cuMemFree_v2", p);
        }
        if (module != 0) {
            call("cuModuleUnload", module);
        }
        FakeCuda.configure(DEFAULTS);
        arena.close();
    }
}
