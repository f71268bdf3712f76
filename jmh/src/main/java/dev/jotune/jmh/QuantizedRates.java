package dev.jotune.jmh;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.BlockMatrix;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Locale;
import java.util.Random;

/**
 * Products of a few rows with quantised weights: {@code QuantizedRates FORMAT,FORMAT,... COLUMNS ROWS}, rows of x. One JSON line a format and
 * size, first a weight of 300 KB, then one of 100 MB that comes from memory: nanoseconds for each 32 of its numbers, median and best,
 * and the GB/s at which its bytes pass at best. With {@code -Djotune.extensions=off} by the Vector API alone.
 */
public final class QuantizedRates {
    private static final long[] BYTES = {300_000, 100_000_000};
    private static final int ROUNDS = 25;

    private QuantizedRates() {}

    public static void main(String[] args) {
        int columns = Integer.parseInt(args[1]);
        Backend cpu = Backends.cpu();
        Tensor x = Tensor.empty(cpu, DType.F32, Integer.parseInt(args[2]), columns);
        cpu.normal(x, 1, 0);
        for (String name : args[0].split(",")) {
            BlockFormat format = BlockFormat.valueOf(name);
            for (long bytes : BYTES) {
                BlockMatrix weight = random(cpu, format, bytes / format.rowBytes(columns), columns);
                double[] seconds = seconds(cpu, weight, x);
                double blocks = (double) weight.rows() * columns / 32;
                System.out.println(String.format(Locale.ROOT, "{\"weight\": \"%s\", \"backend\": \"%s\", \"rows\": %s, \"ns_per_32\": %.2f, "
                        + "\"best_ns_per_32\": %.2f, \"best_gbps\": %.1f}", weight, cpu.description(), args[2],
                        1e9 * seconds[seconds.length / 2] / blocks, 1e9 * seconds[0] / blocks, 1e-9 * weight.byteSize() / seconds[0]));
                weight.stored().storage().free();
            }
        }
    }

    /** Random bytes; without its second bit the upper half of a scale is finite. */
    private static BlockMatrix random(Backend cpu, BlockFormat format, long rows, int columns) {
        byte[] bytes = new byte[Math.toIntExact(rows * format.rowBytes(columns))];
        new Random(1).nextBytes(bytes);
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] &= (byte) 0xbf;
        }
        Tensor stored = Tensor.empty(cpu, DType.U8, bytes.length);
        cpu.write(stored, MemorySegment.ofArray(bytes));
        return BlockMatrix.of(format, rows, columns, stored);
    }

    /** Of a product, ascending; as many rounds before for the compiler. */
    private static double[] seconds(Backend cpu, BlockMatrix weight, Tensor x) {
        QuantizedProductKernel kernel = cpu.kernel(QuantizedProductKernel.class).orElseThrow();
        Tensor y = Tensor.empty(cpu, DType.F32, x.size(0), weight.rows());
        int products = (int) Math.max(1, 20_000_000 / weight.byteSize());
        double[] seconds = new double[ROUNDS];
        for (int i = -ROUNDS; i < ROUNDS; i++) {
            long start = System.nanoTime();
            for (int p = 0; p < products; p++) {
                kernel.product(x, weight, y);
            }
            if (i >= 0) {
                seconds[i] = (System.nanoTime() - start) / 1e9 / products;
            }
        }
        Arrays.sort(seconds);
        return seconds;
    }
}
