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
 * Row and element-wise operations whose operands lie in the second-level cache, on one thread.
 *
 * <p>What to look for. {@code copy} is the ceiling: 16 floats in and 16 out for one load and one store. A norm reads a
 * row twice, the second time from the first-level cache, so it should reach half of that; if it does not, the chain
 * from the sums through root and division to the first product shows, which is why rows go in groups. {@code exp} costs
 * some twenty instructions for 16 elements; {@code softmax}, {@code silu} and {@code gelu_tanh} are one exponential each
 * and should come within a division of it. {@code gelu_erf} is an exponential, a polynomial of degree 6 and a division.
 *
 * <p>Many short iterations in several launches, because what the compiler makes of a loop and where the pages of the
 * operands lie are settled once for each launch: compare minima and medians, never means.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 15, time = 200, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 30, time = 200, timeUnit = TimeUnit.MILLISECONDS)
@Fork(value = 3, jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED",
    "-Djotune.threads=1", "-XX:Tier3DelayOn=1000000"})
public class RowBenchmark {
    @Param({"layer_norm", "rms_norm", "softmax", "gelu_tanh", "gelu_erf", "silu", "exp", "copy"})
    public String operation;

    /** Rows of 768: with 128 of them operand and result are 768 KB; with 1 the cost of the call itself shows. */
    @Param({"128", "1"})
    public long rows;

    private Runnable run;

    @Setup
    public void prepare() {
        run = new Rows(rows, 768).operation(operation);
    }

    @Benchmark
    public void row() {
        run.run();
    }
}
