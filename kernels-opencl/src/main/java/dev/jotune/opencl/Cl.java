package dev.jotune.opencl;

import static org.jocl.CL.CL_SUCCESS;

import java.nio.charset.StandardCharsets;
import org.jocl.CL;
import org.jocl.Pointer;
import org.jocl.Sizeof;
import org.jocl.cl_device_id;
import org.jocl.cl_platform_id;

/** What every call of OpenCL needs: its status checked, its answers as Java values. */
final class Cl {
    private Cl() {}

    /** Fails unless a call went well; JOCL's own exceptions stay off, since they cannot say what was attempted. */
    static void check(int status, String what) {
        if (status != CL_SUCCESS) {
            throw new OpenClException(what + " failed with " + name(status) + ". " + advice(status));
        }
    }

    static String name(int status) {
        return CL.stringFor_errorCode(status) + " (" + status + ")";
    }

    private static String advice(int status) {
        return switch (status) {
            case CL.CL_MEM_OBJECT_ALLOCATION_FAILURE, CL.CL_OUT_OF_RESOURCES, CL.CL_OUT_OF_HOST_MEMORY ->
                    "The device or its driver ran out of memory or registers: use a smaller batch or a shorter sequence.";
            case CL.CL_DEVICE_NOT_AVAILABLE -> "Another process may hold the device: try again, or choose another with --device.";
            default -> "This is a fault of the driver or of Jotune: please report it with the output of 'jotune devices'.";
        };
    }

    static String text(cl_device_id device, int what) {
        long[] size = new long[1];
        check(CL.clGetDeviceInfo(device, what, 0, null, size), "clGetDeviceInfo");
        byte[] bytes = new byte[(int) size[0]];
        check(CL.clGetDeviceInfo(device, what, bytes.length, Pointer.to(bytes), null), "clGetDeviceInfo");
        return text(bytes);
    }

    static String text(cl_platform_id platform, int what) {
        long[] size = new long[1];
        check(CL.clGetPlatformInfo(platform, what, 0, null, size), "clGetPlatformInfo");
        byte[] bytes = new byte[(int) size[0]];
        check(CL.clGetPlatformInfo(platform, what, bytes.length, Pointer.to(bytes), null), "clGetPlatformInfo");
        return text(bytes);
    }

    /** Up to the closing zero. */
    static String text(byte[] bytes) {
        int n = 0;
        while (n < bytes.length && bytes[n] != 0) {
            n++;
        }
        return new String(bytes, 0, n, StandardCharsets.UTF_8).strip();
    }

    /** An answer of 64 bits: sizes of memory, sets of flags. */
    static long number(cl_device_id device, int what) {
        long[] value = new long[1];
        check(CL.clGetDeviceInfo(device, what, Long.BYTES, Pointer.to(value), null), "clGetDeviceInfo");
        return value[0];
    }

    /** An answer of 32 bits. */
    static int count(cl_device_id device, int what) {
        int[] value = new int[1];
        check(CL.clGetDeviceInfo(device, what, Sizeof.cl_uint, Pointer.to(value), null), "clGetDeviceInfo");
        return value[0];
    }
}
