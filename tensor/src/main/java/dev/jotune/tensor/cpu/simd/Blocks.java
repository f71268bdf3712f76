package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Elements;
import dev.jotune.tensor.expr.Expr.BinaryOp;
import dev.jotune.tensor.expr.Expr.UnaryOp;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Blocks of floats in raw memory: loading, storing, reducing, and which loop serves which operation of an expression.
 * A result may lie on an operand, element for element.
 */
public final class Blocks {
    private Blocks() {}

    /** The width of the vectors in use. */
    public static int vectorBits() {
        return S.vectorBitSize();
    }

    /** At least {@code floats} floats of this thread's scratch memory, valid until its next use by this thread. */
    public static long scratch(long floats) {
        return Scratch.get(Scratch.BLOCKS, 4 * floats);
    }

    /** {@code y = op(x)}. */
    public static void unary(UnaryOp op, long x, long y, int n) {
        switch (op) {
            case NEG -> Unary.neg(x, y, n);
            case ABS -> Unary.abs(x, y, n);
            case SIGN -> Unary.sign(x, y, n);
            case EXP -> Unary.exp(x, y, n);
            case LOG -> Unary.log(x, y, n);
            case LOG1P -> Unary.log1p(x, y, n);
            case SQRT -> Unary.sqrt(x, y, n);
            case RSQRT -> Unary.rsqrt(x, y, n);
            case RECIPROCAL -> Unary.reciprocal(x, y, n);
            case TANH -> Unary.tanh(x, y, n);
            case SIGMOID -> Unary.sigmoid(x, y, n);
            case ERF -> Unary.erf(x, y, n);
            case SIN -> Unary.sin(x, y, n);
            case COS -> Unary.cos(x, y, n);
            case FLOOR -> Unary.floor(x, y, n);
        }
    }

    /** {@code y = op(a, b)}. */
    public static void binary(BinaryOp op, long a, long b, long y, int n) {
        switch (op) {
            case ADD -> Arithmetic.add(a, b, y, n);
            case SUB -> Arithmetic.sub(a, b, y, n);
            case MUL -> Arithmetic.mul(a, b, y, n);
            case DIV -> Arithmetic.div(a, b, y, n);
            case MAX -> Arithmetic.max(a, b, y, n);
            case MIN -> Arithmetic.min(a, b, y, n);
            case POW -> Arithmetic.pow(a, b, y, n);
            case LT -> Comparison.lt(a, b, y, n);
            case LE -> Comparison.le(a, b, y, n);
            case GT -> Comparison.gt(a, b, y, n);
            case GE -> Comparison.ge(a, b, y, n);
            case EQ -> Comparison.eq(a, b, y, n);
        }
    }

    /** {@code y = op(a, b)} with the same b everywhere. */
    public static void binary(BinaryOp op, long a, float b, long y, int n) {
        switch (op) {
            case ADD -> Arithmetic.add(a, b, y, n);
            case SUB -> Arithmetic.sub(a, b, y, n);
            case MUL -> Arithmetic.mul(a, b, y, n);
            case DIV -> Arithmetic.div(a, b, y, n);
            case MAX -> Arithmetic.max(a, b, y, n);
            case MIN -> Arithmetic.min(a, b, y, n);
            case POW -> Arithmetic.pow(a, b, y, n);
            case LT -> Comparison.lt(a, b, y, n);
            case LE -> Comparison.le(a, b, y, n);
            case GT -> Comparison.gt(a, b, y, n);
            case GE -> Comparison.ge(a, b, y, n);
            case EQ -> Comparison.eq(a, b, y, n);
        }
    }

    /** {@code y = op(a, b)} with the same a everywhere. */
    public static void binary(BinaryOp op, float a, long b, long y, int n) {
        switch (op) {
            case ADD -> Arithmetic.add(a, b, y, n);
            case SUB -> Arithmetic.sub(a, b, y, n);
            case MUL -> Arithmetic.mul(a, b, y, n);
            case DIV -> Arithmetic.div(a, b, y, n);
            case MAX -> Arithmetic.max(a, b, y, n);
            case MIN -> Arithmetic.min(a, b, y, n);
            case POW -> Arithmetic.pow(a, b, y, n);
            case LT -> Comparison.lt(a, b, y, n);
            case LE -> Comparison.le(a, b, y, n);
            case GT -> Comparison.gt(a, b, y, n);
            case GE -> Comparison.ge(a, b, y, n);
            case EQ -> Comparison.eq(a, b, y, n);
        }
    }

    /** {@code y = condition != 0 ? a : b}; address 0 stands for the scalar beside it. */
    public static void select(long condition, long a, float sa, long b, float sb, long y, int n) {
        int i = 0;
        for (; i + L <= n; i += L) {
            long o = 4L * i;
            FloatVector c = FloatVector.fromMemorySegment(S, ALL, condition + o, ORDER);
            FloatVector x = a == 0 ? FloatVector.broadcast(S, sa) : FloatVector.fromMemorySegment(S, ALL, a + o, ORDER);
            FloatVector z = b == 0 ? FloatVector.broadcast(S, sb) : FloatVector.fromMemorySegment(S, ALL, b + o, ORDER);
            x.blend(z, c.compare(VectorOperators.EQ, 0f)).intoMemorySegment(ALL, y + o, ORDER);
        }
        for (; i < n; i++) {
            long o = 4L * i;
            boolean first = Mem.f32(condition + o) != 0;
            Mem.f32(y + o, first ? a == 0 ? sa : Mem.f32(a + o) : b == 0 ? sb : Mem.f32(b + o));
        }
    }

    /** 0, 1, 2, ... */
    public static void iota(long y, int n) {
        for (int i = 0; i < n; i++) {
            Mem.f32(y + 4L * i, i);
        }
    }

    public static void fill(long y, float v, int n) {
        Arithmetic.fill(v, y, n);
    }

    public static void copy(long x, long y, int n) {
        Convert.f32ToF32(x, y, n);
    }

    public static void copyIn(float[] values, long y) {
        MemorySegment.copy(values, 0, ALL, ValueLayout.JAVA_FLOAT_UNALIGNED, y, values.length);
    }

    public static float sum(long x, int n) {
        return Reduce.sum(x, n);
    }

    /** The largest; NaN if there is one; -infinity of nothing. */
    public static float max(long x, int n) {
        return Reduce.max(x, n);
    }

    /** The sum of strided elements, in chunks so that long sums keep their digits. */
    public static float sum(long x, long step, int n) {
        double sum = 0;
        if (step == 1) {
            for (int i = 0; i < n; i += 4096) {
                sum += sum(x + 4L * i, Math.min(4096, n - i));
            }
        } else {
            for (int i = 0; i < n; i++) {
                sum += Mem.f32(x + 4 * step * i);
            }
        }
        return (float) sum;
    }

    /** Adds a number to a float in memory. */
    public static void addTo(long y, float v) {
        Mem.f32(y, Mem.f32(y) + v);
    }

    /** {@code y += x}. */
    public static void add(long x, long xStep, long y, long yStep, int n) {
        if (xStep == 1 && yStep == 1) {
            Arithmetic.add(y, x, y, n);
            return;
        }
        for (int i = 0; i < n; i++) {
            addTo(y + 4 * yStep * i, Mem.f32(x + 4 * xStep * i));
        }
    }

    /** One element of any type. */
    public static float get(DType type, long a) {
        return type == DType.F32 ? Mem.f32(a) : (float) Elements.get(type, a);
    }

    /** Widens strided elements of any type to floats. */
    public static void load(DType type, long from, long step, long to, int n) {
        convert(type, from, step, DType.F32, to, 1, n);
    }

    /** Stores floats as strided elements of any type. */
    public static void store(long from, DType type, long to, long step, int n) {
        convert(DType.F32, from, 1, type, to, step, n);
    }

    /** Stores one number n times. */
    public static void fillAs(DType type, long to, long step, float v, int n) {
        if (type == DType.F32 && step == 1) {
            fill(to, v, n);
            return;
        }
        for (int i = 0; i < n; i++) {
            Elements.put(type, to + i * step * type.byteSize(), v);
        }
    }

    /** Whether {@link #convert} does better than element by element. */
    public static boolean converts(DType from, DType to) {
        return from == to || from == DType.F32 && (to == DType.BF16 || to == DType.F16)
                || to == DType.F32 && (from == DType.BF16 || from == DType.F16)
                || from == DType.F32 && to == DType.F64 || from == DType.F64 && to == DType.F32
                || from == DType.I32 && to == DType.I64 || from == DType.I64 && to == DType.I32;
    }

    /** Copies {@code n} strided elements, converting. */
    public static void convert(DType from, long x, long xStep, DType to, long y, long yStep, int n) {
        if (xStep == 1 && yStep == 1 && converts(from, to)) {
            dense(from, x, to, y, n);
        } else if (from == to && from.byteSize() == 4) {
            for (int i = 0; i < n; i++) {
                Mem.i32(y + 4 * yStep * i, Mem.i32(x + 4 * xStep * i));
            }
        } else if (!from.isFloating() && !to.isFloating()) {
            for (int i = 0; i < n; i++) {
                Elements.putLong(to, y + i * yStep * to.byteSize(), Elements.getLong(from, x + i * xStep * from.byteSize()));
            }
        } else {
            for (int i = 0; i < n; i++) {
                Elements.put(to, y + i * yStep * to.byteSize(), Elements.get(from, x + i * xStep * from.byteSize()));
            }
        }
    }

    private static void dense(DType from, long x, DType to, long y, int n) {
        if (from == DType.F64 && to == DType.F32) {
            Convert.f64ToF32(x, y, n);
        } else if (from == DType.F32 && to == DType.F64) {
            Convert.f32ToF64(x, y, n);
        } else if (from == DType.I64 && to == DType.I32) {
            Convert.i64ToI32(x, y, n);
        } else if (from == DType.I32 && to == DType.I64) {
            Convert.i32ToI64(x, y, n);
        } else if (from == to) {
            if (from == DType.F32) {
                Convert.f32ToF32(x, y, n);
            } else {
                Mem.copy(x, y, (long) n * from.byteSize());
            }
        } else if (to == DType.F32) {
            if (from == DType.BF16) {
                Convert.bf16ToF32(x, y, n);
            } else {
                Convert.f16ToF32(x, y, n);
            }
        } else if (to == DType.BF16) {
            Convert.f32ToBf16(x, y, n);
        } else {
            Convert.f32ToF16(x, y, n);
        }
    }
}
