package dev.jotune.opencl;

import dev.jotune.kernel.BinaryCache;
import dev.jotune.kernel.Emitter;
import dev.jotune.kernel.KernelSource;
import dev.jotune.kernel.Target;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.UnaryOperator;
import org.jocl.CL;
import org.jocl.Pointer;
import org.jocl.Sizeof;
import org.jocl.cl_context;
import org.jocl.cl_device_id;
import org.jocl.cl_kernel;
import org.jocl.cl_program;

/** Compiles kernels for one device: once a process from memory, once a driver from {@link BinaryCache}. */
final class Programs {
    /** The floor that every driver has; half and sub-groups need no more. */
    static final String OPTIONS = "-cl-std=CL1.2";
    /** False: nothing is read or kept, and drivers are not asked for binaries, which makes some compile everything twice. */
    static final String KEEP = "jotune.opencl.keep";
    /** A log of a macro gone wrong may be megabytes long. */
    private static final int LOG = 4000;

    private final cl_context context;
    private final DeviceInfo device;
    private final Optional<BinaryCache> disk;
    private final Map<KernelSource, CompiledKernel> compiled = new ConcurrentHashMap<>();
    private final UnaryOperator<String> edit;
    private final AtomicLong builds = new AtomicLong();
    private final AtomicLong loads = new AtomicLong();

    /** @param edit what happens to a text before it is compiled: nothing, but where tests plant faults */
    Programs(cl_context context, DeviceInfo device, Optional<BinaryCache> disk, UnaryOperator<String> edit) {
        this.edit = edit;
        this.context = context;
        this.device = device;
        this.disk = disk;
    }

    /** Whether the properties want programs to be kept at all. */
    static boolean areKept() {
        return Boolean.parseBoolean(System.getProperty(KEEP, "true"));
    }

    CompiledKernel get(KernelSource source) {
        CompiledKernel known = compiled.get(source);
        return known != null ? known : compiled.computeIfAbsent(source, this::make);
    }

    /** Every kernel made so far. */
    Collection<CompiledKernel> all() {
        return List.copyOf(compiled.values());
    }

    /** Programs compiled from text. */
    long builds() {
        return builds.get();
    }

    /** Programs taken from disk. */
    long loads() {
        return loads.get();
    }

    private CompiledKernel make(KernelSource source) {
        String text = edit.apply(Emitter.emit(source, Target.OPENCL));
        String title = Emitter.title(source, text);
        cl_program program = disk.flatMap(d -> d.read(d.file(text, OPTIONS, device.identity()))).flatMap(this::fromBinary)
                .orElseGet(() -> fromText(text, title));
        int[] status = new int[1];
        cl_kernel kernel = CL.clCreateKernel(program, source.name(), status);
        Cl.check(status[0], "clCreateKernel of " + title);
        return CompiledKernel.of(source, title, kernel, device.id());
    }

    /** None if the driver does not want the binary any more; then the text is compiled. */
    private Optional<cl_program> fromBinary(byte[] binary) {
        int[] status = new int[1];
        int[] accepted = new int[1];
        cl_program program = CL.clCreateProgramWithBinary(context, 1, new cl_device_id[] {device.id()}, new long[] {binary.length},
                new byte[][] {binary}, accepted, status);
        if (status[0] != CL.CL_SUCCESS || accepted[0] != CL.CL_SUCCESS) {
            return Optional.empty();
        }
        if (build(program) != CL.CL_SUCCESS) {
            CL.clReleaseProgram(program);
            return Optional.empty();
        }
        loads.incrementAndGet();
        return Optional.of(program);
    }

    private cl_program fromText(String text, String title) {
        cl_program program = created(text, title);
        int built = build(program);
        if (built != CL.CL_SUCCESS) {
            // A signal while PoCL's compiler writes loses it its file (SignalHandlers). What is wrong with a text is wrong once more.
            CL.clReleaseProgram(program);
            program = created(text, title);
            built = build(program);
        }
        if (built != CL.CL_SUCCESS) {
            String log = log(program);
            CL.clReleaseProgram(program);
            throw new OpenClException("Kernel " + title + " does not compile on " + device.name() + " (driver " + device.driver() + "): "
                    + Cl.name(built) + ". Please report this log with the output of 'jotune devices':\n" + log);
        }
        builds.incrementAndGet();
        cl_program whole = program;
        disk.ifPresent(d -> binary(whole).ifPresent(b -> d.write(d.file(text, OPTIONS, device.identity()), b)));
        return whole;
    }

    private cl_program created(String text, String title) {
        int[] status = new int[1];
        cl_program program = CL.clCreateProgramWithSource(context, 1, new String[] {text}, new long[] {text.length()}, status);
        Cl.check(status[0], "clCreateProgramWithSource of " + title);
        return program;
    }

    private int build(cl_program program) {
        return SignalHandlers.during(() -> CL.clBuildProgram(program, 1, new cl_device_id[] {device.id()}, OPTIONS, null, null));
    }

    private String log(cl_program program) {
        long[] size = new long[1];
        if (CL.clGetProgramBuildInfo(program, device.id(), CL.CL_PROGRAM_BUILD_LOG, 0, null, size) != CL.CL_SUCCESS) {
            return "(the driver gives no log)";
        }
        byte[] bytes = new byte[(int) size[0]];
        CL.clGetProgramBuildInfo(program, device.id(), CL.CL_PROGRAM_BUILD_LOG, bytes.length, Pointer.to(bytes), null);
        String log = Cl.text(bytes);
        return log.length() > LOG ? log.substring(0, LOG) + "\n..." : log;
    }

    /** What the driver made of a program, if it tells. */
    private static Optional<byte[]> binary(cl_program program) {
        long[] size = new long[1];
        if (CL.clGetProgramInfo(program, CL.CL_PROGRAM_BINARY_SIZES, Long.BYTES, Pointer.to(size), null) != CL.CL_SUCCESS || size[0] == 0) {
            return Optional.empty();
        }
        byte[] bytes = new byte[(int) size[0]];
        int status = CL.clGetProgramInfo(program, CL.CL_PROGRAM_BINARIES, Sizeof.POINTER, Pointer.to(Pointer.to(bytes)), null);
        return status == CL.CL_SUCCESS ? Optional.of(bytes) : Optional.empty();
    }
}
