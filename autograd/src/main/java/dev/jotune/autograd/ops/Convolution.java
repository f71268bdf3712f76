package dev.jotune.autograd.ops;

import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.expr.Expr;
import java.util.Arrays;
import java.util.Optional;

/**
 * Convolution as neural networks mean it, which is cross-correlation:
 * {@code y[b, o, t] = bias[o] + sum_{c, k} w[o, c, k] x[b, c, t stride + k dilation - padding]}, c running over the
 * {@code Cin / groups} channels of o's group, x being zero outside.
 *
 * <p>Windows over the input are a view; their product with the weight is one matrix product for each group, for which
 * the windows are copied once ({@code Kh Kw} times the memory of the output's positions). With one channel a group
 * (depthwise) the windows are multiplied and added in place instead, one element of the kernel at a time.
 */
public final class Convolution {
    private static final MapOp MULTIPLY_ADD =
            MapOp.of("multiply_add", 3, Expr.input(0).plus(Expr.input(1).times(Expr.input(2))));

    private Convolution() {}

    /**
     * Along one axis.
     *
     * @param x {@code [B, Cin, T]}
     * @param w {@code [Cout, Cin / groups, K]}
     * @param bias {@code [Cout]}
     * @param padding zeros added before and after the T positions
     * @return {@code [B, Cout, (T + 2 padding - dilation (K - 1) - 1) / stride + 1]}
     * @throws IllegalArgumentException if the shapes do not fit each other, or the kernel not into the padded input
     */
    public static Var conv1d(Var x, Var w, Optional<Var> bias, long stride, long padding, long dilation, long groups) {
        if (x.rank() != 3 || w.rank() != 3) {
            throw new IllegalArgumentException("conv1d needs x [B, Cin, T] and w [Cout, Cin / groups, K], got "
                    + Arrays.toString(x.shape()) + " and " + Arrays.toString(w.shape()));
        }
        Var y = conv2d(x.reshape(x.size(0), x.size(1), 1, x.size(2)), w.reshape(w.size(0), w.size(1), 1, w.size(2)), bias,
                new long[] {1, stride}, new long[] {0, padding}, new long[] {1, dilation}, groups);
        return y.reshape(y.size(0), y.size(1), y.size(3));
    }

    /**
     * Along time, each channel by itself, channels last: {@code y[b, t, e] = bias[e] + sum_k w[e, 0, k] x[b, t + k, e]}.
     *
     * @param x {@code [B, T + K - 1, E]}
     * @param w {@code [E, 1, K]}
     * @param bias {@code [E]}
     * @return {@code [B, T, E]}
     * @throws IllegalArgumentException if the shapes do not fit each other
     */
    public static Var depthwise(Var x, Var w, Optional<Var> bias) {
        boolean fits = x.rank() == 3 && w.rank() == 3 && w.size(0) == x.size(2) && w.size(1) == 1 && w.size(2) >= 1
                && w.size(2) <= x.size(1) + 1 && bias.stream().allMatch(b -> b.rank() == 1 && b.size(0) == x.size(2));
        if (!fits) {
            throw new IllegalArgumentException("a depthwise convolution needs x [B, T + K - 1, E], w [E, 1, K] and a bias [E], got "
                    + Arrays.toString(x.shape()) + ", " + Arrays.toString(w.shape())
                    + bias.map(b -> " and " + Arrays.toString(b.shape())).orElse(""));
        }
        long time = x.size(1) - w.size(2) + 1;
        Var y = null;
        for (long k = 0; k < w.size(2); k++) {
            Var at = x.slice(1, k, k + time);
            Var factor = w.select(2, k).reshape(-1);
            y = y != null ? MULTIPLY_ADD.apply(y, at, factor)
                    : bias.isPresent() ? MULTIPLY_ADD.apply(bias.get(), at, factor) : at.mul(factor);
        }
        return y;
    }

    /**
     * Along two axes; pairs are (height, width).
     *
     * @param x {@code [B, Cin, H, W]}
     * @param w {@code [Cout, Cin / groups, Kh, Kw]}
     * @param bias {@code [Cout]}
     * @return {@code [B, Cout, Ho, Wo]}
     * @throws IllegalArgumentException if the shapes do not fit each other, or the kernel not into the padded input
     */
    public static Var conv2d(Var x, Var w, Optional<Var> bias, long[] stride, long[] padding, long[] dilation,
            long groups) {
        check(x, w, bias, stride, padding, dilation, groups);
        Var windows = x.pad(2, padding[0], padding[0]).pad(3, padding[1], padding[1])
                .unfold(2, w.size(2), stride[0], dilation[0]).unfold(3, w.size(3), stride[1], dilation[1]);
        Var y = groups > 1 && w.size(1) == 1 ? depthwise(windows, w) : product(windows, w, groups);
        return bias.isEmpty() ? y : y.add(bias.get().reshape(-1, 1, 1));
    }

    /** Windows {@code [B, Cin, Ho, Wo, Kh, Kw]}: one product for each group, the whole batch together. */
    private static Var product(Var windows, Var w, long groups) {
        long[] s = windows.shape();
        Var columns = windows.permute(1, 4, 5, 0, 2, 3).reshape(groups, s[1] / groups * s[4] * s[5], s[0] * s[2] * s[3]);
        Var y = w.reshape(groups, w.size(0) / groups, w.size(1) * s[4] * s[5]).matmul(columns);
        return y.reshape(w.size(0), s[0], s[2], s[3]).transpose(0, 1);
    }

    /** Windows {@code [B, G, Ho, Wo, Kh, Kw]}: output channel {@code g M + m} reads input channel g alone. */
    private static Var depthwise(Var windows, Var w) {
        long[] s = windows.shape();
        long outputs = w.size(0) / s[1];
        Var weight = w.reshape(s[1], outputs, s[4], s[5]);
        Var y = null;
        for (long i = 0; i < s[4]; i++) {
            for (long j = 0; j < s[5]; j++) {
                Var x = windows.select(-1, j).select(-1, i).reshape(s[0], s[1], 1, s[2], s[3]);
                Var factor = weight.select(-1, j).select(-1, i).reshape(s[1], outputs, 1, 1);
                y = y == null ? x.mul(factor) : MULTIPLY_ADD.apply(y, x, factor);
            }
        }
        return y.reshape(s[0], w.size(0), s[2], s[3]);
    }

    private static void check(Var x, Var w, Optional<Var> bias, long[] stride, long[] padding, long[] dilation,
            long groups) {
        if (x.rank() != 4 || w.rank() != 4 || stride.length != 2 || padding.length != 2 || dilation.length != 2) {
            throw new IllegalArgumentException("conv2d needs x [B, Cin, H, W], w [Cout, Cin / groups, Kh, Kw] and two strides, "
                    + "paddings and dilations, got " + Arrays.toString(x.shape()) + ", " + Arrays.toString(w.shape()) + " and "
                    + Arrays.toString(stride) + ", " + Arrays.toString(padding) + ", " + Arrays.toString(dilation));
        }
        if (groups < 1 || x.size(1) != w.size(1) * groups || w.size(0) % groups != 0) {
            throw new IllegalArgumentException("a convolution of " + x.size(1) + " channels in " + groups
                    + " groups does not fit w " + Arrays.toString(w.shape()) + ". It needs Cin = w's second size times groups, "
                    + "and Cout divisible by groups.");
        }
        if (bias.isPresent() && (bias.get().rank() != 1 || bias.get().size(0) != w.size(0))) {
            throw new IllegalArgumentException("a convolution with " + w.size(0) + " output channels got a bias of shape "
                    + Arrays.toString(bias.get().shape()) + ". It needs one number for each channel.");
        }
        for (int i = 0; i < 2; i++) {
            long reach = dilation[i] * (w.size(2 + i) - 1) + 1;
            if (stride[i] < 1 || dilation[i] < 1 || padding[i] < 0 || w.size(2 + i) < 1 || reach > x.size(2 + i) + 2 * padding[i]) {
                throw new IllegalArgumentException("a kernel that reaches over " + reach + " positions (stride " + stride[i]
                        + ", dilation " + dilation[i] + ") does not fit into x " + Arrays.toString(x.shape()) + " with padding "
                        + padding[i] + " on either side. Stride and dilation must be positive, padding not negative.");
            }
        }
    }
}
