package dev.jotune.tensor;

import java.util.ArrayDeque;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Blocks of memory, recycled by size, whatever a block is: an address, a device's buffer.
 *
 * <p>A training step asks for the same sizes again and again; a block handed back is kept and handed out again. Blocks
 * are rounded to one of eight sizes per power of two, so at most an eighth is lost; idle blocks go back to their source
 * when all blocks together take more than a quarter above what was ever in use. Safe for use by several threads.
 *
 * @param <B> a block
 */
public final class BlockPool<B> {
    /** Where blocks come from; one thread at a time asks it. */
    public interface Source<B> {
        /** A new block of so many bytes, or none if there is no memory. */
        Optional<B> make(long bytes);

        /** Takes a block back for good. */
        void destroy(B block);
    }

    private static final int CLASSES = 64 * 8;
    private static final long SMALLEST = 64;
    /** Idle blocks may take this much beyond a quarter more than was ever in use. */
    private static final long SLACK = 64L << 20;

    private final Source<B> source;
    private final ArrayDeque<B>[] idle;
    private final AtomicLong inUse = new AtomicLong();
    private final AtomicLong cached = new AtomicLong();
    private final AtomicLong peak = new AtomicLong();
    /** The most bytes ever in use at once. */
    private final AtomicLong high = new AtomicLong();

    /** An empty pool. */
    @SuppressWarnings("unchecked")
    public BlockPool(Source<B> source) {
        this.source = source;
        this.idle = new ArrayDeque[CLASSES];
        for (int i = 0; i < CLASSES; i++) {
            idle[i] = new ArrayDeque<>();
        }
    }

    /** Bytes of the blocks that are taken. */
    public long bytesInUse() {
        return inUse.get();
    }

    /** Bytes of the blocks that wait to be used again. */
    public long idleBytes() {
        return cached.get();
    }

    /** The most bytes in use at once since the start or the last {@link #resetPeak()}. */
    public long peakBytes() {
        return peak.get();
    }

    /** Starts a new measurement of {@link #peakBytes()}. */
    public void resetPeak() {
        peak.set(inUse.get());
    }

    /**
     * A block of the size class of {@code bytes}, or none if there is no memory even after all idle blocks are gone.
     *
     * @param bytes at least 0
     */
    public Optional<B> take(long bytes) {
        int c = classOf(Math.max(bytes, SMALLEST));
        long size = bytesOf(c);
        Optional<B> block = poll(c);
        if (block.isEmpty()) {
            block = made(c, size);
        } else {
            cached.addAndGet(-size);
        }
        if (block.isPresent()) {
            long used = inUse.addAndGet(size);
            peak.accumulateAndGet(used, Math::max);
            high.accumulateAndGet(used, Math::max);
        }
        return block;
    }

    /** One thread at a time: nobody is told that there is no memory while another is giving some back to the source. */
    private Optional<B> made(int c, long size) {
        synchronized (source) {
            Optional<B> block = source.make(size);
            if (block.isPresent()) {
                return block;
            }
            // What another thread handed back meanwhile may be just right.
            block = poll(c);
            if (block.isPresent()) {
                cached.addAndGet(-size);
                return block;
            }
            trim();
            return source.make(size);
        }
    }

    /** Takes back a block that {@link #take} gave for {@code bytes}. */
    public void giveBack(B block, long bytes) {
        int c = classOf(Math.max(bytes, SMALLEST));
        long size = bytesOf(c);
        long used = inUse.addAndGet(-size);
        long waiting = cached.addAndGet(size);
        synchronized (idle[c]) {
            idle[c].addLast(block);
        }
        // Texts of ever new lengths leave blocks of sizes that nobody asks for again.
        if (used + waiting > high.get() + high.get() / 4 + SLACK) {
            trim();
        }
    }

    /** Gives the idle blocks back to their source. */
    public void trim() {
        synchronized (source) {
            for (int c = 0; c < CLASSES; c++) {
                Optional<B> block;
                while ((block = poll(c)).isPresent()) {
                    cached.addAndGet(-bytesOf(c));
                    source.destroy(block.get());
                }
            }
        }
    }

    private Optional<B> poll(int c) {
        synchronized (idle[c]) {
            return Optional.ofNullable(idle[c].pollLast());
        }
    }

    /** The size of the block that is taken for {@code bytes}. */
    public static long sizeFor(long bytes) {
        return bytesOf(classOf(Math.max(bytes, SMALLEST)));
    }

    /** Eight size classes per power of two. */
    static int classOf(long bytes) {
        int log = 63 - Long.numberOfLeadingZeros(bytes);
        long step = Math.max(64, 1L << Math.max(0, log - 3));
        long rounded = (bytes + step - 1) / step * step;
        int top = 63 - Long.numberOfLeadingZeros(rounded);
        return top * 8 + (int) ((rounded - (1L << top)) >> Math.max(0, top - 3));
    }

    static long bytesOf(int c) {
        int top = c / 8;
        long size = (1L << top) + ((long) (c % 8) << Math.max(0, top - 3));
        return (size + 63) / 64 * 64;
    }
}
