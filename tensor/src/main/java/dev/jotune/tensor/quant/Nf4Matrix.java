package dev.jotune.tensor.quant;

import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;

/**
 * NF4 with double quantisation (QLoRA, Dettmers et al., arXiv 2305.14314, section 3 and appendix E): four bits name
 * one of 16 quantiles of the normal distribution, times the largest magnitude of a block of {@value #BLOCK} numbers.
 * These magnitudes, less their mean, are kept in 8 bits of the dynamic data type, times the largest of a group of
 * {@value #GROUP}. That takes 4 + 8 / 64 + 32 / (64 256) = 4.127 bits a number, as the paper states.
 *
 * <p>Blocks run through the rows, so a row need not fill its last block. The first of two numbers lies in the high
 * half of their byte, as in bitsandbytes.
 *
 * @param codes      U8 {@code [(rows columns + 1) / 2]}
 * @param magnitudes U8 {@code [blocks]}
 * @param scales     F32 {@code [groups]}
 * @param mean       of the magnitudes
 */
public record Nf4Matrix(long rows, long columns, Tensor codes, Tensor magnitudes, Tensor scales, float mean)
        implements QuantizedMatrix {
    /** Numbers that share a magnitude. */
    public static final int BLOCK = 64;
    /** Magnitudes that share a scale. */
    public static final int GROUP = 256;

    private static final float[] QUANTILES = {-1, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
        -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0, 0.07958029955625534f, 0.16093020141124725f,
        0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1};
    private static final float[] MIDDLES = DynamicCode.middles(QUANTILES);

    /** The 16 values that codes name (a copy). */
    public static float[] quantiles() {
        return QUANTILES.clone();
    }

    /** The 256 values that the codes of magnitudes name (a copy). */
    public static float[] magnitudeCodes() {
        float[] values = new float[1 << Byte.SIZE];
        for (int code = 0; code < values.length; code++) {
            values[code] = DynamicCode.decode(code);
        }
        return values;
    }

    /**
     * Narrows a dense matrix.
     *
     * @param weight {@code [rows, columns]} of a floating type
     */
    public static Nf4Matrix quantize(Tensor weight) {
        long numel = weight.numel();
        int blocks = Math.toIntExact((numel + BLOCK - 1) / BLOCK);
        float[] largest = new float[blocks];
        Tensor codes = BlockMatrix.packed(weight.backend(), (numel + 1) / 2, bytes -> {
            BlockReader reader = new BlockReader(weight);
            for (int b = 0; b < blocks; b++) {
                float[] x = reader.next();
                largest[b] = Bits.absMax(x, 0, x.length);
                float inverse = Bits.inverse(largest[b]);
                for (int i = 0; i < x.length; i += 2) {
                    int first = nearest(x[i] * inverse);
                    int second = i + 1 < x.length ? nearest(x[i + 1] * inverse) : 0;
                    bytes.set(ValueLayout.JAVA_BYTE, ((long) b * BLOCK + i) / 2, (byte) (first << 4 | second));
                }
            }
        });
        return withMagnitudes(weight, codes, largest);
    }

    private static int nearest(float x) {
        return DynamicCode.nearest(MIDDLES, x);
    }

    private static Nf4Matrix withMagnitudes(Tensor weight, Tensor codes, float[] largest) {
        double sum = 0;
        for (float v : largest) {
            sum += v;
        }
        float mean = (float) (sum / Math.max(1, largest.length));
        float[] scales = new float[(largest.length + GROUP - 1) / GROUP];
        Tensor magnitudes = BlockMatrix.packed(weight.backend(), largest.length, bytes -> {
            for (int g = 0; g < scales.length; g++) {
                int from = g * GROUP;
                int to = Math.min(largest.length, from + GROUP);
                for (int i = from; i < to; i++) {
                    largest[i] -= mean;
                }
                scales[g] = Bits.absMax(largest, from, to - from);
                float inverse = Bits.inverse(scales[g]);
                for (int i = from; i < to; i++) {
                    bytes.set(ValueLayout.JAVA_BYTE, i, (byte) DynamicCode.encode(largest[i] * inverse));
                }
            }
        });
        Tensor kept = Scope.detach(Tensor.of(weight.backend(), scales, scales.length));
        return new Nf4Matrix(weight.size(0), weight.size(1), codes, magnitudes, kept, mean);
    }

    /** The numbers of a matrix in blocks, row after row. */
    private static final class BlockReader {
        private final Tensor weight;
        private float[] row = {};
        private int at;
        private long next;

        BlockReader(Tensor weight) {
            this.weight = weight;
        }

        float[] next() {
            float[] block = new float[(int) Math.min(BLOCK, weight.numel() - next)];
            for (int i = 0; i < block.length; i++) {
                if (at == row.length) {
                    long r = next / weight.size(1);
                    try (Scope scope = Scope.open()) {
                        row = weight.slice(0, r, r + 1).toFloatArray();
                    }
                    at = 0;
                }
                block[i] = row[at++];
                next++;
            }
            return block;
        }
    }

    @Override
    public String format() {
        return "NF4";
    }

    @Override
    public long byteSize() {
        return codes.numel() + magnitudes.numel() + scales.numel() * Float.BYTES + Float.BYTES;
    }

    /** The magnitude of a block, as it was stored. */
    public float magnitude(long block) {
        if (!magnitudes.storage().isHostAddressable() || !scales.storage().isHostAddressable()) {
            return magnitudes(block, 1)[0];
        }
        int code = magnitudes.storage().host().get(ValueLayout.JAVA_BYTE, magnitudes.offset() + block) & 0xff;
        float scale = scales.storage().host().get(ValueLayout.JAVA_FLOAT, (scales.offset() + block / GROUP) * Float.BYTES);
        Reference.reachabilityFence(magnitudes);
        Reference.reachabilityFence(scales);
        return DynamicCode.decode(code) * scale + mean;
    }

    /** The magnitudes of {@code n} blocks. */
    private float[] magnitudes(long first, int n) {
        byte[] stored = BlockMatrix.bytes(magnitudes, first, n);
        long group = first / GROUP;
        float[] scale = new float[(int) ((first + n - 1) / GROUP - group) + 1];
        scales.backend().read(scales.slice(0, group, group + scale.length), MemorySegment.ofArray(scale));
        float[] out = new float[n];
        for (int i = 0; i < n; i++) {
            out[i] = DynamicCode.decode(stored[i] & 0xff) * scale[(int) ((first + i) / GROUP - group)] + mean;
        }
        return out;
    }

    @Override
    public void row(long row, float[] out) {
        if (columns == 0) {
            return;
        }
        long start = row * columns;
        long end = start + columns;
        byte[] bytes = BlockMatrix.bytes(codes, start / 2, (int) ((end + 1) / 2 - start / 2));
        float[] magnitude = magnitudes(start / BLOCK, (int) ((end - 1) / BLOCK - start / BLOCK) + 1);
        for (int i = 0; i < columns; i++) {
            long at = start + i;
            int pair = bytes[(int) (at / 2 - start / 2)];
            out[i] = QUANTILES[(at % 2 == 0 ? pair >>> 4 : pair) & 0xf] * magnitude[(int) (at / BLOCK - start / BLOCK)];
        }
    }

    @Override
    public String toString() {
        return "NF4[" + rows + ", " + columns + "]";
    }
}
