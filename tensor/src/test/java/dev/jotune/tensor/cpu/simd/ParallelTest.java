package dev.jotune.tensor.cpu.simd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class ParallelTest {
    @Test
    void everyTaskRunsOnceWithAnyNumberOfThreads() {
        for (int threads = 1; threads <= 5; threads++) {
            Parallel pool = new Parallel(threads);
            assertThat(pool.threads()).isEqualTo(threads);
            for (int tasks = 0; tasks < 40; tasks++) {
                AtomicIntegerArray runs = new AtomicIntegerArray(tasks);
                pool.execute(tasks, runs::incrementAndGet);
                for (int i = 0; i < tasks; i++) {
                    assertThat(runs.get(i)).isEqualTo(1);
                }
            }
            pool.close();
        }
    }

    @Test
    void workersThatWentToSleepWakeUp() throws InterruptedException {
        Parallel pool = new Parallel(3);
        AtomicInteger runs = new AtomicInteger();
        for (int i = 0; i < 200; i++) {
            pool.execute(3, t -> runs.incrementAndGet());
            if (i % 10 == 0) {
                Thread.sleep(2);
            }
        }
        assertThat(runs.get()).isEqualTo(600);
        pool.close();
    }

    /** Interpreted code makes objects that compiled code does not: the best of many rounds counts. */
    @Test
    void handingOutAJobAllocatesNothing() {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        Parallel pool = new Parallel(3);
        AtomicInteger runs = new AtomicInteger();
        Parallel.Task task = t -> runs.incrementAndGet();
        long least = Long.MAX_VALUE;
        for (int round = 0; round < 200 && least > 0; round++) {
            long before = threads.getCurrentThreadAllocatedBytes();
            for (int i = 0; i < 20; i++) {
                pool.execute(3, task);
            }
            least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
        }
        assertThat(least).isZero();
        pool.close();
    }

    @Test
    void nestedJobsRunInline() {
        Parallel pool = new Parallel(3);
        AtomicInteger runs = new AtomicInteger();
        pool.execute(4, i -> {
            Thread outer = Thread.currentThread();
            pool.execute(5, j -> {
                assertThat(Thread.currentThread()).isSameAs(outer);
                runs.incrementAndGet();
            });
        });
        assertThat(runs.get()).isEqualTo(20);
        pool.close();
    }

    @Test
    void theFirstExceptionReachesTheCallerAndThePoolStaysUsable() {
        Parallel pool = new Parallel(2);
        for (int round = 0; round < 20; round++) {
            assertThatThrownBy(() -> pool.execute(8, i -> {
                if (i == 3) {
                    throw new IllegalStateException("task 3");
                }
            })).isInstanceOf(IllegalStateException.class).hasMessage("task 3");
            AtomicInteger runs = new AtomicInteger();
            pool.execute(8, i -> runs.incrementAndGet());
            assertThat(runs.get()).isEqualTo(8);
        }
        pool.close();
    }

    @Test
    void severalThreadsMayStartJobsAtOnce() throws InterruptedException {
        Parallel pool = new Parallel(2);
        AtomicInteger runs = new AtomicInteger();
        Thread[] callers = new Thread[4];
        for (int c = 0; c < callers.length; c++) {
            callers[c] = new Thread(() -> {
                for (int i = 0; i < 500; i++) {
                    pool.execute(7, t -> runs.incrementAndGet());
                }
            });
            callers[c].start();
        }
        for (Thread caller : callers) {
            caller.join();
        }
        assertThat(runs.get()).isEqualTo(4 * 500 * 7);
        pool.close();
    }

    @Test
    void noThreadsAreRefused() {
        assertThatThrownBy(() -> new Parallel(0)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("0 threads");
    }

    @Test
    void everyNodeBeginsWithARunOfItsOwn() {
        // All processors on both, so that the test runs anywhere.
        BitSet all = new BitSet();
        all.set(0, Runtime.getRuntime().availableProcessors());
        Parallel pool = new Parallel(2, new Nodes(List.of(all, all)));
        for (int tasks = 2; tasks < 40; tasks++) {
            AtomicIntegerArray runs = new AtomicIntegerArray(tasks);
            CountDownLatch both = new CountDownLatch(2);
            Set<Integer> first = ConcurrentHashMap.newKeySet();
            pool.execute(tasks, i -> {
                runs.incrementAndGet(i);
                if (both.getCount() > 0) {
                    first.add(i);
                    both.countDown();
                    try {
                        both.await();
                    } catch (InterruptedException e) {
                        throw new AssertionError(e);
                    }
                }
            });
            assertThat(first).containsExactlyInAnyOrder(0, tasks / 2);
            for (int i = 0; i < tasks; i++) {
                assertThat(runs.get(i)).isEqualTo(1);
            }
        }
        pool.close();
    }
}
