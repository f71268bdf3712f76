package dev.jotune.opencl;

import dev.jotune.tensor.BlockPool;
import dev.jotune.tensor.Storage;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Cleaner;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jocl.CL;
import org.jocl.cl_context;
import org.jocl.cl_mem;

/**
 * A device's memory: buffers, recycled by size as {@link BlockPool} says. A block handed back may be given out again while
 * earlier work still uses it: the device's queue runs in order, so what the new owner enqueues comes later.
 *
 * <p>Drivers often take buffers' memory only when they are first used and fail then, in the middle of something else. So the
 * sum is held here below what the device has, or the property {@value #LIMIT} if that is less.
 */
final class DeviceMemory {
    /** Bytes of the device that may be used. */
    static final String LIMIT = "jotune.opencl.memory";

    private static final Cleaner CLEANER = Cleaner.create();

    private final String device;
    private final cl_context context;
    private final long limit;
    private final long largest;
    private final BlockPool<cl_mem> pool = new BlockPool<>(new BlockPool.Source<>() {
        @Override
        public Optional<cl_mem> make(long bytes) {
            return create(bytes);
        }

        @Override
        public void destroy(cl_mem buffer) {
            Cl.check(CL.clReleaseMemObject(buffer), "clReleaseMemObject");
        }
    });

    DeviceMemory(String device, cl_context context, DeviceInfo info) {
        this.device = device;
        this.context = context;
        this.limit = Math.min(info.memory(), Long.getLong(LIMIT, Long.MAX_VALUE));
        this.largest = info.largest();
    }

    private Optional<cl_mem> create(long bytes) {
        if (bytes > largest || pool.bytesInUse() + pool.idleBytes() + bytes > limit) {
            return Optional.empty();
        }
        int[] status = new int[1];
        cl_mem buffer = CL.clCreateBuffer(context, CL.CL_MEM_READ_WRITE, bytes, null, status);
        if (status[0] == CL.CL_MEM_OBJECT_ALLOCATION_FAILURE || status[0] == CL.CL_OUT_OF_RESOURCES
                || status[0] == CL.CL_OUT_OF_HOST_MEMORY || status[0] == CL.CL_INVALID_BUFFER_SIZE) {
            return Optional.empty();
        }
        Cl.check(status[0], "clCreateBuffer of " + bytes + " bytes on " + device);
        return Optional.of(buffer);
    }

    /** @throws OutOfMemoryError saying how much is missing */
    DeviceStorage allocate(long bytes) {
        if (bytes < 0) {
            throw new IllegalArgumentException("cannot allocate " + bytes + " bytes");
        }
        return new DeviceStorage(pool.take(bytes).orElseThrow(() -> missing(bytes)), bytes);
    }

    private OutOfMemoryError missing(long bytes) {
        long size = BlockPool.sizeFor(bytes);
        if (size > largest) {
            return new OutOfMemoryError(device + " has no room for a tensor of " + bytes + " bytes: its driver allows at most " + largest
                    + " bytes in one buffer, " + (size - largest) + " too few. Use a smaller batch, a quantised model or another device.");
        }
        long used = pool.bytesInUse();
        return new OutOfMemoryError(device + " has no room for a tensor of " + bytes + " bytes: " + used + " of " + limit
                + " bytes are in use, " + Math.max(1, used + size - limit) + " bytes are missing. Use a smaller batch, a shorter sequence, "
                + "gradient checkpointing or a quantised model.");
    }

    long bytesInUse() {
        return pool.bytesInUse();
    }

    long peakBytes() {
        return pool.peakBytes();
    }

    void resetPeak() {
        pool.resetPeak();
    }

    long idleBytes() {
        return pool.idleBytes();
    }

    void trim() {
        pool.trim();
    }

    /** What a cleaner needs to return a block without holding on to its owner. */
    private record Return(BlockPool<cl_mem> pool, cl_mem buffer, long bytes, AtomicBoolean done) implements Runnable {
        @Override
        public void run() {
            if (done.compareAndSet(false, true)) {
                pool.giveBack(buffer, bytes);
            }
        }
    }

    /** A block of device memory. */
    final class DeviceStorage extends Storage {
        private final cl_mem buffer;
        private final long bytes;
        private final Cleaner.Cleanable cleanable;

        private DeviceStorage(cl_mem buffer, long bytes) {
            this.buffer = buffer;
            this.bytes = bytes;
            this.cleanable = CLEANER.register(this, new Return(pool, buffer, bytes, new AtomicBoolean()));
        }

        /** The buffer, after a liveness check. Keep this reachable until what uses the buffer is enqueued. */
        cl_mem buffer() {
            checkAlive();
            return buffer;
        }

        @Override
        public long byteSize() {
            return bytes;
        }

        @Override
        public boolean isHostAddressable() {
            return false;
        }

        @Override
        public MemorySegment host() {
            throw unaddressable();
        }

        @Override
        public long address() {
            throw unaddressable();
        }

        private UnsupportedOperationException unaddressable() {
            return new UnsupportedOperationException("the memory of " + device + " has no address on the host. Read it with Backend.read, or "
                    + "take the tensor to the CPU first.");
        }

        @Override
        protected void release() {
            cleanable.clean();
        }
    }
}
