package dev.jotune.jmh;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.kernels.Precision;
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
 * Whole steps of the 135M shape. Single shots, because a step is long enough to time by itself and the machines it
 * runs on are shared: look at the median and the minimum, not at the mean. For the ratio to PyTorch run
 * {@code bench/cpu/run.sh}, which runs both in turn.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 4)
@Measurement(iterations = 10)
@Fork(value = 1, jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class StepBenchmark {
    @Param({"lora_step", "prefix_step"})
    public String work;

    @Param({"F32"})
    public String weights;

    private Workload workload;

    @Setup
    public void load() {
        workload = new Workload(work, 30, 4, 128, DType.valueOf(weights), Precision.F32);
    }

    @Benchmark
    public double step() {
        return workload.run();
    }
}
