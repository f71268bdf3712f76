package dev.jotune.jmh;

import dev.jotune.tensor.Backends;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Kernels of a device beside their twins on the CPU, in the same run: {@code -p backend=cpu,opencl:0} or another that
 * {@code jotune devices} lists.
 *
 * <p>What to look for. All but the scan and the last four are bound by memory: rows of 2048 x 1024 floats are 8 MB, so {@code rms_norm} moves 17 MB,
 * {@code adamw} 59 MB, {@code add_layer_norm} 34 MB, and the time is those bytes over the device's bandwidth or the kernel wants work.
 * {@code scan} computes two exponentials for each of 34 million states. {@code gather} and {@code scatter_add} read their ids back to
 * check them, so they show what waiting for the device costs. On a driver that runs on the processor, the CPU's kernels should win:
 * they are written for it, and where a device's kernel has barriers such a driver pays for each. {@code top_k} on the CPU is the
 * definition, k times argmax. Bound by arithmetic are {@code losses}, 1.07 billion multiply-adds, and
 * {@code attention}, 67 million forward and three and a half times as many both ways. {@code sparse} reads 10485 rows of 2048 floats, most of
 * them from a cache.
 *
 * <p>Several calls are asked for before one waits, as a training step does.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Fork(value = 1, jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class DeviceBenchmark {
    private static final int CALLS = 4;

    @Param({"cpu", "opencl:0"})
    public String backend;

    @Param({"rms_norm", "rms_norm_backward", "add_layer_norm", "layer_norm_backward", "rotary", "adamw", "scan", "scan_backward", "top_k",
        "argmax", "gather", "scatter_add", "uniform", "normal", "losses", "sparse", "attention", "attention_both_ways"})
    public String operation;

    private DeviceOps ops;
    private Runnable run;

    @Setup
    public void prepare() {
        ops = new DeviceOps(Backends.get(backend));
        run = ops.operation(operation);
    }

    @Benchmark
    @OperationsPerInvocation(CALLS)
    public void kernel() {
        ops.run(run, CALLS);
    }
}
