package dev.jotune.models.generate;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.jotune.models.decoder.Decoder;
import dev.jotune.models.decoder.RandomDecoder;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadInfo;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** What a decode step leaves to the garbage collector: nothing. */
class DecodeAllocationTest {
    private static final int NEW = 120;
    /** From here to the end neither the cache nor the history doubles: they have room for 128. */
    private static final int FROM = 72;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    /**
     * Bytes allocated by this thread and by the workers during each step of a text. Code that is still interpreted makes
     * objects of vectors, so texts are written until one is clean; it must come.
     */
    @Test
    void aGreedyStepAllocatesNothing() {
        Decoder model = RandomDecoder.of(RandomDecoder.LARGE, "BF16");
        Generator generator = new Generator(new CausalLanguageModel(model, model.seams().inference()), SamplingOptions.greedy(NEW));
        generator.generate(new int[] {5});
        long[] workers = workers();
        long[] bytes = new long[NEW];
        long least = Long.MAX_VALUE;
        for (int round = 0; round < 400 && least > 0; round++) {
            int[] count = {0};
            generator.generate(new int[] {5}, TextDecoder.NONE, new GenerationListener() {
                @Override
                public void token(int id) {
                    bytes[count[0]++] = allocated(workers);
                }
            });
            least = Math.min(least, bytes[NEW - 1] - bytes[FROM]);
        }
        assertThat(least).as("bytes of %d steps, in the best text", NEW - 1 - FROM).isZero();
    }

    private static long[] workers() {
        return Arrays.stream(THREADS.getThreadInfo(THREADS.getAllThreadIds()))
                .filter(t -> t != null && t.getThreadName().startsWith("jotune-worker")).mapToLong(ThreadInfo::getThreadId).toArray();
    }

    private static long allocated(long[] workers) {
        long sum = THREADS.getCurrentThreadAllocatedBytes();
        for (long id : workers) {
            sum += THREADS.getThreadAllocatedBytes(id);
        }
        return sum;
    }
}
