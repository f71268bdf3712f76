package dev.jotune.jmh;

import dev.jotune.jmh.cpu.Burst;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
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
 * What bounds a matrix product: the multiply-adds, or the bytes on their way to them?
 *
 * <p>All products here have 6 rows and 64 columns for each pass over K, the tile every larger product is made of: 24
 * accumulators, four loads of B and six broadcasts of A for each step of K. Only where B comes from differs:
 *
 * <ul>
 *   <li>{@code columns = 64, inner = 96}: B is 24 KB and stays in the first cache. The ratio to {@link #burst} is the quality
 *       of the emitted code alone; 0.9 and more is what C reaches with the same tile.
 *   <li>{@code columns = 512, inner = 256}: B is 512 KB, out of L2. 64 bytes of it serve 6 multiply-adds of 16 lanes; an L2
 *       that gives 64 bytes a cycle keeps up.
 *   <li>{@code columns = 6144, inner = 768}: B is 18 MB, out of L3 or memory, and used once for six rows: bound by bytes. That
 *       is why a product of many rows runs a panel of B over all its rows while the panel is hot.
 * </ul>
 *
 * <p>The unit is nanoseconds for a million multiply-adds; {@code burst} says how many the core needs at least. Run:
 *
 * <pre>java --add-modules jdk.incubator.vector -cp "jmh/target/classes:jmh/target/lib/*" org.openjdk.jmh.Main TileBenchmark</pre>
 *
 * <p>Many short iterations: look at the minimum and the median ({@code -rf json}), since on shared machines a mean is the
 * neighbours'.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 15, time = 200, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 15, time = 200, timeUnit = TimeUnit.MILLISECONDS)
@Fork(value = 1, jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-Djotune.threads=1",
    "-Djotune.extensions=off"})
public class TileBenchmark {
    private static final int ROWS = 6;

    /** Columns x inner. */
    @Param({"64x96", "512x256", "6144x768"})
    public String operand;

    private final Backend cpu = Backends.cpu();
    private Tensor a;
    private Tensor b;
    private Tensor c;

    @Setup
    public void allocate() {
        long columns = Long.parseLong(operand.split("x")[0]);
        long inner = Long.parseLong(operand.split("x")[1]);
        a = Tensor.full(cpu, DType.F32, 0.5, ROWS, inner);
        // Row-major: this product reads it as it lies, nothing is packed.
        b = Tensor.full(cpu, DType.F32, 0.5, inner, columns);
        c = Tensor.empty(cpu, DType.F32, ROWS, columns);
    }

    /** One product; divide by rows x columns x inner / 1e6 to compare sizes. */
    @Benchmark
    public void tiles() {
        cpu.matmul(a, b, c, false);
    }

    /** A burst of 2.3 million multiply-adds at 16 lanes: 12 chains of 12,000 steps. */
    @Benchmark
    public double burst() {
        return Burst.rate();
    }
}
