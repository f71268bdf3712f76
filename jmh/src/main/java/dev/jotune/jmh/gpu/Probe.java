package dev.jotune.jmh.gpu;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.BackendProvider;
import dev.jotune.tensor.Backends;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;

/**
 * Asks a machine with a GPU what only it can answer: {@code Probe FOLDER KERNELS [NVRTC FILES...]}, KERNELS the folder with what {@code
 * pack.sh} compiled of {@code probe.cu}. Each answer is a line of the results; what fails is an answer too. It uses neither this project's
 * backend nor its kernels, so that it tells apart what they get wrong and what the machine does not do.
 */
public final class Probe {
    private final Results results;

    private Probe(Results results) {
        this.results = results;
    }

    public static void main(String[] args) {
        Probe probe = new Probe(new Results(Path.of(args[0])));
        List<Path> nvrtc = Stream.of(args).skip(2).map(Path::of).toList();
        probe.ask("Which backends does Jotune find?", Probe::backends);
        probe.ask("Where does libcuda lie, and does a bare JVM find it?", () -> where("libcuda.so.1"));
        probe.ask("Which NVRTC is there, and does a bare JVM find it?", () -> nvrtc(nvrtc));
        if (found("libcuda.so.1")) {
            CudaProbe.run(probe, Path.of(args[1]));
        }
        if (found("libOpenCL.so.1")) {
            probe.ask("OpenCL: which driver, which version, half, local memory, sub-groups?", OpenClProbe::devices);
        } else {
            probe.answer("OpenCL: which driver, which version, half, local memory, sub-groups?", "no libOpenCL.so.1 on the loader's path");
        }
    }

    /** Notes the answer, or how finding it failed. */
    void ask(String question, Callable<String> answer) {
        String text;
        try {
            text = answer.call();
        } catch (Exception | LinkageError e) {
            text = "failed: " + e;
        }
        answer(question, text);
    }

    void answer(String question, String answer) {
        System.err.println(question + " " + answer);
        results.add(Results.object().put("question", question).put("answer", answer));
    }

    private static String backends() {
        List<String> all = new ArrayList<>();
        for (BackendProvider p : Backends.providers()) {
            for (Backend b : p.backends()) {
                all.add(b.name() + " (" + b.description() + ")");
            }
            if (!p.note().isEmpty()) {
                all.add(p.kind() + ": " + p.note());
            }
        }
        return String.join("; ", all);
    }

    static boolean found(String library) {
        try {
            SymbolLookup.libraryLookup(library, Arena.global());
            return true;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    private static String where(String library) throws IOException {
        if (!found(library)) {
            return "not on the loader's path";
        }
        String name = library.substring(0, library.indexOf(".so"));
        try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
            return "found: " + maps.filter(l -> l.contains(name)).map(l -> l.substring(l.indexOf('/'))).findFirst().orElse("?");
        }
    }

    private static String nvrtc(List<Path> named) {
        List<String> all = new ArrayList<>();
        for (String name : List.of("libnvrtc.so.13", "libnvrtc.so.12")) {
            all.add(found(name) ? name + " on the loader's path, version " + version(name) : name + " not on the loader's path");
        }
        for (Path file : named) {
            try {
                all.add(file + ", version " + version(file.toString()));
            } catch (IllegalArgumentException e) {
                all.add(file + " cannot be loaded");
            }
        }
        return String.join("; ", all);
    }

    private static String version(String library) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment two = arena.allocate(2 * Integer.BYTES);
            SymbolLookup symbols = library.startsWith("/") ? SymbolLookup.libraryLookup(Path.of(library), Arena.global())
                    : SymbolLookup.libraryLookup(library, Arena.global());
            MethodHandle ask = Linker.nativeLinker().downcallHandle(symbols.find("nvrtcVersion").orElseThrow(),
                    FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS));
            int status = (int) ask.invokeExact(two, two.asSlice(Integer.BYTES));
            return status == 0 ? two.get(ValueLayout.JAVA_INT, 0) + "." + two.get(ValueLayout.JAVA_INT, Integer.BYTES) : "unknown, status " + status;
        } catch (IllegalArgumentException e) {
            throw e;
        } catch (Throwable e) {
            return "unknown: " + e;
        }
    }
}
