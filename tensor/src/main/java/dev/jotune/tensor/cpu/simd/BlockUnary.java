package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import dev.jotune.tensor.expr.Expr.UnaryOp;
import dev.jotune.tensor.expr.Scalar;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * One loop for each function of one number: an operation passed as a parameter would keep the compiler from using
 * the instruction, at a hundredth of the speed.
 */
final class BlockUnary {
    private BlockUnary() {}

    static void run(UnaryOp op, long x, long y, int n) {
        int whole = n / L * L;
        loop(op, x, y, whole);
        if (whole < n) {
            // The rest goes through a padded vector: the same arithmetic as everywhere else.
            long rest = Scratch.get(Scratch.BLOCK_REST, 4L * L);
            Blocks.fill(rest, 1, L);
            Convert.f32ToF32(x + 4L * whole, rest, n - whole);
            loop(op, rest, rest, L);
            Convert.f32ToF32(rest, y + 4L * whole, n - whole);
        }
    }

    private static void loop(UnaryOp op, long x, long y, int n) {
        switch (op) {
            case NEG -> neg(x, y, n);
            case ABS -> abs(x, y, n);
            case SIGN -> sign(x, y, n);
            case EXP -> exp(x, y, n);
            case LOG -> log(x, y, n);
            case SQRT -> sqrt(x, y, n);
            case RSQRT -> rsqrt(x, y, n);
            case RECIPROCAL -> reciprocal(x, y, n);
            case TANH -> tanh(x, y, n);
            case SIGMOID -> sigmoid(x, y, n);
            case ERF -> erf(x, y, n);
            case LOG1P -> log1p(x, y, n);
            case SIN, COS, FLOOR -> scalar(op, x, y, n);
        }
    }

    /** Rare functions, one element at a time. */
    private static void scalar(UnaryOp op, long x, long y, int n) {
        for (int i = 0; i < n; i++) {
            Mem.f32(y + 4L * i, (float) Scalar.apply(op, Mem.f32(x + 4L * i)));
        }
    }

    /** {@code log(1 + x)}: with {@code u = 1 + x} rounded, {@code log(u) x / (u - 1)} repairs the rounding. */
    private static void log1p(long x, long y, int n) {
        FloatVector one = FloatVector.broadcast(S, 1f);
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector u = v.add(one);
            FloatVector d = u.sub(one);
            VectorMask<Float> tiny = d.compare(VectorOperators.EQ, 0f);
            VectorMask<Float> huge = v.compare(VectorOperators.EQ, Float.POSITIVE_INFINITY);
            FloatVector r = VMath.log(u).mul(v.div(d.blend(one, tiny)));
            r.blend(v, tiny).blend(v, huge).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void neg(long x, long y, int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            v.neg().intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void abs(long x, long y, int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            v.abs().intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void sign(long x, long y, int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector r = v.blend(1f, v.compare(VectorOperators.GT, 0f));
            r.blend(-1f, v.compare(VectorOperators.LT, 0f)).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void exp(long x, long y, int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            VMath.exp(v).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void log(long x, long y, int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            VMath.log(v).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void sqrt(long x, long y, int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            v.lanewise(VectorOperators.SQRT).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void rsqrt(long x, long y, int n) {
        FloatVector one = FloatVector.broadcast(S, 1f);
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            one.div(v.lanewise(VectorOperators.SQRT)).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void reciprocal(long x, long y, int n) {
        FloatVector one = FloatVector.broadcast(S, 1f);
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            one.div(v).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void tanh(long x, long y, int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            VMath.tanh(v).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void sigmoid(long x, long y, int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            VMath.sigmoid(v).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void erf(long x, long y, int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            VMath.erf(v).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }
}
