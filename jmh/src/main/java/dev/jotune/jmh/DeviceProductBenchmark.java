package dev.jotune.jmh;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.BlockMatrix;
import dev.jotune.tensor.quant.Dequantize;
import dev.jotune.tensor.quant.Nf4Matrix;
import dev.jotune.tensor.quant.QuantizedMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
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
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * A device's products against the CPU's: {@code y = x W^T}, the same numbers, the same call, on {@code device} and on its twin.
 * {@code -p device=opencl:1} measures another one; without any the first run says what there is.
 *
 * <p>With 512 rows arithmetic is the bound: {@code 2 rows out in / time} is the rate, to be compared with the device's peak in F32
 * (operands in fewer bits are widened, so they are no faster). With one row reading W is: {@code bytes of W / time} against its
 * memory's rate, and time should follow the bytes, F32 : BF16 : Q8_0 : Q4_0 as 4 : 2 : 1.06 : 0.56. A device that is the CPU itself,
 * as PoCL makes it, loses clearly at both: items take turns on a core, and what they hold in registers elsewhere goes through
 * its cache there. Each call waits for its result, so a real device's times include one launch and one read of four bytes; in use
 * nothing waits.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 5, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 10, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Fork(value = 1, jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class DeviceProductBenchmark {
    private static final int IN = 2048;
    private static final int OUT = 2048;

    @Param("opencl:0")
    public String device;

    @Param({"1", "8", "512"})
    public int rows;

    @Param({"F32", "BF16", "Q8_0", "Q4_0", "NF4"})
    public String weights;

    private final Arena arena = Arena.ofShared();
    private final MemorySegment one = arena.allocate(Float.BYTES, Float.BYTES);
    private Product there;
    private Product here;

    /** One product, with all its operands on one backend; {@code wide} is where a quantised weight goes that has no kernel for so many rows. */
    private record Product(Backend backend, Tensor x, Tensor dense, QuantizedMatrix quantized, Tensor wide, Tensor y) {
        static Product on(Backend b, int rows, String weights) {
            Tensor w = Tensor.empty(b, DType.F32, OUT, IN);
            b.normal(w, 1, 0);
            Tensor x = Tensor.empty(b, DType.F32, rows, IN);
            b.normal(x, 2, 0);
            Tensor y = Tensor.empty(b, DType.F32, rows, OUT);
            return switch (weights) {
                case "F32", "BF16" -> new Product(b, x, w.to(DType.valueOf(weights)), null, w, y);
                case "NF4" -> new Product(b, x, null, Nf4Matrix.quantize(w), w, y);
                default -> new Product(b, x, null, BlockMatrix.quantize(BlockFormat.valueOf(weights), w), w, y);
            };
        }

        void run() {
            QuantizedProductKernel kernel = quantized == null ? null : backend.kernel(QuantizedProductKernel.class).orElseThrow();
            if (kernel == null) {
                backend.matmul(x, dense.transpose(0, 1), y, false);
            } else if (kernel.supports(quantized, x.size(0))) {
                kernel.product(x, quantized, y);
            } else {
                Dequantize.rows(quantized, 0, wide);
                backend.matmul(x, wide.transpose(0, 1), y, false);
            }
        }
    }

    @Setup
    public void make() {
        there = Product.on(Backends.get(device), rows, weights);
        here = Product.on(Backends.cpu(), rows, weights);
    }

    @TearDown
    public void close() {
        arena.close();
    }

    /** On the device, until the result is there. */
    @Benchmark
    public float device() {
        there.run();
        there.backend.read(there.y.slice(0, 0, 1).slice(1, 0, 1), one);
        return one.get(ValueLayout.JAVA_FLOAT, 0);
    }

    /** On the CPU, with vectors and all threads. */
    @Benchmark
    public Tensor cpu() {
        here.run();
        return here.y;
    }
}
