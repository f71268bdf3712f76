package dev.jotune.autograd.ops;

import dev.jotune.autograd.Fused;
import dev.jotune.autograd.Reads;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.RotaryKernel;
import java.util.Arrays;
import java.util.Optional;

/** Rotary position embedding (Su et al., arXiv 2104.09864). */
public final class Rotary {
    private Rotary() {}

    /** Which features form a pair. */
    public enum Layout {
        /** Feature i with i + rotary / 2, as Hugging Face checkpoints have it. */
        HALF,
        /** Feature 2i with 2i + 1, as the paper has it. */
        INTERLEAVED
    }

    /**
     * Rotates pair i of every position by its angle; features beyond the rotary ones pass through.
     *
     * @param x {@code [B, H, T, D]}
     * @param cos {@code [B or 1, T, rotary / 2]}, times any attention scaling
     * @param sin the same shape
     */
    public static Var apply(Var x, Tensor cos, Tensor sin, Layout layout) {
        return rotate(x, cos, sin, layout, false);
    }

    /**
     * A query or key projection {@code [heads D, in]} made for pairs (2i, 2i + 1), with its rows in the order that
     * gives the same scores under pairs (i, i + D / 2).
     */
    public static Tensor toHalfLayout(Tensor weight, long heads) {
        if (weight.rank() != 2 || heads < 1 || weight.size(0) % (2 * heads) != 0) {
            throw new IllegalArgumentException("a projection [heads D, in] with even D is needed, got " + weight
                    + " for "
                    + heads + " heads");
        }
        long half = weight.size(0) / heads / 2;
        return weight.reshape(heads, half, 2, weight.size(1)).permute(0, 2, 1, 3).reshape(weight.shape());
    }

    private static Var rotate(Var x, Tensor cos, Tensor sin, Layout layout, boolean inverse) {
        if (x.rank() != 4 || cos.rank() != 3 || !Arrays.equals(cos.shape(), sin.shape()) || cos.size(1) != x.size(2)
                || 2 * cos.size(2) > x.size(3) || cos.size(0) != 1 && cos.size(0) != x.size(0)) {
            throw new IllegalArgumentException("rotary needs x [B, H, T, D] and cos, sin [B or 1, T, rotary / 2], got "
                    + Arrays.toString(x.shape()) + " and " + Arrays.toString(cos.shape()) + ", "
                    + Arrays.toString(sin.shape()));
        }
        Optional<RotaryKernel> kernel = x.backend().kernel(RotaryKernel.class);
        if (kernel.isEmpty() || x.dtype() != DType.F32 || cos.dtype() != DType.F32) {
            return definition(x, cos, sin, layout, inverse);
        }
        boolean pairs = layout == Layout.INTERLEAVED;
        Tensor out = Tensor.empty(x.backend(), x.dtype(), x.shape());
        kernel.get().rotate(x.tensor(), cos, sin, pairs, inverse, out);
        // In memory as x is, so that going back through the view that x may be takes no copy.
        boolean inside = x.tensor().stride(1) < x.tensor().stride(2);
        return Fused.record("rotary", new Var[] {x}, new Tensor[] {out}, Reads.NOTHING, (up, needed) -> {
            Tensor dx = inside ? Tensor.empty(x.backend(), x.dtype(), x.size(0), x.size(2), x.size(1), x.size(3)).transpose(1, 2)
                    : Tensor.empty(x.backend(), x.dtype(), x.shape());
            kernel.get().rotate(up[0], cos, sin, pairs, !inverse, dx);
            return new Tensor[] {dx};
        }, in -> new Var[] {definition(in[0], cos, sin, layout, inverse)})[0];
    }

    /** {@code (a, b) -> (a cos - b sin, b cos + a sin)}. */
    public static Var definition(Var x, Tensor cosTable, Tensor sinTable, Layout layout, boolean inverse) {
        long half = cosTable.size(2);
        Var cos = Var.constant(cosTable.unsqueeze(1));
        Var sin = inverse ? Var.constant(sinTable.unsqueeze(1)).neg() : Var.constant(sinTable.unsqueeze(1));
        Var rotated = x.slice(3, 0, 2 * half);
        Var a;
        Var b;
        long[] s = rotated.shape();
        if (layout == Layout.HALF) {
            a = rotated.slice(3, 0, half);
            b = rotated.slice(3, half, 2 * half);
        } else {
            Var pairs = rotated.reshape(s[0], s[1], s[2], half, 2);
            a = pairs.select(4, 0);
            b = pairs.select(4, 1);
        }
        Var u = a.mul(cos).sub(b.mul(sin));
        Var v = b.mul(cos).add(a.mul(sin));
        Var joined;
        if (layout == Layout.HALF) {
            joined = Var.concat(3, u, v);
        } else {
            long[] one = {s[0], s[1], s[2], half, 1};
            joined = Var.concat(4, u.reshape(one), v.reshape(one)).reshape(s);
        }
        return 2 * half == x.size(3) ? joined : Var.concat(3, joined, x.slice(3, 2 * half, x.size(3)));
    }
}
