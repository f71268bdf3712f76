package dev.jotune.jmh;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.FrozenKernel;
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
 * What packing a frozen weight once is worth, and what half its bytes are worth: {@code y = x W^T} of the 135M Llama's
 * feed-forward, 576 -> 1536.
 *
 * <p>A training step multiplies by the same weights again and again. In checkpoint layout every product turns W into
 * panels first: at 512 rows that is one pass over W for 512 of multiply-adds and hardly seen, at 8 rows it is most of the
 * work. Stored in BF16 the weight has half the bytes and is widened in the loop: free where bytes are the bound (few
 * rows), a few percent where multiply-adds are.
 *
 * <p>Expect, on one core with 512-bit vectors: at 512 rows {@code packed} a little ahead of {@code unpacked}; at 8 rows
 * two to three times. The peers, in the same process and round by round, are {@code bench/cpu/run.sh}'s business.
 * {@code -Djotune.extensions=on} through {@code -jvmArgsAppend} shows the machine-code kernels instead of the Vector API's.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 15, time = 200, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 15, time = 200, timeUnit = TimeUnit.MILLISECONDS)
@Fork(value = 1, jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-Djotune.threads=1",
    "-Djotune.extensions=off"})
public class ProductBenchmark {
    private static final int IN = 576;
    private static final int OUT = 1536;

    @Param({"8", "512"})
    public int rows;

    private final Backend cpu = Backends.cpu();
    private final FrozenKernel kernel = cpu.kernel(FrozenKernel.class).orElseThrow();
    private Tensor x;
    private Tensor dy;
    private Tensor w;
    private Tensor y;
    private Tensor dx;
    private FrozenKernel.Packed full;
    private FrozenKernel.Packed half;

    @Setup
    public void pack() {
        x = noise(1, rows, IN);
        dy = noise(2, rows, OUT);
        w = noise(3, OUT, IN);
        y = noise(4, rows, OUT);
        dx = noise(5, rows, IN);
        full = kernel.pack(w);
        half = kernel.pack(w.to(DType.BF16));
    }

    private Tensor noise(long seed, long... shape) {
        Tensor t = Tensor.empty(cpu, DType.F32, shape);
        cpu.uniform(t, seed, 0);
        return t;
    }

    /** The weight as the checkpoint has it. */
    @Benchmark
    public void unpacked() {
        cpu.matmul(x, w.transpose(0, 1), y, false);
    }

    /** The weight packed once. */
    @Benchmark
    public void packed() {
        kernel.product(full, x, y, Precision.F32, FrozenKernel.Joined.NONE);
    }

    /** The same in half the bytes, widened as it is read. */
    @Benchmark
    public void packedBf16() {
        kernel.product(half, x, y, Precision.F32, FrozenKernel.Joined.NONE);
    }

    /** {@code dx = dy W} from the same copy: no second one in the other order. */
    @Benchmark
    public void packedBack() {
        kernel.productBack(full, dy, dx, Precision.F32, FrozenKernel.Joined.NONE);
    }
}
