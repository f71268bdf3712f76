package dev.jotune.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** NVIDIA's run-time compiler, version 12 or 13, through {@code java.lang.foreign}: no other library is bound to either version. */
final class Nvrtc {
    /** A log of a macro gone wrong may be megabytes long. */
    private static final int LOG = 4000;
    private static final int HOPPER = 90;
    private static final MemoryLayout[] NOTHING = {};

    private final String place;
    private final SymbolLookup library;
    private final String version;
    private final int[] architectures;
    private final MethodHandle compile;

    /** What is asked of the compiler, and whether it makes machine code of one chip or text for the driver's own compiler. */
    record Goal(String option, boolean machineCode) {}

    /** No compiler, and where it was looked for. */
    static final class Missing extends Exception {
        private static final long serialVersionUID = 1;

        Missing(String message) {
            super(message);
        }
    }

    private Nvrtc(String place, SymbolLookup library) {
        this.place = place;
        this.library = library;
        this.compile = function("nvrtcCompileProgram", ADDRESS, JAVA_INT, ADDRESS);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment major = arena.allocate(JAVA_INT);
            MemorySegment minor = arena.allocate(JAVA_INT);
            check(call("nvrtcVersion", major, minor), "nvrtcVersion");
            version = major.get(JAVA_INT, 0) + "." + minor.get(JAVA_INT, 0);
            check(call("nvrtcGetNumSupportedArchs", major), "nvrtcGetNumSupportedArchs");
            MemorySegment all = arena.allocate(JAVA_INT, Math.max(1, major.get(JAVA_INT, 0)));
            check(call("nvrtcGetSupportedArchs", all), "nvrtcGetSupportedArchs");
            architectures = Arrays.copyOf(all.toArray(JAVA_INT), major.get(JAVA_INT, 0));
            Arrays.sort(architectures);
        }
    }

    /**
     * The first that loads.
     *
     * @throws Missing saying what was tried
     */
    static Nvrtc find(NvrtcSearch search) throws Missing {
        List<String> tried = new ArrayList<>();
        for (String candidate : search.candidates()) {
            try {
                return open(candidate);
            } catch (IllegalArgumentException | CudaException e) {
                tried.add(candidate);
            }
        }
        throw new Missing("no NVRTC could be loaded; tried " + String.join(", ", tried));
    }

    private static Nvrtc open(String candidate) {
        Path folder = Path.of(candidate).getParent();
        if (folder != null) {
            // The library opens these by name when it first compiles, and gives up if their folder is not on the loader's path.
            try (DirectoryStream<Path> builtins = Files.newDirectoryStream(folder, "libnvrtc-builtins.so*")) {
                builtins.forEach(b -> SymbolLookup.libraryLookup(b, Arena.global()));
            } catch (IOException e) {
                throw new IllegalArgumentException(candidate + " cannot be read", e);
            }
        }
        return new Nvrtc(candidate, SymbolLookup.libraryLookup(candidate, Arena.global()));
    }

    private MethodHandle function(String name, MemoryLayout... parameters) {
        MemorySegment symbol = library.find(name).orElseThrow(() -> new CudaException(place + " has no function " + name
                + ". Name another NVRTC with -D" + NvrtcSearch.PLACE + "=FILE."));
        return Linker.nativeLinker().downcallHandle(symbol, FunctionDescriptor.of(JAVA_INT, parameters));
    }

    /** Calls a function of pointers only. */
    private int call(String name, MemorySegment... pointers) {
        MemoryLayout[] types = new MemoryLayout[pointers.length];
        Arrays.fill(types, ADDRESS);
        try {
            return (int) function(name, types.length == 0 ? NOTHING : types).invokeWithArguments((Object[]) pointers);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(name + " could not be called", e);
        }
    }

    private void check(int status, String what) {
        if (status != 0) {
            throw new CudaException(what + " failed with code " + status + " of NVRTC in " + place + ". Name another with -D" + NvrtcSearch.PLACE
                    + "=FILE.");
        }
    }

    /** Major and minor number. */
    String version() {
        return version;
    }

    /** Where it was found. */
    String place() {
        return place;
    }

    /** Compute capabilities that it compiles for, times ten. */
    int[] architectures() {
        return architectures.clone();
    }

    /**
     * Machine code if the compiler knows the chip, else text for the newest chip before it, which the driver compiles further.
     *
     * @param capability of the device, times ten
     */
    Goal goal(int capability) {
        return goal(capability, architectures, version);
    }

    static Goal goal(int capability, int[] architectures, String version) {
        if (Arrays.stream(architectures).anyMatch(a -> a == capability)) {
            // What only this one generation has, wgmma above all, asks for the letter.
            return new Goal("--gpu-architecture=sm_" + capability + (capability == HOPPER ? "a" : ""), true);
        }
        int below = Arrays.stream(architectures).filter(a -> a < capability).max().orElseThrow(() -> new CudaException("NVRTC " + version
                + " cannot compile for compute capability " + capability / 10 + "." + capability % 10 + ", only for " + Arrays.toString(architectures)
                + ". Name an older one with -D" + NvrtcSearch.PLACE + "=FILE."));
        return new Goal("--gpu-architecture=compute_" + below, false);
    }

    /**
     * Compiles one kernel.
     *
     * @param title for the error
     * @return machine code, or text that ends with a zero
     */
    synchronized byte[] compile(String text, String title, Goal goal, List<String> options) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment program = arena.allocate(ADDRESS);
            check(create(program, arena.allocateFrom(text), arena.allocateFrom(title + ".cu")), "nvrtcCreateProgram of " + title);
            MemorySegment handle = program.get(ADDRESS, 0);
            try {
                MemorySegment names = arena.allocate(ADDRESS, options.size() + 1L);
                names.setAtIndex(ADDRESS, 0, arena.allocateFrom(goal.option()));
                for (int i = 0; i < options.size(); i++) {
                    names.setAtIndex(ADDRESS, i + 1L, arena.allocateFrom(options.get(i)));
                }
                int status = (int) compile.invokeExact(handle, options.size() + 1, names);
                if (status != 0) {
                    throw new CudaException("Kernel " + title + " does not compile with NVRTC " + version + " (" + place + "), " + goal.option()
                            + ": code " + status + ". Please report this log with the output of 'jotune devices':\n" + log(arena, handle));
                }
                String kind = goal.machineCode() ? "CUBIN" : "PTX";
                return output(arena, handle, "nvrtcGet" + kind + "Size", "nvrtcGet" + kind);
            } finally {
                check(call("nvrtcDestroyProgram", program), "nvrtcDestroyProgram of " + title);
            }
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException("nvrtcCompileProgram could not be called", e);
        }
    }

    private int create(MemorySegment program, MemorySegment text, MemorySegment name) {
        try {
            MethodHandle create = function("nvrtcCreateProgram", ADDRESS, ADDRESS, ADDRESS, JAVA_INT, ADDRESS, ADDRESS);
            return (int) create.invokeExact(program, text, name, 0, MemorySegment.NULL, MemorySegment.NULL);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException("nvrtcCreateProgram could not be called", e);
        }
    }

    private byte[] output(Arena arena, MemorySegment handle, String sizeOf, String get) {
        MemorySegment size = arena.allocate(JAVA_LONG);
        check(call(sizeOf, handle, size), sizeOf);
        MemorySegment bytes = arena.allocate(Math.max(1, size.get(JAVA_LONG, 0)));
        check(call(get, handle, bytes), get);
        return bytes.asSlice(0, size.get(JAVA_LONG, 0)).toArray(JAVA_BYTE);
    }

    private String log(Arena arena, MemorySegment handle) {
        byte[] bytes = output(arena, handle, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog");
        String log = new String(bytes, StandardCharsets.UTF_8).replace("\0", "").strip();
        return log.length() > LOG ? log.substring(0, LOG) + "\n..." : log;
    }
}
