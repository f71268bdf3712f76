package dev.jotune.opencl;

import dev.jotune.kernel.DeviceMemory;
import dev.jotune.kernel.DeviceStorage;
import dev.jotune.tensor.BlockPool;
import dev.jotune.tensor.Tensor;
import java.util.Optional;
import org.jocl.CL;
import org.jocl.cl_context;
import org.jocl.cl_mem;

/** A driver's buffers, as blocks of a {@link DeviceMemory}. */
record Buffers(String device, cl_context context) implements BlockPool.Source<cl_mem> {
    /** Bytes of the device that may be used. */
    static final String LIMIT = "jotune.opencl.memory";

    static DeviceMemory<cl_mem> memory(String device, cl_context context, DeviceInfo info) {
        return new DeviceMemory<>(device, Math.min(info.memory(), Long.getLong(LIMIT, Long.MAX_VALUE)), info.largest(),
                new Buffers(device, context));
    }

    /** The memory of a tensor on a device of this kind. */
    static DeviceStorage<cl_mem> of(Tensor t) {
        if (t.storage() instanceof DeviceStorage<?> s && s.block() instanceof cl_mem) {
            @SuppressWarnings("unchecked")
            DeviceStorage<cl_mem> buffers = (DeviceStorage<cl_mem>) s;
            return buffers;
        }
        throw new IllegalArgumentException(t + " does not lie in the memory of an OpenCL device. Take it there with Tensor.to(backend).");
    }

    @Override
    public Optional<cl_mem> make(long bytes) {
        int[] status = new int[1];
        cl_mem buffer = CL.clCreateBuffer(context, CL.CL_MEM_READ_WRITE, bytes, null, status);
        if (status[0] == CL.CL_MEM_OBJECT_ALLOCATION_FAILURE || status[0] == CL.CL_OUT_OF_RESOURCES
                || status[0] == CL.CL_OUT_OF_HOST_MEMORY || status[0] == CL.CL_INVALID_BUFFER_SIZE) {
            return Optional.empty();
        }
        Cl.check(status[0], "clCreateBuffer of " + bytes + " bytes on " + device);
        return Optional.of(buffer);
    }

    @Override
    public void destroy(cl_mem buffer) {
        Cl.check(CL.clReleaseMemObject(buffer), "clReleaseMemObject");
    }
}
