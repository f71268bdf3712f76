package dev.jotune.opencl;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import org.jocl.CL;
import org.jocl.cl_device_id;
import org.jocl.cl_platform_id;

/**
 * One device, as its driver describes it.
 *
 * @param units that compute side by side
 * @param memory bytes
 * @param largest bytes that one buffer may have
 * @param doubles whether it computes in F64
 */
record DeviceInfo(cl_platform_id platform, cl_device_id id, String platformName, String name, String version, String driver, Kind kind,
        int units, long memory, long largest, boolean doubles) {
    /** In the order of preference. */
    enum Kind { GPU, ACCELERATOR, CPU }

    private static final double GIB = 1L << 30;

    /**
     * Every device of every platform, the most promising kind first.
     *
     * @throws OpenClException if a driver answers with an error
     * @throws LinkageError if there is no OpenCL library
     */
    static List<DeviceInfo> all() {
        SignalHandlers.remember();
        int[] count = new int[1];
        int status = CL.clGetPlatformIDs(0, null, count);
        if (status == NO_PLATFORM || status == CL.CL_SUCCESS && count[0] == 0) {
            return List.of();
        }
        Cl.check(status, "clGetPlatformIDs");
        cl_platform_id[] platforms = new cl_platform_id[count[0]];
        Cl.check(CL.clGetPlatformIDs(platforms.length, platforms, null), "clGetPlatformIDs");
        List<DeviceInfo> all = new ArrayList<>();
        for (cl_platform_id p : platforms) {
            status = CL.clGetDeviceIDs(p, CL.CL_DEVICE_TYPE_ALL, 0, null, count);
            if (status == CL.CL_SUCCESS) {
                cl_device_id[] devices = new cl_device_id[count[0]];
                Cl.check(CL.clGetDeviceIDs(p, CL.CL_DEVICE_TYPE_ALL, devices.length, devices, null), "clGetDeviceIDs");
                for (cl_device_id d : devices) {
                    if (Cl.count(d, CL.CL_DEVICE_AVAILABLE) != 0 && Cl.count(d, CL.CL_DEVICE_COMPILER_AVAILABLE) != 0) {
                        all.add(of(p, d));
                    }
                }
            }
        }
        all.sort(Comparator.comparing(DeviceInfo::kind));
        return all;
    }

    /** CL_PLATFORM_NOT_FOUND_KHR: there is a loader, and no driver is registered with it. */
    private static final int NO_PLATFORM = -1001;

    private static DeviceInfo of(cl_platform_id platform, cl_device_id d) {
        long type = Cl.number(d, CL.CL_DEVICE_TYPE);
        Kind kind = (type & CL.CL_DEVICE_TYPE_GPU) != 0 ? Kind.GPU : (type & CL.CL_DEVICE_TYPE_CPU) != 0 ? Kind.CPU : Kind.ACCELERATOR;
        return new DeviceInfo(platform, d, Cl.text(platform, CL.CL_PLATFORM_NAME), Cl.text(d, CL.CL_DEVICE_NAME),
                Cl.text(d, CL.CL_DEVICE_VERSION), Cl.text(d, CL.CL_DRIVER_VERSION), kind, Cl.count(d, CL.CL_DEVICE_MAX_COMPUTE_UNITS),
                Cl.number(d, CL.CL_DEVICE_GLOBAL_MEM_SIZE), Cl.number(d, CL.CL_DEVICE_MAX_MEM_ALLOC_SIZE),
                Cl.text(d, CL.CL_DEVICE_EXTENSIONS).contains("cl_khr_fp64"));
    }

    String description() {
        return name + " (" + kind + ", " + units + " units, " + String.format(Locale.ROOT, "%.1f", memory / GIB) + " GiB, " + platformName + ", "
                + version.split(" \\(")[0] + ", driver " + driver + ")";
    }

    /** Tells this device, its driver and compiler from every other, for what is kept on disk. */
    String identity() {
        return String.join("\n", platformName, name, version, driver);
    }
}
