package dev.jotune.autograd.ops;

import dev.jotune.autograd.Fused;
import dev.jotune.autograd.Reads;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Rounding;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.Precision;
import java.util.Arrays;

/** The affine map of the last axis. */
public final class Linear {
    private Linear() {}

    /**
     * {@code y = x W^T}.
     *
     * @param x {@code [.., in]}
     * @param weight {@code [out, in]}, any floating type
     */
    public static Var apply(Var x, Var weight) {
        check(x, weight);
        long[] shape = x.shape();
        // One product of matrices: with leading axes the weight's gradient would be made once for each and then summed.
        Var y = x.reshape(-1, x.size(-1)).matmul(weight.transpose(0, 1));
        shape[shape.length - 1] = weight.size(0);
        return y.reshape(shape);
    }

    /**
     * {@code y = x W^T} with the operands of this product and of those of its derivative read as {@code precision} says:
     * dx from dy and W, dW from dy and x.
     */
    public static Var apply(Var x, Var weight, Precision precision) {
        check(x, weight);
        if (precision == Precision.F32) {
            return apply(x, weight);
        }
        if (x.dtype() == DType.F64 || weight.dtype() == DType.F64) {
            return definition(x, weight);
        }
        long[] shape = x.shape();
        shape[shape.length - 1] = weight.size(0);
        Tensor y = Tensor.empty(x.backend(), DType.F32, shape);
        Tensor kept;
        try (Scope scope = Scope.open()) {
            Tensor narrow = rows(x.tensor()).to(DType.BF16);
            y.backend().matmul(narrow, weight.tensor().to(DType.BF16).transpose(0, 1), rows(y), false);
            // What the weight's derivative reads of x is half as large as x.
            kept = Recording.isOn() && weight.requiresGrad() ? scope.keep(narrow) : null;
        }
        return Fused.record("linear_bf16", new Var[] {x, weight}, new Tensor[] {y},
                x.requiresGrad() ? Reads.inputs(1) : Reads.NOTHING, (up, needed) -> {
            Tensor dy = rows(up[0]).to(DType.BF16);
            Tensor dx = needed[0] ? Tensor.empty(dy.backend(), DType.F32, x.shape()) : null;
            Tensor dw = needed[1] ? Tensor.empty(dy.backend(), DType.F32, weight.shape()) : null;
            if (needed[0]) {
                dy.backend().matmul(dy, weight.tensor().to(DType.BF16), rows(dx), false);
            }
            if (needed[1]) {
                dy.backend().matmul(dy.transpose(0, 1), kept, dw, false);
            }
            return new Tensor[] {dx, dw};
        }, in -> new Var[] {definition(in[0], in[1])})[0];
    }

    /** The product in BF16 in terms of primitives: operands rounded, and the gradient that comes back. */
    public static Var definition(Var x, Var weight) {
        return Rounding.ofGradient(apply(Rounding.ofValue(x), Rounding.ofValue(weight)));
    }

    /** {@code [M, last]}. */
    private static Tensor rows(Tensor t) {
        return t.reshape(t.numel() / Math.max(1, t.size(-1)), t.size(-1));
    }

    private static void check(Var x, Var weight) {
        if (weight.rank() != 2 || x.rank() < 1 || x.size(-1) != weight.size(1)) {
            throw new IllegalArgumentException("linear needs x [.., in] and weight [out, in], got "
                    + Arrays.toString(x.shape()) + " and " + Arrays.toString(weight.shape()));
        }
    }

    /** {@code y = x W^T + b}, b {@code [out]}. */
    public static Var apply(Var x, Var weight, Var bias) {
        return apply(x, weight).add(bias);
    }
}
