package dev.jotune.jmh;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Attention over a prefix that the batch shares and a causal text: what a layer of a tuned model does.
 *
 * <p>What to expect: a score takes D multiply-adds forward and as many for its value, five times D of them backward, and the
 * tiles that do them reach nine tenths of the core's peak while their operands are in the second-level cache. The softmax
 * adds a tenth forward, less backward. So the rate over the scores that are seen should be near three quarters of the peak;
 * where it is not, the heads come from memory (T = 512 and more moves 25 MB forward) or a tile is mostly diagonal (T = 128).
 * A library that computes the masked half too cannot come near: half of its work is thrown away.
 *
 * <p>Iterations are many and short, since the clock of a shared machine drifts: read the median and the least, not the mean.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 15, time = 200, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 30, time = 200, timeUnit = TimeUnit.MILLISECONDS)
@Fork(value = 3, jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "-Djotune.threads=1"})
public class AttentionBenchmark {
    /** Query heads over key/value heads: GPT-2's, and a Llama's whose three query heads share a key. */
    @Param({"12/12", "9/3"})
    private String heads;

    @Param({"128", "512", "1024"})
    private int time;

    private AttentionRun run;

    @Setup
    public void inputs() {
        String[] counts = heads.split("/");
        run = new AttentionRun(Integer.parseInt(counts[0]), Integer.parseInt(counts[1]), time);
        // The backward pass reads what the forward pass left.
        run.forward();
    }

    /** Scores, softmax, values: two products of a tile. */
    @Benchmark
    public void forward() {
        run.forward();
    }

    /** The scores again, then the gradients of values, weights, queries and keys: five products of a tile. */
    @Benchmark
    public void backward() {
        run.backward();
    }
}
