package dev.jotune.tensor.io;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.BlockMatrix;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * A tensor of a GGUF file.
 *
 * @param shape outermost first, as everywhere here; files list the innermost first
 * @param data  exactly its bytes, read-only, in the file's pages
 */
public record GgufTensor(String name, GgufType type, long[] shape, MemorySegment data) {
    public GgufTensor {
        shape = shape.clone();
    }

    @Override
    public long[] shape() {
        return shape.clone();
    }

    /**
     * A tensor of a plain type.
     *
     * @throws UnsupportedOperationException for quantised types
     */
    public RawTensor raw() {
        return new RawTensor(type.plain().orElseThrow(() -> new UnsupportedOperationException("tensor "
                + FormatException.quote(name) + " is quantised as " + type + ". Read it with blocks().")), shape, data);
    }

    /**
     * A quantised tensor over the file's pages; all axes but the last become rows.
     *
     * @throws UnsupportedOperationException for plain types, and for quantised types that cannot be widened here
     */
    public BlockMatrix blocks(Backend backend) {
        if (type.blocks().isEmpty()) {
            throw new UnsupportedOperationException("tensor " + FormatException.quote(name) + " is stored as " + type
                    + (type.plain().isPresent() ? ", not in blocks. Read it with raw()."
                    : ", whose code tables are not known here. Convert the file to another type, such as Q4_K."));
        }
        long columns = shape[shape.length - 1];
        long rows = Arrays.stream(shape).limit(shape.length - 1).reduce(1, Math::multiplyExact);
        Tensor bytes = backend.map(data, DType.U8, data.byteSize());
        return BlockMatrix.of(type.blocks().get(), rows, columns, bytes);
    }

    @Override
    public String toString() {
        return FormatException.quote(name) + " " + type + Arrays.toString(shape);
    }
}
