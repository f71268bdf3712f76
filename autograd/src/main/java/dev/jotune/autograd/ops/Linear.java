package dev.jotune.autograd.ops;

import dev.jotune.autograd.Var;
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
        if (weight.rank() != 2 || x.rank() < 1 || x.size(-1) != weight.size(1)) {
            throw new IllegalArgumentException("linear needs x [.., in] and weight [out, in], got "
                    + Arrays.toString(x.shape()) + " and " + Arrays.toString(weight.shape()));
        }
        long[] shape = x.shape();
        // One product of matrices: with leading axes the weight's gradient would be made once for each and then summed.
        Var y = x.reshape(-1, x.size(-1)).matmul(weight.transpose(0, 1));
        shape[shape.length - 1] = weight.size(0);
        return y.reshape(shape);
    }

    /** {@code y = x W^T + b}, b {@code [out]}. */
    public static Var apply(Var x, Var weight, Var bias) {
        return apply(x, weight).add(bias);
    }
}
