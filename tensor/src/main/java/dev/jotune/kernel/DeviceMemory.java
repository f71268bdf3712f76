package dev.jotune.kernel;

import dev.jotune.tensor.BlockPool;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * A device's memory, recycled by size as {@link BlockPool} says. A block handed back may be given out again while earlier work still
 * uses it: a device's work runs in order, so what the new owner enqueues comes later.
 *
 * <p>Drivers may take memory only when it is first used and fail then, in the middle of something else. So the sum is held here
 * below what the device has.
 *
 * @param <B> what its driver calls a block
 */
public final class DeviceMemory<B> {
    private final String device;
    private final long limit;
    private final long largest;
    private final BlockPool<B> pool;
    private final Supplier<Optional<Room>> room;

    /**
     * What a driver says of its device's memory, whoever uses it.
     *
     * @param free bytes that nobody has
     * @param all bytes
     */
    public record Room(long free, long all) {}

    /**
     * @param device its name, for errors
     * @param limit bytes that may be used
     * @param largest bytes that one block may have
     * @param source makes blocks; none when the driver has no memory left
     */
    public DeviceMemory(String device, long limit, long largest, BlockPool.Source<B> source) {
        this(device, limit, largest, source, Optional::empty);
    }

    /**
     * For a driver that knows what others use.
     *
     * @param room asked for errors
     */
    public DeviceMemory(String device, long limit, long largest, BlockPool.Source<B> source, Supplier<Optional<Room>> room) {
        this.device = device;
        this.limit = limit;
        this.largest = largest;
        this.room = room;
        this.pool = new BlockPool<>(new Limited<>(source, limit, largest));
    }

    /** Asks the driver for what fits; one thread at a time. */
    private static final class Limited<B> implements BlockPool.Source<B> {
        private final BlockPool.Source<B> source;
        private final long limit;
        private final long largest;
        private final Map<B, Long> sizes = new IdentityHashMap<>();
        private long held;

        Limited(BlockPool.Source<B> source, long limit, long largest) {
            this.source = source;
            this.limit = limit;
            this.largest = largest;
        }

        @Override
        public Optional<B> make(long bytes) {
            if (bytes > largest || held + bytes > limit) {
                return Optional.empty();
            }
            Optional<B> block = source.make(bytes);
            block.ifPresent(b -> {
                sizes.put(b, bytes);
                held += bytes;
            });
            return block;
        }

        @Override
        public void destroy(B block) {
            held -= sizes.remove(block);
            source.destroy(block);
        }
    }

    /** The device's name. */
    public String device() {
        return device;
    }

    /** @throws OutOfMemoryError saying how much is missing */
    public DeviceStorage<B> allocate(long bytes) {
        return allocate(bytes, pool, pool::giveBack);
    }

    /** From a pool whose blocks come from this memory's. */
    DeviceStorage<B> allocate(long bytes, BlockPool<B> from, DeviceStorage.Home<B> home) {
        if (bytes < 0) {
            throw new IllegalArgumentException("cannot allocate " + bytes + " bytes");
        }
        return new DeviceStorage<>(this, home, from.take(bytes).orElseThrow(() -> missing(bytes)), bytes);
    }

    BlockPool<B> pool() {
        return pool;
    }

    private OutOfMemoryError missing(long bytes) {
        long size = BlockPool.sizeFor(bytes);
        if (size > largest) {
            return new OutOfMemoryError(device + " has no room for a tensor of " + bytes + " bytes: its driver allows at most " + largest
                    + " bytes in one buffer, " + (size - largest) + " too few. Use a smaller batch, a quantised model or another device.");
        }
        long used = pool.bytesInUse();
        String text = device + " has no room for a tensor of " + bytes + " bytes: " + used + " of " + limit + " bytes are in use by this process";
        // All that was idle has been given back by now.
        Optional<Room> asked = used + size > limit ? Optional.empty() : room.get();
        if (asked.isPresent()) {
            Room r = asked.get();
            long others = Math.max(0, r.all - r.free - used);
            text += ", the device has " + r.free + " of " + r.all + " bytes left, since other processes and the driver hold " + others + ", and "
                    + (size > r.free ? size - r.free + " bytes are missing" : "no " + size + " bytes of them are in one piece");
        } else {
            text += ", " + Math.max(1, used + size - limit) + " bytes are missing";
        }
        return new OutOfMemoryError(text + ". Use a smaller batch, a shorter sequence, gradient checkpointing or a quantised model"
                + (asked.isPresent() ? ", or end what else uses the device." : "."));
    }

    /** Bytes of the blocks that are taken. */
    public long bytesInUse() {
        return pool.bytesInUse();
    }

    /** The most bytes in use at once since the start or the last {@link #resetPeak()}. */
    public long peakBytes() {
        return pool.peakBytes();
    }

    /** Starts a new measurement of {@link #peakBytes()}. */
    public void resetPeak() {
        pool.resetPeak();
    }

    /** Bytes of the blocks that wait to be used again. */
    public long idleBytes() {
        return pool.idleBytes();
    }

    /** Gives the idle blocks back to the driver. */
    public void trim() {
        pool.trim();
    }
}
