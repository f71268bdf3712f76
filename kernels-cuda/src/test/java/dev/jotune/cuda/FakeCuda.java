package dev.jotune.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * CUDA without a device: a driver and a run-time compiler made for tests, which run kernels' texts on the CPU (src/test/native). They
 * are compiled by g++ once for each content, into {@code target/emulator}, and the host code is told where they lie.
 */
final class FakeCuda {
    /** Set where a device is to be used: then nothing is faked. */
    static final String REAL = "jotune.cuda.real";
    /** Set where a compiler was installed, so that its absence is a failure. */
    private static final String REQUIRED = "jotune.cuda.required";
    private static final Path ROOT = Path.of(System.getProperty("jotune.root", ".."));
    private static final Path SOURCES = ROOT.resolve("kernels-cuda/src/test/native");
    private static final String DRIVER = "libcuda.so.1";
    private static final String COMPILER = "libnvrtc.so.13";

    private FakeCuda() {}

    private static final class Library {
        static final Path FOLDER = build();
        static final SymbolLookup SYMBOLS = SymbolLookup.libraryLookup(FOLDER.resolve(DRIVER), Arena.global());
    }

    /** Whether tests run on a device. */
    static boolean isReal() {
        return Boolean.getBoolean(REAL);
    }

    /** Builds the libraries if need be and tells the host code where they are, before it looks for others; skips the test if there is no g++. */
    static void install() {
        if (isReal()) {
            return;
        }
        boolean there = Stream.of(System.getenv("PATH").split(":")).anyMatch(p -> Files.isExecutable(Path.of(p, "g++")));
        if (!there && Boolean.getBoolean(REQUIRED)) {
            throw new AssertionError("-D" + REQUIRED + "=true, but there is no g++ on the path");
        }
        assumeTrue(there, "the CUDA emulator needs g++, which is not on the path");
        System.setProperty("jotune.cuda.library", Library.FOLDER.resolve(DRIVER).toString());
        System.setProperty("jotune.cuda.nvrtc", Library.FOLDER.resolve(COMPILER).toString());
    }

    /** Where the libraries lie. */
    static Path folder() {
        return Library.FOLDER;
    }

    /** How kernels run from now on: see {@code emulated_configure} in emulator.h. */
    static void configure(String settings) {
        try (Arena arena = Arena.ofConfined()) {
            if ((int) call("emulated_configure", JAVA_INT, arena.allocateFrom(settings)) != 0) {
                throw new IllegalArgumentException("The emulator does not understand '" + settings + "'. See emulator.h.");
            }
        }
    }

    /** What was wrong with the last launch that failed; empty if none did since {@link #forget}. */
    static String problem() {
        return ((MemorySegment) call("emulated_last_problem", ADDRESS)).reinterpret(Long.MAX_VALUE).getString(0);
    }

    /** The launches since {@link #forget}: name, grid, group, shared bytes, cluster. */
    static List<String> launches() {
        List<String> all = new ArrayList<>();
        int n = (int) call("emulated_launches", JAVA_INT);
        for (int i = 0; i < n; i++) {
            all.add(((MemorySegment) call("emulated_launched", ADDRESS, i)).reinterpret(Long.MAX_VALUE).getString(0));
        }
        return all;
    }

    /** Forgets launches and problems; of a device nothing is remembered. */
    static void forget() {
        if (isReal()) {
            return;
        }
        try {
            Linker.nativeLinker().downcallHandle(Library.SYMBOLS.find("emulated_forget").orElseThrow(), FunctionDescriptor.ofVoid()).invokeExact();
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    private static Object call(String name, MemoryLayout result, Object... arguments) {
        return call(Library.SYMBOLS, name, result, arguments);
    }

    /** Calls a function by its name: integers, longs and addresses. */
    static Object call(SymbolLookup library, String name, MemoryLayout result, Object... arguments) {
        MemoryLayout[] types = Stream.of(arguments).map(a -> a instanceof Integer ? JAVA_INT : a instanceof Long
                ? java.lang.foreign.ValueLayout.JAVA_LONG : ADDRESS).toArray(MemoryLayout[]::new);
        try {
            return Linker.nativeLinker().downcallHandle(library.find(name).orElseThrow(), FunctionDescriptor.of(result, types))
                    .invokeWithArguments(arguments);
        } catch (Throwable e) {
            throw new IllegalStateException(name + " could not be called", e);
        }
    }

    /** Everything in one folder named by what it is made of; made elsewhere and moved when it is whole, since others may do the same. */
    private static Path build() {
        try {
            List<Path> sources;
            try (Stream<Path> all = Files.list(SOURCES)) {
                sources = all.sorted().toList();
            }
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            for (Path s : sources) {
                digest.update(s.getFileName().toString().getBytes(StandardCharsets.UTF_8));
                digest.update(Files.readAllBytes(s));
            }
            Path home = ROOT.resolve("target/emulator").toAbsolutePath().normalize();
            Path folder = home.resolve(HexFormat.of().formatHex(digest.digest(), 0, 8));
            if (Files.isDirectory(folder)) {
                return folder;
            }
            Files.createDirectories(home);
            Path own = Files.createTempDirectory(home, "new");
            for (Path s : sources) {
                Files.copy(s, own.resolve(s.getFileName()));
            }
            Files.createDirectory(own.resolve("kernels"));
            // Files of one kind are compiled as one, which takes half the time; what shares a name with others stands alone.
            List<String> flags = List.of("-std=c++17", "-fno-strict-aliasing", "-fPIC", "-Wall", "-c");
            List<Process> parts = new ArrayList<>();
            parts.add(start(own, flags, includes(sources, "driver_rest.cpp"::equals), List.of("-O1", "-o", "rest.o")));
            parts.add(start(own, flags, includes(sources, "nvrtc.cpp"::equals), List.of("-O1", "-o", "nvrtc.o")));
            parts.add(start(own, flags, includes(sources, n -> n.startsWith("driver_") && !n.equals("driver_rest.cpp")),
                    List.of("-O1", "-o", "driver.o")));
            parts.add(start(own, flags, includes(sources, n -> !n.startsWith("driver_") && !n.equals("nvrtc.cpp")),
                    List.of("-O2", "-march=native", "-o", "runtime.o")));
            for (Process p : parts) {
                finish(p);
            }
            finish(start(own, List.of("-shared", "-o", DRIVER, "-Wl,-soname," + DRIVER, "rest.o", "driver.o", "runtime.o", "-ldl", "-lpthread")));
            finish(start(own, List.of("-shared", "-o", COMPILER, "-Wl,-soname," + COMPILER, "nvrtc.o", "-ldl", "-lpthread")));
            try {
                return Files.move(own, folder, StandardCopyOption.ATOMIC_MOVE);
            } catch (AtomicMoveNotSupportedException e) {
                return own;
            } catch (FileSystemException e) {
                // Another process was first.
                return folder;
            }
        } catch (IOException e) {
            throw new UncheckedIOException("The CUDA emulator cannot be built.", e);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static List<String> includes(List<Path> sources, Predicate<String> which) {
        List<String> words = new ArrayList<>();
        sources.stream().map(s -> s.getFileName().toString()).filter(n -> n.endsWith(".cpp")).filter(which)
                .forEach(n -> words.addAll(List.of("-include", n)));
        words.addAll(List.of("-x", "c++", "/dev/null"));
        return words;
    }

    @SafeVarargs
    private static Process start(Path folder, List<String>... words) throws IOException {
        List<String> command = new ArrayList<>(List.of("g++"));
        for (List<String> w : words) {
            command.addAll(w);
        }
        return new ProcessBuilder(command).directory(folder.toFile()).redirectErrorStream(true).start();
    }

    private static void finish(Process p) throws IOException {
        String said = new String(p.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        try {
            if (p.waitFor() != 0) {
                throw new AssertionError("The CUDA emulator does not compile:\n" + said);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }
}
