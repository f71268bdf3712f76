package dev.jotune.cuda;

import dev.jotune.kernel.Emitter;
import dev.jotune.kernel.KernelSource;
import dev.jotune.kernel.Param;
import dev.jotune.kernel.Target;
import dev.jotune.tensor.DType;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A kernel for CUDA alone: in the dialect of {@link KernelSource}, with the words of {@code ptx.h} beside it (tensor cores, asynchronous
 * copies, their barriers). Inline PTX stands in {@code ptx.h} and nowhere else, so that an emulator can give the same words a
 * meaning on a CPU.
 *
 * @param kernel text, parameters, sizes; its group may have up to 1024 items
 * @param sharedBytes of dynamic shared memory, which the text declares by {@code DYNAMIC_SHARED(name);}
 * @param chip the least that it runs on
 * @param cluster groups that share their memory; 1: none do
 */
record CudaSource(KernelSource kernel, int sharedBytes, Chip chip, int cluster) {
    /** What compute capability 9.0 allows one group. */
    static final int MAX_SHARED = 227 * 1024;

    /** A step of what chips can do that kernels differ by. */
    enum Chip {
        /** Tensor cores fed by warps ({@code mma.sync}) and asynchronous copies. */
        SM80("sm_80", 80),
        /** Tensor cores fed from shared memory by groups of four warps ({@code wgmma}), bulk copies of boxes (TMA). Its code runs on 9.0 only. */
        SM90A("sm_90a", 90);

        private final String architecture;
        private final int capability;

        Chip(String architecture, int capability) {
            this.architecture = architecture;
            this.capability = capability;
        }

        /** As compilers call it. */
        String architecture() {
            return architecture;
        }

        /** Major times ten plus minor. */
        int capability() {
            return capability;
        }
    }

    CudaSource {
        if (sharedBytes < 0 || sharedBytes > MAX_SHARED) {
            throw new IllegalArgumentException("Kernel " + kernel.name() + " asks for " + sharedBytes + " bytes of shared memory. Use 0 to "
                    + MAX_SHARED + ".");
        }
    }

    /** A kernel whose text is the resource {@code name + ".cu"} beside this class, without clusters. */
    static CudaSource of(String name, List<Param> params, Map<String, Integer> defines, int threads, int sharedBytes, Chip chip) {
        return of("", name, params, defines, threads, sharedBytes, chip);
    }

    /** The same with a text before it, by which kernels share functions. */
    static CudaSource of(String shared, String name, List<Param> params, Map<String, Integer> defines, int threads, int sharedBytes, Chip chip) {
        String text = shared + resource(name + ".cu");
        return new CudaSource(new KernelSource(name, text, params, new TreeMap<>(defines), threads, DType.F32), sharedBytes, chip, 1);
    }

    /** The whole text for a CUDA compiler. */
    String emit() {
        return Emitter.emit(kernel, Target.CUDA, resource("ptx.h"));
    }

    /** A text beside this class, with what it includes. */
    static String resource(String name) {
        try (InputStream in = CudaSource.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new IllegalStateException("The kernel text " + name + " is missing. The jar is incomplete.");
            }
            return KernelSource.whole(new String(in.readAllBytes(), StandardCharsets.UTF_8), CudaSource::resource);
        } catch (IOException e) {
            throw new UncheckedIOException("The kernel text " + name + " cannot be read.", e);
        }
    }
}
