package dev.jotune.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.tensor.BlockPool;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Who may have which block when. A block is a number. */
class MemoryReserveTest {
    private static final long MEGABYTE = 1 << 20;

    private final AtomicInteger made = new AtomicInteger();
    private final AtomicInteger destroyed = new AtomicInteger();
    private final DeviceMemory<Object> memory = new DeviceMemory<>("device", 300 * MEGABYTE, 200 * MEGABYTE, new BlockPool.Source<>() {
        @Override
        public Optional<Object> make(long bytes) {
            made.incrementAndGet();
            return Optional.of(new Object());
        }

        @Override
        public void destroy(Object block) {
            destroyed.incrementAndGet();
        }
    });
    private final MemoryReserve<Object> reserve = new MemoryReserve<>(memory);

    @Test
    void withinTheWorkBlocksAreRecycledAndOthersDoNotGetThem() {
        DeviceStorage<Object> first = reserve.allocate(MEGABYTE);
        Object block = first.block();
        first.free();
        assertThat(memory.allocate(MEGABYTE).block()).isNotSameAs(block);
        DeviceStorage<Object> second = reserve.allocate(MEGABYTE);
        assertThat(second.block()).isSameAs(block);
        assertThat(reserve.bytes()).isEqualTo(MEGABYTE);
        assertThat(memory.bytesInUse()).isEqualTo(2 * MEGABYTE);
        second.free();
        reserve.close();
        assertThat(memory.bytesInUse()).isEqualTo(MEGABYTE);
        assertThat(memory.allocate(MEGABYTE).block()).isSameAs(block);
    }

    /** So many idle bytes that a pool would give some back: those of a reserve must stay where the work finds them. */
    @Test
    void nothingIsGivenBackBeforeTheEnd() {
        for (int mb = 32; mb <= 96; mb += 32) {
            reserve.allocate(mb * MEGABYTE).free();
        }
        DeviceStorage<Object> kept = reserve.allocate(MEGABYTE);
        assertThat(reserve.bytes()).isEqualTo(193 * MEGABYTE);
        assertThat(memory.bytesInUse()).isEqualTo(193 * MEGABYTE);
        assertThat(destroyed).hasValue(0);
        reserve.close();
        assertThat(memory.bytesInUse()).isEqualTo(MEGABYTE);
        assertThat(kept.block()).isNotNull();
        // Freed when the work is long gone.
        kept.free();
        assertThat(memory.bytesInUse()).isZero();
        assertThat(reserve.bytes()).isZero();
    }

    @Test
    void limitsAreThoseOfTheDevice() {
        assertThatThrownBy(() -> reserve.allocate(250 * MEGABYTE)).isInstanceOf(OutOfMemoryError.class).hasMessageContaining("in one buffer");
        DeviceStorage<Object> most = reserve.allocate(160 * MEGABYTE);
        assertThatThrownBy(() -> memory.allocate(160 * MEGABYTE)).isInstanceOf(OutOfMemoryError.class)
                .hasMessageContaining(20 * MEGABYTE + " bytes are missing");
        most.free();
        assertThatThrownBy(() -> memory.allocate(160 * MEGABYTE)).isInstanceOf(OutOfMemoryError.class);
        reserve.close();
        assertThat(memory.allocate(160 * MEGABYTE).block()).isNotNull();
        assertThat(made).hasValue(1);
    }
}
