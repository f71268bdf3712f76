package dev.jotune.kernel;

import dev.jotune.tensor.BlockPool;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Memory for work that is recorded once and repeated: between repetitions nobody else may have it, though its tensors are freed.
 * Within the work blocks are recycled, since it repeats in the same order. They go back when the reserve is closed.
 *
 * @param <B> what the device's driver calls a block
 */
public final class MemoryReserve<B> implements AutoCloseable {
    private final DeviceMemory<B> memory;
    /** Every block that the reserve holds, and for how many bytes it was taken. */
    private final Map<B, Long> held = new IdentityHashMap<>();
    /** Blocks that the pool wants to be rid of before the reserve may give them back. */
    private final List<B> aside = new ArrayList<>();
    private boolean closed;
    private final BlockPool<B> pool = new BlockPool<>(new BlockPool.Source<>() {
        @Override
        public Optional<B> make(long bytes) {
            Optional<B> block = memory.pool().take(bytes);
            synchronized (held) {
                block.ifPresent(b -> held.put(b, bytes));
            }
            return block;
        }

        @Override
        public void destroy(B block) {
            long bytes;
            synchronized (held) {
                if (!closed) {
                    aside.add(block);
                    return;
                }
                bytes = held.remove(block);
            }
            memory.pool().giveBack(block, bytes);
        }
    });

    /** An empty reserve. */
    public MemoryReserve(DeviceMemory<B> memory) {
        this.memory = memory;
    }

    /** @throws OutOfMemoryError saying how much is missing */
    public DeviceStorage<B> allocate(long bytes) {
        return memory.allocate(bytes, pool, this::giveBack);
    }

    private void giveBack(B block, long bytes) {
        pool.giveBack(block, bytes);
        boolean late;
        synchronized (held) {
            late = closed;
        }
        if (late) {
            pool.trim();
        }
    }

    /** Bytes that are kept from others. */
    public long bytes() {
        synchronized (held) {
            return held.values().stream().mapToLong(Long::longValue).sum();
        }
    }

    /** Gives everything back that no tensor has; the rest follows as tensors are freed. The work may not be repeated any more. */
    @Override
    public void close() {
        List<B> waiting;
        synchronized (held) {
            closed = true;
            waiting = List.copyOf(aside);
            aside.clear();
        }
        for (B block : waiting) {
            long bytes;
            synchronized (held) {
                bytes = held.remove(block);
            }
            memory.pool().giveBack(block, bytes);
        }
        pool.trim();
    }
}
