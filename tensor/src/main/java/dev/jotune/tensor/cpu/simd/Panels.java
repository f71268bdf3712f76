package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.SI;

import dev.jotune.tensor.DType;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * A weight {@code W [n, k]} as panels {@code [n / NR][k][NR]}, the last one filled with zeros: what a product
 * {@code x W^T} reads as it lies.
 *
 * <p>F32 and F16 lie as they are. BF16 lies in pairs, two vectors of columns in the halves of one vector of ints, so
 * that a shift and a mask widen them: a panel of narrow numbers costs one load for two vectors and no conversion.
 *
 * @param address 64-byte aligned
 * @param type    F32, BF16 or F16
 */
public record Panels(long address, DType type, int n, int k) {
    /** Bytes of all panels of a weight. */
    public static long bytes(DType type, int n, int k) {
        return (long) count(n) * k * Gemm.NR * type.byteSize();
    }

    static int count(int n) {
        return (n + Gemm.NR - 1) / Gemm.NR;
    }

    /** Columns of panel {@code j} that are the weight's. */
    int columns(int j) {
        return Math.min(Gemm.NR, n - j * Gemm.NR);
    }

    /** Where step {@code p} of panel {@code j} lies. */
    long at(int j, int p) {
        return address + ((long) j * k + p) * Gemm.NR * type.byteSize();
    }

    /** Copies the weight, any strides, into these panels. */
    public void fill(Matrix w) {
        GemmPack.check(type);
        Parallel.run(count(n), j -> {
            long from = w.address() + (long) j * Gemm.NR * w.rowStride() * type.byteSize();
            boolean wide = type == DType.F32;
            long panel = wide ? at(j, 0) : Scratch.get(Scratch.GEMM_PANEL, 4L * k * Gemm.NR);
            GemmPack.packB(type, from, w.colStride(), w.rowStride(), columns(j), k, Gemm.NR, panel);
            if (!wide) {
                narrow(panel, at(j, 0), k * Gemm.NR);
            }
        });
    }

    /** Steps {@code [from, from + steps)} of panel j in F32: where they lie, or copied to {@code scratch}. */
    long wide(int j, int from, int steps, long scratch) {
        if (type == DType.F32) {
            return at(j, from);
        }
        if (type == DType.BF16) {
            splitPairs(at(j, from), scratch, steps * Gemm.NR / (2 * L));
        } else {
            Convert.f16ToF32(at(j, from), scratch, steps * Gemm.NR);
        }
        return scratch;
    }

    /** Columns {@code [from, from + steps)} of panel j as rows: {@code [columns(j)][steps]} with {@code rowBytes} between rows. */
    void transposed(int j, int from, int steps, long out, long rowBytes) {
        int size = 4 * Gemm.NR;
        long wide = wide(j, from, steps, type == DType.F32 ? 0 : Scratch.get(Scratch.GEMM_ROWS, (long) steps * size));
        int columns = columns(j);
        int square = columns / L * L;
        int done = steps / L * L;
        for (int p = 0; p < done; p += L) {
            Transpose.run(wide + (long) p * size, size, out + 4L * p, rowBytes, square / L);
        }
        for (int c = 0; c < columns; c++) {
            for (int p = c < square ? done : 0; p < steps; p++) {
                Mem.f32(out + c * rowBytes + 4L * p, Mem.f32(wide + (long) p * size + 4L * c));
            }
        }
    }

    /** Rows {@code [first, first + count)} of the weight in F32, {@code rowBytes} apart; {@code first} begins a panel. */
    public void rows(int first, int count, long out, long rowBytes) {
        int panels = count(count);
        Parallel.run(panels, j -> {
            int at = first / Gemm.NR + j;
            transposed(at, 0, k, out + (long) j * Gemm.NR * rowBytes, rowBytes);
        });
    }

    /** Row {@code i} of the weight in F32. */
    public void row(int i, long out) {
        int size = type.byteSize();
        int column = i % Gemm.NR;
        // The pair's vector, the lane within it, and which half.
        int place = type == DType.BF16 ? column / (2 * L) * 2 * L + column % L * 2 + column / L % 2 : column;
        long from = at(i / Gemm.NR, 0) + (long) place * size;
        for (int p = 0; p < k; p++) {
            float value = switch (type) {
                case F32 -> Mem.f32(from);
                case BF16 -> Float.intBitsToFloat(Mem.i16(from) << 16);
                default -> Float.float16ToFloat(Mem.i16(from));
            };
            Mem.f32(out + 4L * p, value);
            from += (long) Gemm.NR * size;
        }
    }

    private void narrow(long from, long to, int numbers) {
        if (type == DType.F16) {
            Convert.f32ToF16(from, to, numbers);
            return;
        }
        for (int i = 0; i < numbers; i += 2 * L) {
            IntVector low = IntVector.fromMemorySegment(SI, ALL, from, ORDER).lanewise(VectorOperators.LSHR, 16);
            IntVector high = IntVector.fromMemorySegment(SI, ALL, from + LB, ORDER);
            low.or(high.and(0xffff0000)).intoMemorySegment(ALL, to, ORDER);
            from += 2L * LB;
            to += LB;
        }
    }

    private static void splitPairs(long from, long to, int pairs) {
        for (int i = 0; i < pairs; i++) {
            IntVector pair = IntVector.fromMemorySegment(SI, ALL, from, ORDER);
            pair.lanewise(VectorOperators.LSHL, 16).intoMemorySegment(ALL, to, ORDER);
            pair.and(0xffff0000).intoMemorySegment(ALL, to + LB, ORDER);
            from += LB;
            to += 2L * LB;
        }
    }
}
