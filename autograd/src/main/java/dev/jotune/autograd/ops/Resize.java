package dev.jotune.autograd.ops;

import dev.jotune.autograd.Var;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;

/**
 * Images and grids of another size, by interpolation between pixel centres (which lie at half-integers), without
 * antialiasing, the border pixels continuing outwards. Both kinds are separable, so a resized image is
 * {@code A_height x A_width^T} with one matrix of weights for each axis.
 */
public final class Resize {
    /** The parameter of Keys' cubic kernel (IEEE ASSP 29(6), 1981, equation 4) that image libraries agree on. */
    private static final double A = -0.75;

    /** How a value between pixels is made. */
    public enum Method {
        /** From the two nearest pixels. */
        BILINEAR,
        /** From the four nearest pixels, by Keys' cubic kernel with a = -0.75. */
        BICUBIC
    }

    private Resize() {}

    /**
     * Resizes the last two axes.
     *
     * @param x {@code [.., H, W]}
     * @return {@code [.., height, width]}
     * @throws IllegalArgumentException if a size is not positive
     */
    public static Var apply(Var x, long height, long width, Method method) {
        if (x.rank() < 2 || height < 1 || width < 1 || x.size(-1) < 1 || x.size(-2) < 1) {
            throw new IllegalArgumentException("cannot resize " + Arrays.toString(x.shape()) + " to " + height + " x " + width
                    + ". It needs x [.., H, W] and sizes of at least 1.");
        }
        Var rows = Var.constant(weights(x.backend(), x.dtype(), x.size(-2), height, method));
        Var columns = Var.constant(weights(x.backend(), x.dtype(), x.size(-1), width, method));
        return rows.matmul(x.matmul(columns.transpose(0, 1)));
    }

    /** Row i holds what output i takes of each of the {@code in} inputs. */
    private static Tensor weights(Backend backend, DType type, long in, long out, Method method) {
        int reach = method == Method.BICUBIC ? 2 : 1;
        double[] w = new double[Math.toIntExact(in * out)];
        for (long i = 0; i < out; i++) {
            double at = (i + 0.5) * in / out - 0.5;
            long left = (long) Math.floor(at);
            for (long j = left - reach + 1; j <= left + reach; j++) {
                double distance = Math.abs(at - j);
                long source = Math.clamp(j, 0, in - 1);
                w[(int) (i * in + source)] += method == Method.BICUBIC ? cubic(distance) : 1 - distance;
            }
        }
        return Tensor.of(backend, type == DType.F64 ? DType.F64 : DType.F32, w, out, in);
    }

    private static double cubic(double d) {
        return d <= 1 ? ((A + 2) * d - (A + 3)) * d * d + 1 : ((A * d - 5 * A) * d + 8 * A) * d - 4 * A;
    }
}
