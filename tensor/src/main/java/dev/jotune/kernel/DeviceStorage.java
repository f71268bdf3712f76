package dev.jotune.kernel;

import dev.jotune.tensor.Storage;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Cleaner;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Memory of a device, which the host cannot address.
 *
 * @param <B> what its driver calls a block
 */
public final class DeviceStorage<B> extends Storage {
    private static final Cleaner CLEANER = Cleaner.create();

    /** Takes blocks back. */
    interface Home<B> {
        void giveBack(B block, long bytes);
    }

    private final DeviceMemory<B> memory;
    private final B block;
    private final long bytes;
    private final Cleaner.Cleanable cleanable;

    DeviceStorage(DeviceMemory<B> memory, Home<B> home, B block, long bytes) {
        this.memory = memory;
        this.block = block;
        this.bytes = bytes;
        this.cleanable = CLEANER.register(this, new Return<>(home, block, bytes, new AtomicBoolean()));
    }

    /** What a cleaner needs to return a block without holding on to its owner. */
    private record Return<B>(Home<B> home, B block, long bytes, AtomicBoolean done) implements Runnable {
        @Override
        public void run() {
            if (done.compareAndSet(false, true)) {
                home.giveBack(block, bytes);
            }
        }
    }

    /** The block, after a liveness check. Keep this reachable until what uses the block is enqueued. */
    public B block() {
        checkAlive();
        return block;
    }

    /** Where it came from. */
    public DeviceMemory<B> memory() {
        return memory;
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
        return new UnsupportedOperationException("the memory of " + memory.device() + " has no address on the host. Read it with Backend.read, or "
                + "take the tensor to the CPU first.");
    }

    @Override
    protected void release() {
        cleanable.clean();
    }
}
