package dev.jotune.cuda;

import dev.jotune.kernel.DeviceMemory;
import dev.jotune.tensor.BlockPool;
import java.util.Optional;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/**
 * A driver's memory, as blocks of a {@link dev.jotune.kernel.DeviceMemory}. That recycles in the order of the device's stream, so the driver is
 * asked seldom, and its own pools are left alone.
 */
record Blocks(String device, Context context) implements BlockPool.Source<Handles.Block> {
    @Override
    public Optional<Handles.Block> make(long bytes) {
        context.enter();
        Handles.Block block = new Handles.Block();
        int status = JCudaDriver.cuMemAlloc(block, bytes);
        if (status == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
            return Optional.empty();
        }
        Cu.check(status, "cuMemAlloc of " + bytes + " bytes on " + device);
        return Optional.of(block);
    }

    /** What is left on the device, whoever uses the rest; nothing where the driver does not say. */
    Optional<DeviceMemory.Room> room() {
        context.enter();
        long[] free = new long[1];
        long[] all = new long[1];
        int status = JCudaDriver.cuMemGetInfo(free, all);
        return status == CUresult.CUDA_SUCCESS ? Optional.of(new DeviceMemory.Room(free[0], all[0])) : Optional.empty();
    }

    /** The driver waits until nothing that was enqueued can use the block. */
    @Override
    public void destroy(Handles.Block block) {
        context.enter();
        int status = JCudaDriver.cuMemFree(block);
        // What a fault has ended has no memory to give back, and who cleans up has its error already.
        if (!Cu.isFault(status)) {
            Cu.check(status, "cuMemFree on " + device);
        }
    }
}
