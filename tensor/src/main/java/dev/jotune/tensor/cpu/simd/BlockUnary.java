package dev.jotune.tensor.cpu.simd;

import dev.jotune.tensor.expr.Expr.UnaryOp;

/** From an expression's operation to its kernel. */
final class BlockUnary {
    private BlockUnary() {}

    static void run(UnaryOp op, long x, long y, int n) {
        switch (op) {
            case NEG -> Unary.neg(x, y, n);
            case ABS -> Unary.abs(x, y, n);
            case SIGN -> Unary.sign(x, y, n);
            case EXP -> Unary.exp(x, y, n);
            case LOG -> Unary.log(x, y, n);
            case SQRT -> Unary.sqrt(x, y, n);
            case RSQRT -> Unary.rsqrt(x, y, n);
            case RECIPROCAL -> Unary.reciprocal(x, y, n);
            case TANH -> Unary.tanh(x, y, n);
            case SIGMOID -> Unary.sigmoid(x, y, n);
            case ERF -> Unary.erf(x, y, n);
            case LOG1P -> Unary.log1p(x, y, n);
            case SIN -> Unary.sin(x, y, n);
            case COS -> Unary.cos(x, y, n);
            case FLOOR -> Unary.floor(x, y, n);
        }
    }
}
