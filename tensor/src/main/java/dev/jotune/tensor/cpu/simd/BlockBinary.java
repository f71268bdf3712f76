package dev.jotune.tensor.cpu.simd;

import dev.jotune.tensor.expr.Expr.BinaryOp;

/** From an expression's operation to its kernel. */
final class BlockBinary {
    private BlockBinary() {}

    static void run(BinaryOp op, long a, long b, long y, int n) {
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

    static void run(BinaryOp op, long a, float b, long y, int n) {
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

    static void run(BinaryOp op, float a, long b, long y, int n) {
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
}
