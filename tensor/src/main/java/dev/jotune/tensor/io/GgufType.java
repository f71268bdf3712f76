package dev.jotune.tensor.io;

import dev.jotune.tensor.quant.BlockFormat;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * The tensor types of GGUF, by their numbers in files. Numbers that the format has withdrawn, or that never occur in
 * files, are not listed.
 */
public enum GgufType {
    F32(0, StoredType.F32),
    F16(1, StoredType.F16),
    Q4_0(2, BlockFormat.Q4_0),
    Q4_1(3, BlockFormat.Q4_1),
    Q5_0(6, BlockFormat.Q5_0),
    Q5_1(7, BlockFormat.Q5_1),
    Q8_0(8, BlockFormat.Q8_0),
    Q2_K(10, BlockFormat.Q2_K),
    Q3_K(11, BlockFormat.Q3_K),
    Q4_K(12, BlockFormat.Q4_K),
    Q5_K(13, BlockFormat.Q5_K),
    Q6_K(14, BlockFormat.Q6_K),
    IQ2_XXS(16, 256, 66),
    IQ2_XS(17, 256, 74),
    IQ3_XXS(18, 256, 98),
    IQ1_S(19, 256, 50),
    IQ4_NL(20, BlockFormat.IQ4_NL),
    IQ3_S(21, 256, 110),
    IQ2_S(22, 256, 82),
    IQ4_XS(23, BlockFormat.IQ4_XS),
    I8(24, StoredType.I8),
    I16(25, StoredType.I16),
    I32(26, StoredType.I32),
    I64(27, StoredType.I64),
    F64(28, StoredType.F64),
    IQ1_M(29, 256, 56),
    BF16(30, StoredType.BF16),
    TQ1_0(34, BlockFormat.TQ1_0),
    TQ2_0(35, BlockFormat.TQ2_0),
    MXFP4(39, BlockFormat.MXFP4);

    private static final Map<Integer, GgufType> BY_NUMBER =
            Arrays.stream(values()).collect(Collectors.toUnmodifiableMap(t -> t.number, Function.identity()));

    private final int number;
    private final int blockElements;
    private final int blockBytes;
    private final Optional<StoredType> plain;
    private final Optional<BlockFormat> blocks;

    GgufType(int number, StoredType plain) {
        this(number, 1, plain.bits() / Byte.SIZE, Optional.of(plain), Optional.empty());
    }

    GgufType(int number, BlockFormat blocks) {
        this(number, blocks.elements(), blocks.bytes(), Optional.empty(), Optional.of(blocks));
    }

    /** A type of known size whose code tables are not known here: files that hold it open, its numbers do not. */
    GgufType(int number, int blockElements, int blockBytes) {
        this(number, blockElements, blockBytes, Optional.empty(), Optional.empty());
    }

    GgufType(int number, int blockElements, int blockBytes, Optional<StoredType> plain, Optional<BlockFormat> blocks) {
        this.number = number;
        this.blockElements = blockElements;
        this.blockBytes = blockBytes;
        this.plain = plain;
        this.blocks = blocks;
    }

    /** The type of this number, if there is one. */
    static Optional<GgufType> numbered(int number) {
        return Optional.ofNullable(BY_NUMBER.get(number));
    }

    /** Numbers that lie together: 1 for plain types. The innermost dimension is a multiple of it. */
    public int blockElements() {
        return blockElements;
    }

    /** Bytes of as many numbers. */
    public int blockBytes() {
        return blockBytes;
    }

    /** The same type in safetensors files, for plain types. */
    public Optional<StoredType> plain() {
        return plain;
    }

    /** How blocks are widened, for quantised types that can be. */
    public Optional<BlockFormat> blocks() {
        return blocks;
    }
}
