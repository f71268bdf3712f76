package dev.jotune.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.testing.SettledMemory;
import java.lang.foreign.MemorySegment;
import java.lang.ref.WeakReference;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;

/** Blocks are aligned, counted, large enough and used again. */
class HostMemoryTest {
    @Property(tries = 500)
    void sizeClassesLoseAtMostAnEighth(@ForAll @LongRange(min = 64, max = 1L << 50) long bytes) {
        long size = BlockPool.bytesOf(BlockPool.classOf(bytes));
        assertThat(size).isGreaterThanOrEqualTo(bytes);
        assertThat(size - bytes).isLessThanOrEqualTo(Math.max(63, bytes / 8));
        assertThat(size % 64).isZero();
        assertThat(BlockPool.classOf(size)).isEqualTo(BlockPool.classOf(bytes));
    }

    @Test
    void blocksAreAlignedAndUsedAgain() {
        for (long bytes : new long[] {0, 1, 63, 64, 65, 1000, 4097, 1 << 20}) {
            Storage s = HostMemory.allocate(bytes);
            assertThat(s.address() % 64).isZero();
            assertThat(s.byteSize()).isEqualTo(bytes);
            assertThat(s.host().byteSize()).isEqualTo(bytes);
            s.host().fill((byte) 7);
            s.free();
            s.free();
            assertThat(s.isAlive()).isFalse();
            assertThatThrownBy(s::host).isInstanceOf(IllegalStateException.class);
        }
        // A size that nothing else here uses, so that the idle block can only be this one.
        Storage first = HostMemory.allocate(1_234_567);
        long address = first.address();
        first.free();
        Storage second = HostMemory.allocate(1_234_567);
        assertThat(second.address()).isEqualTo(address);
        second.free();
    }

    @Test
    void blocksOfEverNewSizesDoNotPileUp() {
        long asked = 0;
        for (long mb = 1; mb <= 200; mb++) {
            HostMemory.allocate(mb << 20).free();
            asked += mb << 20;
        }
        // A block is 225 MB at most; without a limit 20 GB would lie idle. Other tests may have used more at once.
        assertThat(HostMemory.idleBytes()).isLessThan(asked / 10);
    }

    @Test
    void usageAndItsPeakAreCounted() {
        long before = SettledMemory.inUse();
        Storage a = HostMemory.allocate(1 << 20);
        Storage b = HostMemory.allocate(1 << 20);
        a.free();
        assertThat(HostMemory.bytesInUse() - before).isEqualTo(1 << 20);
        assertThat(HostMemory.peakBytes() - before).isEqualTo(2 << 20);
        b.free();
        HostMemory.trim();
        assertThat(HostMemory.bytesInUse()).isEqualTo(before);
    }

    @Test
    void whatIsUnreachableIsGivenBack() throws InterruptedException {
        long before = SettledMemory.inUse();
        HostMemory.allocate(3 << 20);
        for (int i = 0; i < 200 && HostMemory.bytesInUse() > before; i++) {
            System.gc();
            Thread.sleep(10);
        }
        assertThat(HostMemory.bytesInUse()).isLessThanOrEqualTo(before);
    }

    @Test
    void moreThanThereIsAsksForSmallerBatches() {
        assertThatThrownBy(() -> HostMemory.allocate(1L << 60)).isInstanceOf(OutOfMemoryError.class)
                .hasMessageContaining(String.valueOf(1L << 60)).hasMessageContaining("checkpointing");
        assertThatThrownBy(() -> HostMemory.allocate(-1)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void foreignMemoryIsSeenAndNotFreed() {
        MemorySegment mine = java.lang.foreign.Arena.ofAuto().allocate(16);
        mine.set(java.lang.foreign.ValueLayout.JAVA_INT, 0, 42);
        Storage s = HostMemory.wrap(mine);
        assertThat(s.host().get(java.lang.foreign.ValueLayout.JAVA_INT, 0)).isEqualTo(42);
        s.free();
        assertThat(mine.get(java.lang.foreign.ValueLayout.JAVA_INT, 0)).isEqualTo(42);
    }

    /** Blocks that are forgotten go before the next large one is made, without anybody asking for a collection. */
    @Test
    void forgottenBlocksGoBeforeTheNextLargeOne() {
        WeakReference<Storage> forgotten = forgottenBlock(80L << 20);
        HostMemory.allocate(8L << 20).free();
        assertThat(forgotten.get()).isNull();
    }

    private static WeakReference<Storage> forgottenBlock(long bytes) {
        Storage block = HostMemory.allocate(bytes);
        HostMemory.forget(Tensor.over(Backends.cpu(), block, DType.U8, 0, bytes));
        return new WeakReference<>(block);
    }
}
