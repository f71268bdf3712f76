package dev.jotune.tensor.quant;

import java.util.Locale;
import java.util.Optional;

/**
 * The block formats of ggml, under their names there: so many numbers in so many bytes, each block by itself
 * (<a href="https://github.com/ggml-org/ggml">ggml-org/ggml</a>, {@code ggml-common.h}). Sizes, codes and rounding
 * are those of the {@code gguf} package, whose quantised bytes are reproduced.
 */
public enum BlockFormat {
    Q4_0(32, 18, SmallBlocks.Q4_0),
    Q4_1(32, 20, SmallBlocks.Q4_1),
    Q5_0(32, 22, SmallBlocks.Q5_0),
    Q5_1(32, 24, SmallBlocks.Q5_1),
    Q8_0(32, 34, SmallBlocks.Q8_0),
    Q2_K(256, 84, SuperBlocks.Q2_K),
    Q3_K(256, 110, SuperBlocks.Q3_K),
    Q4_K(256, 144, SuperBlocks.Q4_K),
    Q5_K(256, 176, SuperBlocks.Q5_K),
    Q6_K(256, 210, SuperBlocks.Q6_K),
    IQ4_NL(32, 18, SmallBlocks.IQ4_NL),
    IQ4_XS(256, 136, SuperBlocks.IQ4_XS),
    TQ1_0(256, 54, TernaryBlocks.TQ1_0),
    TQ2_0(256, 66, TernaryBlocks.TQ2_0),
    MXFP4(32, 17, SmallBlocks.MXFP4);

    private final int elements;
    private final int bytes;
    private final BlockCodec codec;

    BlockFormat(int elements, int bytes, BlockCodec codec) {
        this.elements = elements;
        this.bytes = bytes;
        this.codec = codec;
    }

    /** The format of this name in any case, such as {@code q8_0}; empty for other texts. */
    public static Optional<BlockFormat> named(String name) {
        for (BlockFormat f : values()) {
            if (f.name().equals(name.toUpperCase(Locale.ROOT))) {
                return Optional.of(f);
            }
        }
        return Optional.empty();
    }

    /** Numbers of a block. */
    public int elements() {
        return elements;
    }

    /** Bytes of a block. */
    public int bytes() {
        return bytes;
    }

    /**
     * Bytes of {@code columns} numbers.
     *
     * @throws IllegalArgumentException if they do not fill their last block
     */
    public long rowBytes(long columns) {
        if (columns % elements != 0) {
            throw new IllegalArgumentException(columns + " columns do not fill blocks of " + this + ", which hold " + elements
                    + ". Choose a format of smaller blocks, or nf4, which takes any size.");
        }
        return Math.multiplyExact(columns / elements, (long) bytes);
    }

    /** True if {@link #quantize} works: not for the formats whose scales are found by a search. */
    public boolean quantizes() {
        return codec.encodes();
    }

    /** Widens {@code n} numbers (whole blocks) from {@code in[at ..]}. */
    public void dequantize(byte[] in, int at, float[] out, int to, int n) {
        for (int b = 0; b < n / elements; b++) {
            codec.decode(in, at + b * bytes, out, to + b * elements);
        }
    }

    /**
     * Narrows {@code n} numbers (whole blocks) into {@code out[at ..]}.
     *
     * @throws UnsupportedOperationException where {@link #quantizes()} is false
     */
    public void quantize(float[] x, int from, byte[] out, int at, int n) {
        if (!codec.encodes()) {
            throw new UnsupportedOperationException(this + " can be read, not made. Choose q8_0, q5_1, q5_0, q4_1, q4_0, mxfp4 "
                    + "or nf4.");
        }
        for (int b = 0; b < n / elements; b++) {
            codec.encode(x, from + b * elements, out, at + b * bytes);
        }
    }
}
