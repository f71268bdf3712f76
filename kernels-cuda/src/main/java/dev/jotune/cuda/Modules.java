package dev.jotune.cuda;

import dev.jotune.kernel.BinaryCache;
import dev.jotune.kernel.Emitter;
import dev.jotune.kernel.KernelSource;
import dev.jotune.kernel.Target;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/**
 * Compiles kernels for one device: once a process from memory, once a machine from disk. With NVRTC for the very chip; where there is none,
 * from text for the driver's compiler that came with the jar.
 */
final class Modules {
    /** For the compiler, beside the chip. */
    static final List<String> OPTIONS = List.of("--std=c++17");

    /** Set where a compiler is there and kernels that were compiled ahead are to be taken all the same, to save its time. */
    private static final String AHEAD = "jotune.cuda.ahead";

    private final DeviceInfo device;
    private final Context context;
    private final Optional<Nvrtc> compiler;
    private final String note;
    private final BinaryCache disk;
    private final UnaryOperator<String> edit;
    private final Map<KernelSource, CompiledKernel> portable = new ConcurrentHashMap<>();
    private final Map<CudaSource, CompiledKernel> own = new ConcurrentHashMap<>();
    private final AtomicLong builds = new AtomicLong();
    private final AtomicLong loads = new AtomicLong();

    /**
     * @param compiler if there is one
     * @param note why there is none
     * @param edit what happens to a text before it is compiled: nothing, but where tests plant faults
     */
    Modules(DeviceInfo device, Context context, Optional<Nvrtc> compiler, String note, BinaryCache disk, UnaryOperator<String> edit) {
        this.device = device;
        this.context = context;
        this.compiler = compiler;
        this.note = note;
        this.disk = disk;
        this.edit = edit;
    }

    CompiledKernel get(KernelSource source) {
        ThreadState thread = ThreadState.get();
        CompiledKernel known = thread.recent(source, this);
        if (known != null) {
            return known;
        }
        return thread.remember(source, this,
                portable.computeIfAbsent(source, s -> make(s, Emitter.emit(s, Target.CUDA), CudaSource.Chip.SM80, 0, 1)));
    }

    CompiledKernel get(CudaSource source) {
        ThreadState thread = ThreadState.get();
        CompiledKernel known = thread.recent(source, this);
        return known != null ? known : thread.remember(source, this, own.computeIfAbsent(source, this::make));
    }

    private CompiledKernel make(CudaSource source) {
        CudaSource.Chip chip = source.chip();
        boolean runs = chip == CudaSource.Chip.SM90A ? device.capability() == chip.capability() : device.capability() >= chip.capability();
        if (!runs) {
            throw new CudaException("Kernel " + source.kernel().name() + " is for " + chip.architecture() + " and cannot run on " + device.name()
                    + " of compute capability " + device.capability() / 10 + "." + device.capability() % 10
                    + ". Ask Chip before choosing a kernel.");
        }
        return make(source.kernel(), source.emit(), chip, source.sharedBytes(), source.cluster());
    }

    /** Every kernel made so far. */
    Collection<CompiledKernel> all() {
        return Stream.concat(portable.values().stream(), own.values().stream()).toList();
    }

    /** Kernels compiled from text. */
    long builds() {
        return builds.get();
    }

    /** Kernels taken from disk. */
    long loads() {
        return loads.get();
    }

    private CompiledKernel make(KernelSource source, String emitted, CudaSource.Chip chip, int shared, int cluster) {
        context.enter();
        EmbeddedPtx.record(emitted, chip);
        String text = edit.apply(emitted);
        String title = Emitter.title(source, text);
        Optional<byte[]> ahead = compiler.isEmpty() || Boolean.getBoolean(AHEAD) ? EmbeddedPtx.find(text) : Optional.empty();
        CUmodule module = ahead.isPresent() ? embedded(ahead.get(), title) : compiled(compiler.orElseThrow(() -> missing(title)), text, title);
        Handles.Function function = new Handles.Function();
        Cu.check(JCudaDriver.cuModuleGetFunction(function, module, source.name()), "cuModuleGetFunction of " + title);
        return CompiledKernel.of(source, title, function, shared, cluster, device);
    }

    private CUmodule compiled(Nvrtc nvrtc, String text, String title) {
        Nvrtc.Goal goal = nvrtc.goal(device.capability());
        Path file = disk.file(text, goal.option(), String.join(" ", OPTIONS), nvrtc.version());
        Optional<byte[]> kept = disk.read(file);
        CUmodule module = new CUmodule();
        // What the driver does not want any more is made anew.
        if (kept.isPresent() && JCudaDriver.cuModuleLoadData(module, kept.get()) == CUresult.CUDA_SUCCESS) {
            loads.incrementAndGet();
            return module;
        }
        byte[] made = nvrtc.compile(text, title, goal, OPTIONS);
        Cu.check(JCudaDriver.cuModuleLoadData(module, made), "Loading kernel " + title + ", compiled by NVRTC " + nvrtc.version() + " with "
                + goal.option() + ", on " + device.name());
        builds.incrementAndGet();
        disk.write(file, made);
        return module;
    }

    private CudaException missing(String title) {
        return new CudaException("Kernel " + title + " must be compiled, and " + note + ". Install CUDA's NVRTC (the Python package "
                + "nvidia-cuda-nvrtc will do), or name its file with -D" + NvrtcSearch.PLACE + "=FILE.");
    }

    private CUmodule embedded(byte[] ptx, String title) {
        CUmodule module = new CUmodule();
        Cu.check(JCudaDriver.cuModuleLoadData(module, ptx), "Loading kernel " + title + ", compiled ahead for all chips, on " + device.name());
        loads.incrementAndGet();
        return module;
    }
}
