package dev.jotune.jmh.peer;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A native BLAS: {@code C[m,n] = A[m,k] B} in F32, row-major, with B as checkpoints hold it ({@code [n,k]}, "NT") or
 * as BLAS likes it ({@code [k,n]}, "NN"). Threads and code path are chosen by the library's own environment variables
 * ({@code MKL_NUM_THREADS}, {@code OPENBLAS_CORETYPE}, ...), which must be set before the JVM starts.
 */
public final class Blas {
    private static final int ROW_MAJOR = 101;
    private static final int NO_TRANSPOSE = 111;
    private static final int TRANSPOSE = 112;
    private static final int PACKED = 151;
    private static final int MATRIX_B = 162;

    private final String name;
    private final SymbolLookup library;
    private final MethodHandle sgemm;
    private MethodHandle compute;

    private Blas(String name, SymbolLookup library) {
        this.name = name;
        this.library = library;
        this.sgemm = function("cblas_sgemm", FunctionDescriptor.ofVoid(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT,
                JAVA_FLOAT, ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, JAVA_FLOAT, ADDRESS, JAVA_INT));
    }

    /** Intel MKL from the folder that {@code mvn -Ppeers} unpacked; empty if it is not there. */
    public static Optional<Blas> mkl(Path peers) {
        return load("MKL", peers, "libmkl_rt.so.2", List.of());
    }

    /** OpenBLAS from the folder that {@code mvn -Ppeers} unpacked; empty if it is not there. */
    public static Optional<Blas> openBlas(Path peers) {
        return load("OpenBLAS", peers, "libopenblas.so.0", List.of("libgcc_s.so.1", "libquadmath.so.0", "libgfortran.so.5"));
    }

    private static Optional<Blas> load(String name, Path peers, String file, List<String> needs) {
        if (!Files.isDirectory(peers)) {
            return Optional.empty();
        }
        try (Stream<Path> files = Files.walk(peers)) {
            Optional<Path> found = files.filter(f -> f.endsWith(file)).findFirst();
            // What it depends on first: the loader then finds it by name.
            found.ifPresent(f -> needs.forEach(n -> SymbolLookup.libraryLookup(f.resolveSibling(n), Arena.global())));
            return found.map(f -> new Blas(name, SymbolLookup.libraryLookup(f, Arena.global())));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private MethodHandle function(String symbol, FunctionDescriptor type) {
        MemorySegment address = library.find(symbol).orElseThrow(() -> new IllegalStateException(
                name + " has no function " + symbol + ". Take the version that jmh/pom.xml names."));
        return Linker.nativeLinker().downcallHandle(address, type);
    }

    /** {@code C = A B}; addresses of dense F32 matrices. {@code nt}: B lies as {@code [n,k]}. */
    public void sgemm(boolean nt, int m, int n, int k, long a, long b, long c) {
        try {
            sgemm.invokeExact(ROW_MAJOR, NO_TRANSPOSE, nt ? TRANSPOSE : NO_TRANSPOSE, m, n, k, 1f, MemorySegment.ofAddress(a), k,
                    MemorySegment.ofAddress(b), nt ? k : n, 0f, MemorySegment.ofAddress(c), n);
        } catch (Throwable e) {
            throw new IllegalStateException(name + " failed in cblas_sgemm. See the cause.", e);
        }
    }

    /** MKL's own packed form of {@code B [n,k]} for products of {@code m} rows. The memory is never freed. */
    public MemorySegment pack(int m, int n, int k, long b) {
        MethodHandle size = function("cblas_sgemm_pack_get_size", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));
        MethodHandle pack = function("cblas_sgemm_pack", FunctionDescriptor.ofVoid(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT,
                JAVA_FLOAT, ADDRESS, JAVA_INT, ADDRESS));
        compute = function("cblas_sgemm_compute", FunctionDescriptor.ofVoid(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT,
                ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, JAVA_FLOAT, ADDRESS, JAVA_INT));
        try {
            MemorySegment out = Arena.global().allocate((long) size.invokeExact(MATRIX_B, m, n, k), 64);
            pack.invokeExact(ROW_MAJOR, MATRIX_B, TRANSPOSE, m, n, k, 1f, MemorySegment.ofAddress(b), k, out);
            return out;
        } catch (Throwable e) {
            throw new IllegalStateException(name + " failed to pack a weight. See the cause.", e);
        }
    }

    /** {@code C = A B} with a B that {@link #pack} made for the same sizes. */
    public void compute(int m, int n, int k, long a, MemorySegment packed, long c) {
        try {
            compute.invokeExact(ROW_MAJOR, NO_TRANSPOSE, PACKED, m, n, k, MemorySegment.ofAddress(a), k, packed, k, 0f,
                    MemorySegment.ofAddress(c), n);
        } catch (Throwable e) {
            throw new IllegalStateException(name + " failed in cblas_sgemm_compute. See the cause.", e);
        }
    }

    /** Version and the code path it took, which it must have run once to know. */
    public String description() {
        try (Arena arena = Arena.ofConfined()) {
            if (name.equals("MKL")) {
                MemorySegment text = arena.allocate(256);
                function("MKL_Get_Version_String", FunctionDescriptor.ofVoid(ADDRESS, JAVA_INT)).invokeExact(text, 256);
                return text.getString(0).strip() + ", code of " + String.join(" and ", loaded("libmkl_(def|mc3|avx2|avx512)\\.so"));
            }
            MethodHandle config = function("openblas_get_config", FunctionDescriptor.of(
                    ADDRESS.withTargetLayout(MemoryLayout.sequenceLayout(256, JAVA_BYTE))));
            return ((MemorySegment) config.invokeExact()).getString(0).strip();
        } catch (Throwable e) {
            throw new IllegalStateException(name + " does not say what it is. See the cause.", e);
        }
    }

    /** Which libraries of a kind this process has in memory: MKL loads the one for the processor it believes in. */
    private static TreeSet<String> loaded(String pattern) throws IOException {
        TreeSet<String> names = new TreeSet<>();
        Matcher matcher = Pattern.compile(pattern).matcher(Files.readString(Path.of("/proc/self/maps")));
        while (matcher.find()) {
            names.add(matcher.group());
        }
        return names;
    }
}
