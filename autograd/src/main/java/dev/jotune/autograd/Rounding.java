package dev.jotune.autograd;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;

/** Rounding to BF16 (nearest, ties to even) as mixed-precision products have it; derivatives pass straight through. */
public final class Rounding {
    private Rounding() {}

    /** The value rounded, its gradient as it comes. */
    public static Var ofValue(Var x) {
        return Node.record1("round", new Var[] {x}, round(x),
                Reads.NOTHING.again(() -> round(x)), (up, needed) -> new Var[] {up[0]});
    }

    /** The value as it is, its gradient rounded. */
    public static Var ofGradient(Var x) {
        return Node.record1("round_gradient", new Var[] {x}, x.tensor(), Reads.NOTHING.again(x::tensor),
                (up, needed) -> new Var[] {ofValue(up[0])});
    }

    private static Tensor round(Var x) {
        return x.tensor().to(DType.BF16).to(Types.compute(x.dtype()));
    }
}
