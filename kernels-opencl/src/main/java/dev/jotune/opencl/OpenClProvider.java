package dev.jotune.opencl;

import dev.jotune.kernel.DeviceProvider;
import dev.jotune.tensor.Backend;
import java.util.List;
import java.util.function.Supplier;

/** Offers the OpenCL devices of this machine. Looking for them loads the library and asks its drivers, which takes some 150 ms. */
public final class OpenClProvider extends DeviceProvider<DeviceInfo> {
    /** Which devices are offered. */
    static final String CHOICE = "jotune.opencl";

    private static final int GPU_PRIORITY = 10;
    /** Behind the CPU's own backend and the reference. */
    private static final int OTHER_PRIORITY = -10;

    /** For {@link java.util.ServiceLoader}. */
    public OpenClProvider() {
        this(DeviceInfo::all);
    }

    /** With another way to find devices, for tests. */
    OpenClProvider(Supplier<List<DeviceInfo>> search) {
        super("opencl", search);
    }

    @Override
    protected String label(DeviceInfo device) {
        return device.name();
    }

    @Override
    protected Backend open(String name, DeviceInfo device) {
        return new OpenClBackend(name, device);
    }

    @Override
    protected String withoutLibrary(String reason) {
        return "the OpenCL library (libOpenCL.so.1) or JOCL's native half could not be loaded: " + reason;
    }

    @Override
    protected String withoutDevices() {
        return "the OpenCL library is there, but no driver offers a device. On Linux drivers are registered in /etc/OpenCL/vendors";
    }

    /** Above the CPU only where there is a GPU. */
    @Override
    protected int priority(List<DeviceInfo> offered) {
        return offered.stream().anyMatch(d -> d.kind() == DeviceInfo.Kind.GPU) ? GPU_PRIORITY : OTHER_PRIORITY;
    }
}
