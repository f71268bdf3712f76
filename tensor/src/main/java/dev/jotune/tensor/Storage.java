package dev.jotune.tensor;

import java.lang.foreign.MemorySegment;

/**
 * A flat run of bytes on one device, shared by all tensors that view it.
 *
 * <p>Storage made inside a {@link Scope} is freed when the scope closes; storage made outside is freed when
 * unreachable. Using freed storage throws {@link IllegalStateException}.
 */
public abstract class Storage {
    private volatile boolean freed;

    /** Size in bytes. */
    public abstract long byteSize();

    /**
     * The bytes themselves, 64-byte aligned for storage that this library allocated. Keep the storage reachable while
     * they are used ({@link java.lang.ref.Reference#reachabilityFence}).
     *
     * @throws UnsupportedOperationException for device memory that the host cannot address
     */
    public abstract MemorySegment host();

    /** Whether {@link #host()} and {@link #address()} give the bytes: not for the memory of a device of its own. */
    public boolean isHostAddressable() {
        return true;
    }

    /** True if writing would crash the process: the pages of a mapped file. */
    public boolean isReadOnly() {
        return false;
    }

    /** The address of the first byte, after a liveness check. */
    public abstract long address();

    /** Returns the memory; called once. */
    protected abstract void release();

    /** False once the storage was freed. */
    public final boolean isAlive() {
        return !freed;
    }

    /** Frees the storage now; further calls do nothing. */
    public final void free() {
        synchronized (this) {
            if (freed) {
                return;
            }
            freed = true;
        }
        release();
    }

    /** @throws IllegalStateException if the storage was freed */
    protected final void checkAlive() {
        if (freed) {
            throw new IllegalStateException("this tensor's memory was freed when its scope closed; "
                    + "call Scope.keep on what must outlive the scope");
        }
    }
}
