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
 * Why few rows get kernels of their own. A decode step multiplies one row with every weight of the model, so each weight is
 * used for one multiply-add: what counts is how many bytes come from memory, and how evenly.
 *
 * <p>Compare the types at {@code rows = 1}: on {@code 49152 x 576}, which no cache holds, the time should follow the bytes of
 * the weight, F32 : BF16 : Q8_0 : Q4_0 as 4 : 2 : 1.06 : 0.56, as long as widening in registers keeps up with memory. Then
 * look at {@code widened}: the same product by way of F32 rows in memory, which is what the fused kernel saves. At
 * {@code rows = 8} the arithmetic begins to count, and types that widen slowly fall behind.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 6, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 15, time = 200, timeUnit = TimeUnit.MILLISECONDS)
@Fork(value = 3, jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class SkinnyBenchmark {
    /** Outputs: a projection that fits the second cache, and a vocabulary that fits none. */
    @Param({"576", "49152"})
    public int out;

    @Param({"1", "8"})
    public int rows;

    @Param({"F32", "BF16", "F16", "Q8_0", "Q4_0", "Q4_1", "NF4"})
    public String weights;

    private static final int IN = 576;
    private final Backend cpu = Backends.cpu();
    private Tensor x;
    private Tensor y;
    private Tensor dense;
    private Tensor wide;
    private QuantizedMatrix quantized;

    @Setup
    public void make() {
        Tensor w = Tensor.empty(cpu, DType.F32, out, IN);
        cpu.normal(w, 1, 0);
        x = Tensor.empty(cpu, DType.F32, rows, IN);
        cpu.normal(x, 2, 0);
        y = Tensor.empty(cpu, DType.F32, rows, out);
        wide = w;
        switch (weights) {
            case "F32", "BF16", "F16" -> dense = w.to(DType.valueOf(weights));
            case "NF4" -> quantized = Nf4Matrix.quantize(w);
            default -> quantized = BlockMatrix.quantize(BlockFormat.valueOf(weights), w);
        }
    }

    /** The weight as it is stored. */
    @Benchmark
    public Tensor stored() {
        if (dense != null) {
            cpu.matmul(x, dense.transpose(0, 1), y, false);
        } else {
            cpu.kernel(QuantizedProductKernel.class).orElseThrow().product(x, quantized, y);
        }
        return y;
    }

    /** The weight written out in F32 first, as must be where a backend has no kernel. */
    @Benchmark
    public Tensor widened() {
        if (dense != null) {
            cpu.copy(dense, wide);
        } else {
            Dequantize.rows(quantized, 0, wide);
        }
        cpu.matmul(x, wide.transpose(0, 1), y, false);
        return y;
    }

    /** Widening alone: what more than ten rows pay once; divide the weight's bytes by it for MB/s. */
    @Benchmark
    public Tensor widening() {
        if (dense != null) {
            cpu.copy(dense, wide);
        } else {
            Dequantize.rows(quantized, 0, wide);
        }
        return wide;
    }
}
