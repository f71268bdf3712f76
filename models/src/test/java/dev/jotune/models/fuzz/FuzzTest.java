package dev.jotune.models.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.jotune.models.ModelException;
import dev.jotune.models.tokenizer.TokenizerException;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.io.FormatException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Damaged files: each is read, or refused with an error that says so. Nothing else is thrown, nothing hangs, and memory
 * stays below twice the file's size beside a fixed allowance. Every round follows from the seed and its number alone.
 */
class FuzzTest {
    private static final long SEED = 20261122;
    /** For one file, on a machine that does much else. */
    private static final long NANOS = TimeUnit.SECONDS.toNanos(20);
    /**
     * Bytes that reading any of these files may allocate on the heap, garbage included, beside twice the file: for the
     * parser's buffers and tree, tables and messages. A length field believed takes more at once.
     */
    private static final long HEAP_ALLOWANCE = 8L << 20;
    /** Bytes outside the heap, where only tensors lie. */
    private static final long HOST_ALLOWANCE = 1L << 16;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    @TempDir
    Path scratch;

    @Test
    void thousandsOfDamagedFilesAreReadOrRefused() throws Exception {
        fuzz(5_000);
    }

    @Test
    @Tag("heavy")
    void aHundredThousandDamagedFilesAreReadOrRefused() throws Exception {
        fuzz(100_000);
    }

    /** Readers that make tensors on one thread, whose memory can then be told; the others on another. */
    private void fuzz(int runs) throws Exception {
        List<FuzzTarget> targets = FuzzTargets.all(scratch);
        assertThat(targets.stream().mapToInt(FuzzTarget::share).sum()).isEqualTo(100);
        Lane tensors = new Lane(targets.stream().filter(FuzzTarget::tensors).toList(), runs);
        Lane others = new Lane(targets.stream().filter(t -> !t.tensors()).toList(), runs);
        tensors.await();
        others.await();
    }

    /** Targets one after another on a thread of their own. */
    private final class Lane {
        private final FutureTask<Void> task;
        private volatile String which = "";
        private volatile long since = System.nanoTime();

        Lane(List<FuzzTarget> targets, int runs) {
            task = new FutureTask<>(() -> {
                for (FuzzTarget target : targets) {
                    fuzz(target, runs * target.share() / 100);
                }
                return null;
            });
            Thread.ofPlatform().daemon().start(task);
        }

        /** Fails with what the thread failed with, or if one file takes too long. */
        void await() throws InterruptedException {
            while (true) {
                try {
                    task.get(1, TimeUnit.SECONDS);
                    return;
                } catch (TimeoutException e) {
                    assertThat(System.nanoTime() - since).as(which + " hangs").isLessThan(NANOS);
                } catch (ExecutionException e) {
                    throw new AssertionError(which, e.getCause());
                }
            }
        }

        private void fuzz(FuzzTarget target, int runs) throws Exception {
            assertThat(target.seeds()).as(target.name()).isNotEmpty();
            Path folder = Files.createDirectory(scratch.resolve("damaged " + target.name()));
            Path file = folder.resolve("damaged" + (target.name().startsWith("gguf") ? ".gguf" : ".safetensors"));
            int refused = 0;
            // What is loaded and compiled by the first rounds is not the files' doing.
            for (int i = -20; i < runs; i++) {
                SplittableRandom random = new SplittableRandom(SEED + i);
                byte[] damaged = target.mutator().apply(target.seeds().get(random.nextInt(target.seeds().size())), random);
                // A file of its own: cutting the one that earlier rounds still map would search all of these maps.
                Files.deleteIfExists(file);
                Files.write(file, damaged);
                which = target.name() + ", round " + i + " of seed " + SEED;
                since = System.nanoTime();
                boolean no = isRefused(target, file, i < 0 ? Long.MAX_VALUE / 2 : 2L * damaged.length);
                refused += i >= 0 && no ? 1 : 0;
            }
            // Damage that nobody notices, or files that nobody gets into, would test nothing.
            assertThat(refused).as(target.name()).isBetween(runs / 20, runs - runs / 100);
        }
    }

    private static boolean isRefused(FuzzTarget target, Path file, long twice) throws Exception {
        long heap = THREADS.getCurrentThreadAllocatedBytes();
        long host = HostMemory.bytesInUse();
        if (target.tensors()) {
            HostMemory.resetPeak();
        }
        boolean refused = false;
        try (Scope scope = Scope.open()) {
            target.reader().read(file);
        } catch (FormatException | ModelException | TokenizerException e) {
            assertThat(e.getMessage().length()).as(e.getMessage()).isBetween(20, 4000);
            refused = true;
        }
        assertThat(THREADS.getCurrentThreadAllocatedBytes() - heap).as("heap").isLessThan(twice + HEAP_ALLOWANCE);
        if (target.tensors()) {
            assertThat(HostMemory.peakBytes() - host).as("memory of tensors").isLessThan(twice + HOST_ALLOWANCE);
        }
        return refused;
    }
}
