package dev.jotune.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/** Memory that several threads want at once. */
class BlockPoolTest {
    private static final long UNIT = 1 << 20;

    /** A source of two units, whose blocks are as many units; giving one back takes as long as {@code slow} does. */
    private static final class Two implements BlockPool.Source<long[]> {
        private long left = 2 * UNIT;
        private Runnable slow = () -> { };

        @Override
        public synchronized Optional<long[]> make(long bytes) {
            if (bytes > left) {
                return Optional.empty();
            }
            left -= bytes;
            return Optional.of(new long[] {bytes});
        }

        @Override
        public void destroy(long[] block) {
            slow.run();
            synchronized (this) {
                left += block[0];
            }
        }
    }

    /**
     * One thread gives an idle block back to the source to make room for its own. Another, which finds neither an idle block nor room
     * meanwhile, waits for that instead of being told that there is no memory.
     */
    @Test
    void nobodyIsRefusedWhileRoomIsBeingMade() throws InterruptedException {
        Two source = new Two();
        BlockPool<long[]> pool = new BlockPool<>(source);
        pool.giveBack(pool.take(2 * UNIT).orElseThrow(), 2 * UNIT);
        CountDownLatch giving = new CountDownLatch(1);
        AtomicReference<Optional<long[]>> second = new AtomicReference<>();
        Thread other = new Thread(() -> {
            try {
                giving.await();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            second.set(pool.take(UNIT));
        });
        other.start();
        source.slow = () -> {
            giving.countDown();
            // Until the other thread has tried: it waits for this one, or is done.
            while (other.getState() != Thread.State.BLOCKED && other.isAlive()) {
                Thread.onSpinWait();
            }
        };
        assertThat(pool.take(UNIT)).isPresent();
        other.join();
        assertThat(second.get()).isPresent();
        assertThat(pool.bytesInUse()).isEqualTo(2 * UNIT);
        assertThat(pool.idleBytes()).isZero();
    }
}
