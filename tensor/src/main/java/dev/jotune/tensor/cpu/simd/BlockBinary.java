package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import dev.jotune.tensor.expr.Expr.BinaryOp;
import dev.jotune.tensor.expr.Scalar;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** One loop for each function of two numbers; a scalar operand is a vector in memory that the loop does not move on from. */
final class BlockBinary {
    private BlockBinary() {}

    static void run(BinaryOp op, long a, long b, long y, int n) {
        run(op, a, 4, b, 4, y, n);
    }

    static void run(BinaryOp op, long a, float b, long y, int n) {
        run(op, a, 4, broadcast(b), 0, y, n);
    }

    static void run(BinaryOp op, float a, long b, long y, int n) {
        run(op, broadcast(a), 0, b, 4, y, n);
    }

    private static long broadcast(float v) {
        long at = Scratch.get(Scratch.BLOCK_SCALAR, 4L * L);
        Blocks.fill(at, v, L);
        return at;
    }

    /** Steps are bytes from one element to the next, 4 or 0. */
    private static void run(BinaryOp op, long a, long as, long b, long bs, long y, int n) {
        int whole = n / L * L;
        loop(op, a, as, b, bs, y, whole);
        if (whole < n) {
            long left = Scratch.get(Scratch.BLOCK_REST, 8L * L);
            long right = left + 4L * L;
            Blocks.fill(left, 1, 2 * L);
            rest(a + as * whole, as, left, n - whole);
            rest(b + bs * whole, bs, right, n - whole);
            loop(op, left, 4, right, 4, left, L);
            Convert.f32ToF32(left, y + 4L * whole, n - whole);
        }
    }

    private static void rest(long x, long step, long to, int n) {
        Convert.f32ToF32(x, to, step == 0 ? L : n);
    }

    private static void loop(BinaryOp op, long a, long as, long b, long bs, long y, int n) {
        switch (op) {
            case ADD -> add(a, as, b, bs, y, n);
            case SUB -> sub(a, as, b, bs, y, n);
            case MUL -> mul(a, as, b, bs, y, n);
            case DIV -> div(a, as, b, bs, y, n);
            case MAX -> max(a, as, b, bs, y, n);
            case MIN -> min(a, as, b, bs, y, n);
            case LT -> lt(a, as, b, bs, y, n);
            case LE -> le(a, as, b, bs, y, n);
            case GT -> gt(a, as, b, bs, y, n);
            case GE -> ge(a, as, b, bs, y, n);
            case EQ -> eq(a, as, b, bs, y, n);
            case POW -> pow(a, as, b, bs, y, n);
        }
    }

    /** Rare: one element at a time. */
    private static void pow(long a, long as, long b, long bs, long y, int n) {
        for (int i = 0; i < n; i++) {
            Mem.f32(y + 4L * i, (float) Scalar.apply(BinaryOp.POW, Mem.f32(a + as * i), Mem.f32(b + bs * i)));
        }
    }

    private static void add(long a, long as, long b, long bs, long y, int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, a + as * i, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, ALL, b + bs * i, ORDER);
            v.add(w).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void sub(long a, long as, long b, long bs, long y, int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, a + as * i, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, ALL, b + bs * i, ORDER);
            v.sub(w).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void mul(long a, long as, long b, long bs, long y, int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, a + as * i, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, ALL, b + bs * i, ORDER);
            v.mul(w).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void div(long a, long as, long b, long bs, long y, int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, a + as * i, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, ALL, b + bs * i, ORDER);
            v.div(w).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void max(long a, long as, long b, long bs, long y, int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, a + as * i, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, ALL, b + bs * i, ORDER);
            v.blend(w, w.compare(VectorOperators.GT, v).or(w.test(VectorOperators.IS_NAN))).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void min(long a, long as, long b, long bs, long y, int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, a + as * i, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, ALL, b + bs * i, ORDER);
            v.blend(w, w.compare(VectorOperators.LT, v).or(w.test(VectorOperators.IS_NAN))).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void lt(long a, long as, long b, long bs, long y, int n) {
        FloatVector zero = FloatVector.zero(S);
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, a + as * i, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, ALL, b + bs * i, ORDER);
            zero.blend(1f, v.compare(VectorOperators.LT, w)).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void le(long a, long as, long b, long bs, long y, int n) {
        FloatVector zero = FloatVector.zero(S);
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, a + as * i, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, ALL, b + bs * i, ORDER);
            zero.blend(1f, v.compare(VectorOperators.LE, w)).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void gt(long a, long as, long b, long bs, long y, int n) {
        FloatVector zero = FloatVector.zero(S);
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, a + as * i, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, ALL, b + bs * i, ORDER);
            zero.blend(1f, v.compare(VectorOperators.GT, w)).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void ge(long a, long as, long b, long bs, long y, int n) {
        FloatVector zero = FloatVector.zero(S);
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, a + as * i, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, ALL, b + bs * i, ORDER);
            zero.blend(1f, v.compare(VectorOperators.GE, w)).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    private static void eq(long a, long as, long b, long bs, long y, int n) {
        FloatVector zero = FloatVector.zero(S);
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, a + as * i, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, ALL, b + bs * i, ORDER);
            zero.blend(1f, v.compare(VectorOperators.EQ, w)).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }
}
