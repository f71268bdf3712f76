package dev.jotune.opencl;

import dev.jotune.kernel.KernelSource;
import dev.jotune.kernel.Param;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import org.jocl.CL;
import org.jocl.Pointer;
import org.jocl.Sizeof;
import org.jocl.cl_device_id;
import org.jocl.cl_kernel;

/**
 * A kernel ready to run. Its arguments are state of the driver's object, so whoever sets them holds this one's monitor until the
 * launch is enqueued.
 *
 * @param localMemory bytes of shared memory that a group takes
 * @param privateMemory bytes of memory that an item spills to, as far as the driver says
 * @param largestGroup items that a group may have at most
 */
record CompiledKernel(KernelSource source, String title, cl_kernel kernel, long localMemory, long privateMemory, long largestGroup) {
    static CompiledKernel of(KernelSource source, String title, cl_kernel kernel, cl_device_id device) {
        long largest = number(kernel, device, CL.CL_KERNEL_WORK_GROUP_SIZE);
        if (source.group() > largest) {
            throw new OpenClException("Kernel " + title + " needs groups of " + source.group() + " items, the device allows " + largest
                    + " for it. Choose another device with --device.");
        }
        return new CompiledKernel(source, title, kernel, number(kernel, device, CL.CL_KERNEL_LOCAL_MEM_SIZE),
                number(kernel, device, CL.CL_KERNEL_PRIVATE_MEM_SIZE), largest);
    }

    private static long number(cl_kernel kernel, cl_device_id device, int what) {
        long[] value = new long[1];
        Cl.check(CL.clGetKernelWorkGroupInfo(kernel, device, what, Long.BYTES, Pointer.to(value), null), "clGetKernelWorkGroupInfo");
        return value[0];
    }

    /** Sets all arguments: for a buffer its memory and offset, for a number itself. Call with this object's monitor held. */
    void arguments(Object... arguments) {
        int i = 0;
        int at = 0;
        if (arguments.length != source.params().size()) {
            throw new IllegalArgumentException("Kernel " + title + " has " + source.params().size() + " parameters, got " + arguments.length
                    + " arguments. Pass one for each.");
        }
        for (Param p : source.params()) {
            Object value = arguments[i++];
            switch (p) {
                case Param.Buffer b -> {
                    Tensor t = (Tensor) value;
                    set(at++, Sizeof.cl_mem, Pointer.to(Buffers.of(t).block()));
                    set(at++, Long.BYTES, Pointer.to(new long[] {t.offset()}));
                }
                case Param.Int n -> set(at++, Integer.BYTES, Pointer.to(new int[] {((Number) value).intValue()}));
                case Param.Long n -> set(at++, Long.BYTES, Pointer.to(new long[] {((Number) value).longValue()}));
                case Param.TensorMap m -> throw new IllegalArgumentException("OpenCL has no tensor maps, which kernel " + source.name()
                        + " wants. Run it on a CUDA device.");
                case Param.Real r -> {
                    if (source.arithmetic() == DType.F64) {
                        set(at++, Double.BYTES, Pointer.to(new double[] {((Number) value).doubleValue()}));
                    } else {
                        set(at++, Float.BYTES, Pointer.to(new float[] {((Number) value).floatValue()}));
                    }
                }
            }
        }
    }

    private void set(int index, long size, Pointer value) {
        int status = CL.clSetKernelArg(kernel, index, size, value);
        if (status != CL.CL_SUCCESS) {
            throw new OpenClException("Argument " + index + " of kernel " + title + " was refused with " + Cl.name(status)
                    + ". Its parameters are " + source.params() + ": pass values of these types.");
        }
    }
}
