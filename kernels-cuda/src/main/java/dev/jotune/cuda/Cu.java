package dev.jotune.cuda;

import jcuda.driver.CUresult;

/** What every call of the driver needs: its status checked. JCuda's own exceptions stay off, since they cannot say what was attempted. */
final class Cu {
    private Cu() {}

    /** Fails unless a call went well. */
    static void check(int status, String what) {
        if (status != CUresult.CUDA_SUCCESS) {
            throw failure(status, what);
        }
    }

    static CudaException failure(int status, String what) {
        return new CudaException(what + " failed with " + name(status) + ". " + advice(status));
    }

    static String name(int status) {
        return CUresult.stringFor(status) + " (" + status + ")";
    }

    /** Whether a kernel went wrong while it ran: then nothing more can be computed in this process. */
    static boolean isFault(int status) {
        return status >= CUresult.CUDA_ERROR_ILLEGAL_ADDRESS && status <= CUresult.CUDA_ERROR_LAUNCH_FAILED
                && status != CUresult.CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    }

    private static String advice(int status) {
        if (isFault(status)) {
            return "A kernel broke off, and nothing more can be computed on this device in this process: run again with -D" + DeviceStream.WAIT
                    + "=true, which names the kernel, and report it.";
        }
        return switch (status) {
            case CUresult.CUDA_ERROR_OUT_OF_MEMORY -> "The device's memory is used up, perhaps by other processes: use a smaller batch or a shorter "
                    + "sequence.";
            case CUresult.CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES -> "The kernel needs more registers or shared memory than the device has: report "
                    + "it with the output of 'jotune devices'.";
            case CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU, CUresult.CUDA_ERROR_INVALID_IMAGE, CUresult.CUDA_ERROR_INVALID_PTX,
                    CUresult.CUDA_ERROR_UNSUPPORTED_PTX_VERSION -> "The driver does not take what was compiled: update the driver, or name an NVRTC "
                    + "of its age with -D" + NvrtcSearch.PLACE + "=FILE.";
            case CUresult.CUDA_ERROR_NOT_SUPPORTED -> "The driver is too old or the device too small for this: update the driver, or choose "
                    + "another device with --device.";
            case CUresult.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, CUresult.CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE ->
                    "libcuda.so.1 and the kernel's driver differ in version: reload the kernel's module or restart the machine.";
            case CUresult.CUDA_ERROR_SYSTEM_NOT_READY -> "The driver waits for its services: on machines whose cards are joined by NVSwitch start "
                    + "nvidia-fabricmanager, then try again.";
            case CUresult.CUDA_ERROR_ECC_UNCORRECTABLE -> "The device's memory is damaged, and nothing more can be computed on it in this process: "
                    + "choose another device with --device, and reset this one.";
            case CUresult.CUDA_ERROR_DEVICE_UNAVAILABLE -> "Another process may hold the device: try again, or choose another with --device.";
            default -> "This is a fault of the driver or of Jotune: please report it with the output of 'jotune devices'.";
        };
    }
}
