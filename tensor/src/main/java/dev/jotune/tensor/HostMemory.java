package dev.jotune.tensor;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.ref.Cleaner;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Off-heap host memory: 64-byte aligned blocks from the C allocator, recycled by size.
 *
 * <p>A training step asks for the same sizes again and again; a block handed back is kept and handed out again,
 * which saves the page faults (a fresh 25 MB block costs more than the kernel that fills it); {@link BlockPool} says how.
 * Memory is not zeroed. With {@code -Djotune.memory.poison=true} every block begins as NaN in each floating-point type, so that
 * a kernel which reads what nobody wrote shows it: fresh memory of the system is zeros and would hide it.
 */
public final class HostMemory {
    private static final Linker LINKER = Linker.nativeLinker();
    private static final MethodHandle ALIGNED_ALLOC = LINKER.downcallHandle(
            LINKER.defaultLookup().findOrThrow("aligned_alloc"),
            FunctionDescriptor.of(ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));
    private static final MethodHandle FREE = LINKER.downcallHandle(
            LINKER.defaultLookup().findOrThrow("free"), FunctionDescriptor.ofVoid(ValueLayout.JAVA_LONG));
    private static final Optional<MethodHandle> MADVISE = LINKER.defaultLookup().find("madvise").map(f -> LINKER.downcallHandle(f,
            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT)));
    private static final int MADV_DONTNEED = 4;
    private static final int MADV_HUGEPAGE = 14;
    private static final long PAGE = 4096;
    /** A page of two megabytes costs one fault and one entry of the translation buffer where small ones cost 512. */
    private static final long HUGE_PAGE = 2L << 20;
    /** Blocks from this size on begin at a huge page and ask for more. */
    private static final long LARGE = 2 * HUGE_PAGE;
    /** Bytes of forgotten tensors that justify asking for a collection. */
    private static final long FORGOTTEN = 64L << 20;
    /** Allocations from this size on look whether a collection is due. */
    private static final long NOTABLE = 1L << 20;
    private static final boolean POISON = Boolean.getBoolean("jotune.memory.poison");
    private static final AtomicLong PENDING = new AtomicLong();
    private static final Cleaner CLEANER = Cleaner.create();
    private static final BlockPool<Long> POOL = new BlockPool<>(new BlockPool.Source<>() {
        @Override
        public Optional<Long> make(long bytes) {
            long address = call(bytes);
            return address == 0 ? Optional.empty() : Optional.of(address);
        }

        @Override
        public void destroy(Long address) {
            freeNative(address);
        }
    });

    static {
        if (ValueLayout.ADDRESS.byteSize() != Long.BYTES) {
            throw new ExceptionInInitializerError("Jotune needs a 64-bit JVM");
        }
    }

    private HostMemory() {}

    /** Bytes held by live tensors. */
    public static long bytesInUse() {
        return POOL.bytesInUse();
    }

    /** Bytes of freed blocks that wait to be used again. */
    public static long idleBytes() {
        return POOL.idleBytes();
    }

    /** The most bytes ever in use at once since the start or the last {@link #resetPeak()}. */
    public static long peakBytes() {
        return POOL.peakBytes();
    }

    /** Starts a new measurement of {@link #peakBytes()}. */
    public static void resetPeak() {
        POOL.resetPeak();
    }

    /** Gives the idle blocks back to the operating system. */
    public static void trim() {
        POOL.trim();
    }

    /**
     * A block of at least {@code bytes} bytes with unspecified contents.
     *
     * @throws OutOfMemoryError saying how much was asked for and how much is in use
     */
    public static Storage allocate(long bytes) {
        if (bytes < 0) {
            throw new IllegalArgumentException("cannot allocate " + bytes + " bytes");
        }
        if (bytes >= NOTABLE && PENDING.get() >= FORGOTTEN && PENDING.getAndSet(0) >= FORGOTTEN) {
            System.gc();
        }
        long address = POOL.take(bytes).orElseThrow(() -> new OutOfMemoryError("no memory for a tensor of " + bytes + " bytes: "
                + POOL.bytesInUse() + " bytes are in use by tensors. Use a smaller batch, a shorter sequence or gradient checkpointing."));
        if (POISON) {
            MemorySegment.ofAddress(address).reinterpret(bytes).fill((byte) 0xff);
        }
        return new Block(address, bytes);
    }

    /** Storage over memory that somebody else owns and {@code segment} keeps alive, such as a mapped file. */
    public static Storage wrap(MemorySegment segment) {
        return new Wrapped(segment);
    }

    /**
     * Says that {@code tensor} will hardly be read again, now that its numbers are kept in another form. It stays valid:
     * pages of a mapped file leave memory and would be read again; a block goes when it is unreachable. Once there are enough of
     * those the next allocation of a megabyte or more asks for a collection, which would not otherwise come, the heap being small beside the
     * tensors; not before, for whoever forgets a block still holds it.
     */
    public static void forget(Tensor tensor) {
        long bytes = tensor.numel() * tensor.dtype().byteSize();
        if (tensor.storage() instanceof Wrapped w && w.segment.isMapped() && w.isReadOnly() && tensor.isContiguous()) {
            long from = (tensor.address() + PAGE - 1) / PAGE * PAGE;
            long length = (tensor.address() + bytes) / PAGE * PAGE - from;
            if (length > 0) {
                advise(from, length, MADV_DONTNEED);
            }
        } else if (tensor.storage() instanceof Block) {
            PENDING.addAndGet(bytes);
        }
    }

    /** Where the system knows it; a refusal changes nothing. */
    private static void advise(long address, long length, int advice) {
        if (MADVISE.isPresent()) {
            try {
                int refused = (int) MADVISE.get().invokeExact(address, length, advice);
            } catch (Throwable e) {
                throw new IllegalStateException("madvise failed", e);
            }
        }
    }

    private static long call(long size) {
        try {
            if (size < LARGE) {
                return (long) ALIGNED_ALLOC.invokeExact(64L, size);
            }
            // C wants a multiple of the alignment; what is never touched takes no memory.
            long address = (long) ALIGNED_ALLOC.invokeExact(HUGE_PAGE, (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
            if (address != 0) {
                advise(address, size / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
            }
            return address;
        } catch (Throwable e) {
            throw new IllegalStateException("aligned_alloc failed", e);
        }
    }

    private static void freeNative(long address) {
        try {
            FREE.invokeExact(address);
        } catch (Throwable e) {
            throw new IllegalStateException("free failed", e);
        }
    }

    /** What a cleaner needs to return a block without holding on to its owner. */
    private record Return(long address, long bytes, AtomicLong done) implements Runnable {
        @Override
        public void run() {
            if (done.compareAndSet(0, 1)) {
                POOL.giveBack(address, bytes);
            }
        }
    }

    private static final class Block extends Storage {
        private final long address;
        private final long bytes;
        private final Cleaner.Cleanable cleanable;

        Block(long address, long bytes) {
            this.address = address;
            this.bytes = bytes;
            this.cleanable = CLEANER.register(this, new Return(address, bytes, new AtomicLong()));
        }

        @Override
        public long byteSize() {
            return bytes;
        }

        @Override
        public MemorySegment host() {
            checkAlive();
            return MemorySegment.ofAddress(address).reinterpret(bytes);
        }

        @Override
        public long address() {
            checkAlive();
            return address;
        }

        @Override
        protected void release() {
            cleanable.clean();
        }
    }

    private static final class Wrapped extends Storage {
        private final MemorySegment segment;

        Wrapped(MemorySegment segment) {
            this.segment = segment;
        }

        @Override
        public long byteSize() {
            return segment.byteSize();
        }

        @Override
        public MemorySegment host() {
            checkAlive();
            return segment;
        }

        @Override
        public boolean isReadOnly() {
            return segment.isReadOnly();
        }

        @Override
        public long address() {
            checkAlive();
            return segment.address();
        }

        @Override
        protected void release() {
            // The segment's owner frees it.
        }
    }
}
