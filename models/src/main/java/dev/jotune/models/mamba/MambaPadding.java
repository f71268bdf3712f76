package dev.jotune.models.mamba;

import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.Var;
import dev.jotune.models.TokenLayout;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;

/**
 * What padding means to a recurrence: nothing may enter the state there, and no time may pass.
 *
 * <p>As in transformers, padding is zeroed before in_proj and after the convolution; its step size is zero besides, so
 * that a state is the same behind it. Where padding lies behind something that the convolution still has in view (cached
 * tokens, virtual ones, text), or stands for virtual tokens that other rows have, the convolution reads that row with
 * the padding moved to the front: each row gets what it would get alone.
 *
 * @param real {@code [B, T, 1]}, 1 at tokens and 0 at padding; null if there is no padding
 * @param order row numbers into {@code [B (K - 1 + T), E]} that move padding to the front; null if none moves
 * @param back row numbers into {@code [B T, E]} that undo it behind the convolution
 */
record MambaPadding(Var real, Tensor order, Tensor back) {
    private static final MambaPadding NONE = new MambaPadding(null, null, null);

    /**
     * @param past tokens in the cache
     * @param cached whether there is one, so that what follows this pass matters
     * @param reach K - 1, the inputs of earlier passes that the convolution sees
     */
    static MambaPadding of(TokenLayout layout, long past, boolean cached, int reach, Backend backend, DType type) {
        if (layout.real() == null) {
            return NONE;
        }
        boolean[][] real = layout.real();
        int time = Math.toIntExact(layout.time());
        int width = reach + time;
        double[] weight = new double[real.length * time];
        long[] order = new long[real.length * width];
        long[] back = new long[real.length * time];
        boolean moves = false;
        for (int b = 0; b < real.length; b++) {
            for (int t = 0; t < time; t++) {
                weight[b * time + t] = real[b][t] ? 1 : 0;
            }
            boolean move = inTheWay(real[b], layout.virtualTokens(), past > 0, cached);
            moves |= move;
            int at = 0;
            // First the padding, if it moves; then what came before this pass, then the rest.
            for (int turn = 0; turn < 2; turn++) {
                for (int t = turn == 0 ? reach : 0; t < width; t++) {
                    boolean padding = move && t >= reach && !real[b][t - reach];
                    if (padding == (turn == 0)) {
                        order[b * width + at] = (long) b * width + t;
                        if (t >= reach) {
                            back[b * time + t - reach] = (long) b * time + Math.max(0, at - reach);
                        }
                        at++;
                    }
                }
            }
        }
        Var weights = Var.constant(Tensor.of(backend, type, weight, real.length, time, 1));
        return moves ? new MambaPadding(weights, Tensor.of(backend, order, order.length), Tensor.of(backend, back, back.length))
                : new MambaPadding(weights, null, null);
    }

    /** Whether a row has padding that something before it must see past. */
    private static boolean inTheWay(boolean[] real, long virtualTokens, boolean past, boolean cached) {
        boolean seen = past;
        boolean between = false;
        for (int t = 0; t < real.length; t++) {
            if (!real[t] && (seen || t < virtualTokens)) {
                between = true;
            } else if (real[t]) {
                if (between) {
                    return true;
                }
                seen = true;
            }
        }
        return between && cached;
    }

    /** Zeroes the padding of {@code x [B, T, ..]}. */
    Var silence(Var x) {
        return real == null ? x : x.mul(real);
    }

    /** {@code [B, K - 1 + T, E]} as the convolution reads it. */
    Var inOrder(Var x) {
        return taken(x, order);
    }

    /** What the convolution gave, {@code [B, T, E]}, where it belongs. */
    Var inPlace(Var x) {
        return taken(x, back);
    }

    private static Var taken(Var x, Tensor rows) {
        return rows == null ? x : Lookup.gather(x.reshape(-1, x.size(2)), rows).reshape(x.shape());
    }
}
