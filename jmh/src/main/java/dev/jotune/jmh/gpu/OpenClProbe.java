package dev.jotune.jmh.gpu;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jocl.CL;
import org.jocl.Pointer;
import org.jocl.cl_device_id;
import org.jocl.cl_platform_id;

/** What OpenCL's drivers say of their devices. */
final class OpenClProbe {
    private OpenClProbe() {}

    static String devices() {
        int[] count = new int[1];
        int status = CL.clGetPlatformIDs(0, null, count);
        if (status != CL.CL_SUCCESS || count[0] == 0) {
            return "a loader, but no driver registered with it (status " + status + ")";
        }
        cl_platform_id[] platforms = new cl_platform_id[count[0]];
        CL.clGetPlatformIDs(platforms.length, platforms, null);
        List<String> all = new ArrayList<>();
        for (cl_platform_id platform : platforms) {
            if (CL.clGetDeviceIDs(platform, CL.CL_DEVICE_TYPE_ALL, 0, null, count) != CL.CL_SUCCESS) {
                all.add("a platform without devices");
                continue;
            }
            cl_device_id[] devices = new cl_device_id[count[0]];
            CL.clGetDeviceIDs(platform, CL.CL_DEVICE_TYPE_ALL, devices.length, devices, null);
            for (cl_device_id device : devices) {
                String extensions = text(device, CL.CL_DEVICE_EXTENSIONS);
                long[] local = new long[1];
                CL.clGetDeviceInfo(device, CL.CL_DEVICE_LOCAL_MEM_SIZE, Long.BYTES, Pointer.to(local), null);
                all.add(text(device, CL.CL_DEVICE_NAME) + ", " + text(device, CL.CL_DEVICE_VERSION) + ", driver " + text(device, CL.CL_DRIVER_VERSION)
                        + ", half " + extensions.contains("cl_khr_fp16") + ", sub-groups " + extensions.contains("subgroups")
                        + ", local memory " + local[0]);
            }
        }
        return String.join("; ", all);
    }

    private static String text(cl_device_id device, int what) {
        long[] size = new long[1];
        CL.clGetDeviceInfo(device, what, 0, null, size);
        byte[] bytes = new byte[(int) size[0]];
        CL.clGetDeviceInfo(device, what, bytes.length, Pointer.to(bytes), null);
        return new String(bytes, 0, Math.max(0, bytes.length - 1), StandardCharsets.UTF_8).strip();
    }
}
