package dev.jotune.kernels.x86;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;

/**
 * A matrix in the middle of a larger block of which every other element is a NaN with a mark: what is read there spoils
 * the result, what is written there is found.
 */
final class Canaried {
    private static final int MARK = 0x7fc0_5a5a;
    private static final int MARGIN = 40;
    private final Tensor block;
    private final int[] before;
    private final int rows;
    private final int columns;
    private final int stride;
    final Tensor tensor;

    private Canaried(Tensor block, int rows, int columns, int stride) {
        this.block = block;
        this.rows = rows;
        this.columns = columns;
        this.stride = stride;
        before = bits();
        tensor = block.slice(0, MARGIN, MARGIN + (long) rows * stride).reshape(rows, stride).slice(1, 0, columns);
    }

    /** F32 {@code [rows, columns]} with {@code gap} elements between the rows. */
    static Canaried of(float[] values, int rows, int columns, int gap) {
        int stride = columns + gap;
        float[] all = new float[2 * MARGIN + rows * stride];
        Arrays.fill(all, Float.intBitsToFloat(MARK));
        for (int i = 0; i < rows; i++) {
            System.arraycopy(values, i * columns, all, MARGIN + i * stride, columns);
        }
        return new Canaried(Tensor.of(Backends.cpu(), all, all.length), rows, columns, stride);
    }

    /** BF16 of the same kind. */
    static Canaried narrow(float[] values, int rows, int columns, int gap) {
        Canaried wide = of(values, rows, columns, gap);
        return new Canaried(wide.block.to(DType.BF16), rows, columns, wide.stride);
    }

    private int[] bits() {
        float[] values = block.toFloatArray();
        int[] bits = new int[values.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = Float.floatToRawIntBits(values[i]);
        }
        return bits;
    }

    /** Nothing at all was written. */
    void untouched() {
        assertThat(bits()).isEqualTo(before);
    }

    /** Nothing was written around the matrix; its elements. */
    float[] written() {
        int[] after = bits();
        float[] out = new float[rows * columns];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                int at = MARGIN + i * stride + j;
                out[i * columns + j] = Float.intBitsToFloat(after[at]);
                after[at] = before[at];
            }
        }
        assertThat(after).as("around the matrix").isEqualTo(before);
        return out;
    }
}
