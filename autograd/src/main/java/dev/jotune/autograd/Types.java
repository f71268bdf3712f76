package dev.jotune.autograd;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;

/** In which type an operation computes. */
final class Types {
    private Types() {}

    /** F64 stays F64; everything else computes in F32. */
    static DType compute(DType t) {
        return t == DType.F64 ? DType.F64 : DType.F32;
    }

    /** The type of a result: F64 if an operand is F64. */
    static DType of(Var... operands) {
        for (Var v : operands) {
            if (v.dtype() == DType.F64) {
                return DType.F64;
            }
        }
        return DType.F32;
    }

    /** The backend that all operands share. */
    static Backend backend(String op, Var... operands) {
        Backend b = operands[0].backend();
        for (Var v : operands) {
            if (v.backend() != b) {
                throw new IllegalArgumentException(op + " got operands on '" + b.name() + "' and '"
                        + v.backend().name() + "'. Move one with to(backend).");
            }
        }
        return b;
    }
}
