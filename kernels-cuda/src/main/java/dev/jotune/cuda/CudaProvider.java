package dev.jotune.cuda;

import dev.jotune.kernel.DeviceProvider;
import dev.jotune.tensor.Backend;
import java.util.List;
import java.util.Optional;
import java.util.function.IntFunction;
import java.util.function.Supplier;

/**
 * Offers the CUDA devices of this machine. Looking for them loads the driver's library and asks it, and looks for a compiler; no context is
 * made.
 */
public final class CudaProvider extends DeviceProvider<DeviceInfo> {
    /** Before the same device through OpenCL. */
    private static final int PRIORITY = 20;
    /** Behind the CPU's own backend and the reference. */
    private static final int NOTHING = -10;

    private final IntFunction<Optional<String>> compiler;
    private boolean compiles;

    /** For {@link java.util.ServiceLoader}. */
    public CudaProvider() {
        this(DeviceInfo::all, CudaProvider::whyNone);
    }

    /** With another way to find devices, for tests, which need no compiler. */
    CudaProvider(Supplier<List<DeviceInfo>> search) {
        this(search, driver -> Optional.empty());
    }

    /**
     * With other ways to find devices and a compiler.
     *
     * @param compiler for a driver of some version: why there is none, empty if there is one
     */
    CudaProvider(Supplier<List<DeviceInfo>> search, IntFunction<Optional<String>> compiler) {
        super("cuda", search);
        this.compiler = compiler;
    }

    private static Optional<String> whyNone(int driver) {
        try {
            Nvrtc.find(new NvrtcSearch(System.getProperty(NvrtcSearch.PLACE, ""), System.getenv(), driver));
            return Optional.empty();
        } catch (Nvrtc.Missing e) {
            return Optional.of(e.getMessage());
        }
    }

    /** Without a compiler some models run and others do not, so the devices are offered, but behind the CPU. One may be named later. */
    @Override
    protected String limits(List<DeviceInfo> offered) {
        Optional<String> none = compiler.apply(offered.getFirst().driver());
        compiles = none.isEmpty();
        return none.map(why -> "has no kernels but those compiled ahead, which tune and run Llamas with common methods: " + why
                + ". Install the Python package nvidia-cuda-nvrtc, or name its file with -D" + NvrtcSearch.PLACE + "=FILE").orElse("");
    }

    @Override
    protected String label(DeviceInfo device) {
        return device.name();
    }

    @Override
    protected Backend open(String name, DeviceInfo device) {
        return new CudaBackend(name, device);
    }

    @Override
    protected String withoutLibrary(String reason) {
        return "NVIDIA's driver (libcuda.so.1) or JCuda's native half could not be loaded: " + reason;
    }

    @Override
    protected String withoutDevices() {
        return "NVIDIA's driver is there, but offers no device; CUDA_VISIBLE_DEVICES may hide them";
    }

    @Override
    protected int priority(List<DeviceInfo> offered) {
        return offered.isEmpty() || !compiles ? NOTHING : PRIORITY;
    }
}
