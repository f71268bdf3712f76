package dev.jotune.models.generate;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.jotune.models.decoder.Decoder;
import dev.jotune.models.decoder.RandomDecoder;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What a decode step leaves to the garbage collector: nothing. */
class DecodeAllocationTest {
    private static final int NEW = 120;
    /** From here to the end neither the cache nor the history doubles: they have room for 128. */
    private static final int FROM = 72;
    /** Small, so that its code is compiled soon. */
    private static final String SMALL = """
            {"model_type": "llama", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
             "num_key_value_heads": 1, "vocab_size": 40, "max_position_embeddings": 256, "tie_word_embeddings": true}""";
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    /**
     * Measured in a machine of its own: what other tests have run in this one decides what its compiler inlines, and a vector that
     * crosses a call that was not inlined is an object.
     */
    @Test
    void aGreedyStepAllocatesNothing() throws Exception {
        Process child = new ProcessBuilder(List.of(ProcessHandle.current().info().command().orElse("java"), "-Xmx512m",
                "--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-cp",
                System.getProperty("java.class.path"), DecodeAllocationTest.class.getName()))
                .redirectErrorStream(true).start();
        String said = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(child.waitFor()).as(said).isZero();
        assertThat(said.lines().toList().getLast()).as("bytes of %d steps, in the best text: %s", NEW - 1 - FROM, said).isEqualTo("0");
    }

    /**
     * Prints the bytes allocated during the steps of a text. Code that is not compiled yet makes objects of vectors, so texts are
     * written until one is clean; it must come. That handing work to other threads makes none, {@code ParallelTest} says.
     */
    public static void main(String[] args) {
        Decoder model = RandomDecoder.of(SMALL, "BF16");
        Generator generator = new Generator(new CausalLanguageModel(model, model.seams().inference()), SamplingOptions.greedy(NEW));
        long[] bytes = new long[NEW];
        long least = Long.MAX_VALUE;
        // Until the compilers are done: on a busy machine that takes a while.
        long end = System.nanoTime() + 120_000_000_000L;
        while (least > 0 && System.nanoTime() < end) {
            int[] count = {0};
            generator.generate(new int[] {5}, TextDecoder.NONE, new GenerationListener() {
                @Override
                public void token(int id) {
                    bytes[count[0]++] = THREADS.getCurrentThreadAllocatedBytes();
                }
            });
            least = Math.min(least, bytes[NEW - 1] - bytes[FROM]);
        }
        System.out.println(least);
    }
}
