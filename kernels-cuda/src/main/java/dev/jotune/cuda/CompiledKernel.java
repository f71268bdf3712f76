package dev.jotune.cuda;

import dev.jotune.kernel.KernelSource;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/**
 * A kernel that the driver has loaded.
 *
 * @param title for tables and errors
 * @param dynamicShared bytes that a launch adds to what the kernel declares
 * @param cluster groups that share their memory
 * @param staticShared bytes that the kernel declares
 * @param spilled bytes of memory that an item spills to
 */
record CompiledKernel(KernelSource source, String title, Handles.Function function, int dynamicShared, int cluster, int registers,
        int staticShared, int spilled) {
    /** What every launch may have without asking. */
    private static final int SHARED_FOR_ALL = 48 << 10;

    static CompiledKernel of(KernelSource source, String title, Handles.Function function, int dynamicShared, int cluster, DeviceInfo device) {
        int fixed = number(function, CUfunction_attribute.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, title);
        if (fixed + dynamicShared > device.shared()) {
            throw new CudaException("Kernel " + title + " needs " + (fixed + dynamicShared) + " bytes of shared memory, " + device.name() + " allows "
                    + device.shared() + ". Choose another device with --device.");
        }
        int largest = number(function, CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, title);
        if (source.group() > largest) {
            throw new CudaException("Kernel " + title + " needs groups of " + source.group() + " items, " + device.name() + " allows " + largest
                    + " for it. Choose another device with --device.");
        }
        if (fixed + dynamicShared > SHARED_FOR_ALL) {
            int status = JCudaDriver.cuFuncSetAttribute(function, CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                    dynamicShared);
            Cu.check(status, "Asking for " + dynamicShared + " bytes of shared memory for kernel " + title);
        }
        return new CompiledKernel(source, title, function, dynamicShared, cluster, number(function,
                CUfunction_attribute.CU_FUNC_ATTRIBUTE_NUM_REGS, title), fixed,
                number(function, CUfunction_attribute.CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, title));
    }

    private static int number(Handles.Function function, int which, String title) {
        int[] value = new int[1];
        int status = JCudaDriver.cuFuncGetAttribute(value, which, function);
        if (status != CUresult.CUDA_SUCCESS) {
            throw Cu.failure(status, "cuFuncGetAttribute " + which + " of kernel " + title);
        }
        return value[0];
    }
}
