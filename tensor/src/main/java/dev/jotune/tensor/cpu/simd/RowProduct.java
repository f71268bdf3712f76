package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.BlockMatrix;
import dev.jotune.tensor.quant.Nf4Matrix;
import dev.jotune.tensor.quant.QuantizedMatrix;
import dev.jotune.tensor.quant.SignMatrix;
import java.util.Optional;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * A weight {@code [rows, columns]} as it is stored, for products with a few rows: {@code y = x W^T}. Numbers are
 * widened in registers on their way into the multiply-add; nothing of the weight is written.
 *
 * <p>Rows of the weight are read one after the other, to their ends: from memory that is up to twice as fast as
 * reading four at a time, because the processor fetches ahead along one stream. Each sum runs along its row in the
 * order of the numbers, in {@link Mem#L} partial sums: it is the same for any number of threads, and with a dense weight for any
 * number of rows of x. With a quantised one, rows by themselves and rows by four are rounded in different places.
 */
public abstract class RowProduct {
    /** Rows of x that a pass takes at most. */
    public static final int TALL = 4;

    /** How a row of x must lie. Products over weights of one kind want the same. */
    enum Input {
        /** As it is. */
        PLAIN,
        /** In every two vectors first the even and then the odd numbers. */
        PAIRS,
        /** As an extension wants it. */
        CODED
    }

    private static final VectorSpecies<Integer> HALF = L == 16 ? IntVector.SPECIES_256 : L == 8 ? IntVector.SPECIES_128 : IntVector.SPECIES_64;

    final int columns;
    private final long rows;
    private final long address;
    private final long rowBytes;
    private final int[] order;

    /**
     * @param order where rows lie, or null if in order
     */
    RowProduct(long rows, int columns, long address, long rowBytes, int[] order) {
        this.rows = rows;
        this.columns = columns;
        this.address = address;
        this.rowBytes = rowBytes;
        this.order = order;
    }

    /** The product over a dense weight whose rows are contiguous; empty for other layouts and types. The caller keeps it reachable. */
    public static Optional<RowProduct> of(Tensor weight) {
        boolean type = weight.dtype() == DType.F32 || weight.dtype() == DType.BF16 || weight.dtype() == DType.F16;
        if (!type || weight.rank() != 2 || weight.stride(1) != 1 || weight.size(1) > Integer.MAX_VALUE) {
            return Optional.empty();
        }
        Matrix transposed = new Matrix(weight.address(), weight.dtype(), 1, weight.stride(0));
        return Optional.of(of(transposed, weight.size(0), (int) weight.size(1)));
    }

    /** The product over a weight given as the right operand {@code [columns, rows]} of a matrix product. */
    static RowProduct of(Matrix transposed, long rows, int columns) {
        long rowBytes = transposed.colStride() * transposed.type().byteSize();
        return switch (transposed.type()) {
            case F32 -> new DenseRows.F32(rows, columns, transposed.address(), rowBytes);
            case BF16 -> new DenseRows.Bf16(rows, columns, transposed.address(), rowBytes);
            default -> new DenseRows.F16(rows, columns, transposed.address(), rowBytes);
        };
    }

    /** The product over a quantised weight by an extension's code, where vectors are as wide as its sums. The caller keeps the weight reachable. */
    public static Optional<RowProduct> of(BlockMatrix weight, RowCode code) {
        return L == 16 ? Optional.of(new CodeRows(weight, code)) : Optional.empty();
    }

    /** The product over a quantised weight. The caller keeps it reachable. */
    public static RowProduct of(QuantizedMatrix weight) {
        return switch (weight) {
            case BlockMatrix m -> BlockRows.of(m);
            case Nf4Matrix m -> Nf4Rows.of(m);
            case SignMatrix m -> SignRows.of(m);
        };
    }

    /** Rows of the weight whose partial sums wait to be added up. */
    int batch() {
        return 16;
    }

    /** How x must lie: {@link #prepare} brings it about. */
    Input input() {
        return Input.PLAIN;
    }

    /** Bytes that a prepared row of x takes. */
    long inputBytes() {
        return 4L * columns;
    }

    /**
     * Partial sums of weight rows with {@code h} rows of x, 1 or {@link #TALL}: h vectors a weight row.
     *
     * @param number of the first weight row
     * @param row its address
     */
    abstract void sums(int h, long x, long xs, long number, long row, int count, long sums);

    /** {@code sum} and what the vectors of {@link #sums} leave of one row. */
    float tail(float sum, long x, long row) {
        return sum;
    }

    /** Whether {@link #tail} has anything. */
    boolean hasTail() {
        return false;
    }

    final long row(long r) {
        return address + rowBytes * (order == null ? r : order[(int) r]);
    }

    public final int columns() {
        return columns;
    }

    public final long rows() {
        return rows;
    }

    /** Bytes of a row as it is stored. */
    public final long rowBytes() {
        return rowBytes;
    }

    /** A row of x, as it is in memory, in the form that {@link #input} names. */
    void prepare(long from, long to) {
        int even = input() == Input.PAIRS ? columns / (2 * L) * (2 * L) : 0;
        for (int p = 0; p < even; p += 2 * L) {
            halves(from + 4L * p, to + 4L * p);
            halves(from + 4L * (p + L), to + 4L * p + LB / 2);
        }
        Mem.copy(from + 4L * even, to + 4L * even, 4L * (columns - even));
    }

    /** The even ones of L floats, and a vector behind them the odd ones: a pair is the two halves of a long. */
    private static void halves(long from, long to) {
        LongVector pairs = LongVector.fromMemorySegment(LongVector.SPECIES_PREFERRED, ALL, from, ORDER);
        ((IntVector) pairs.convertShape(VectorOperators.L2I, HALF, 0)).intoMemorySegment(ALL, to, ORDER);
        ((IntVector) pairs.lanewise(VectorOperators.LSHR, 32).convertShape(VectorOperators.L2I, HALF, 0)).intoMemorySegment(ALL, to + LB, ORDER);
    }

    /**
     * {@code y[i, r] = sum of x[i] w[r]} for m rows of x, prepared, and rows {@code from} to {@code to} of the weight.
     *
     * @param xs bytes from one row of x to the next
     * @param ys bytes from one row of y to the next
     */
    final void run(int m, long x, long xs, long from, long to, long y, long ys) {
        int batch = batch();
        long sums = Scratch.get(Scratch.ROW_SUMS, (long) TALL * batch * LB);
        for (long r = from; r < to; r += batch) {
            int count = (int) Math.min(batch, to - r);
            for (int i = 0; i < m;) {
                int h = m - i >= TALL ? TALL : 1;
                batch(h, x + xs * i, xs, r, count, sums);
                finish(h, x + xs * i, xs, r, count, sums, y + ys * i, ys);
                i += h;
            }
        }
    }

    private void batch(int h, long x, long xs, long from, int count, long sums) {
        if (order == null) {
            sums(h, x, xs, from, row(from), count, sums);
        } else {
            for (int j = 0; j < count; j++) {
                sums(h, x, xs, from + j, row(from + j), 1, sums + (long) h * LB * j);
            }
        }
        Lanes.fold(sums, h * count);
    }

    private void finish(int h, long x, long xs, long from, int count, long sums, long y, long ys) {
        boolean more = hasTail();
        for (int j = 0; j < count; j++) {
            for (int i = 0; i < h; i++) {
                float sum = Mem.f32(sums + 4L * (h * j + i));
                if (more) {
                    sum = tail(sum, x + xs * i, row(from + j));
                }
                Mem.f32(y + ys * i + 4 * (from + j), sum);
            }
        }
    }
}
