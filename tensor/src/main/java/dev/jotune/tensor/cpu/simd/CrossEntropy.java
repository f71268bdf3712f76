package dev.jotune.tensor.cpu.simd;

/**
 * The cross-entropy of rows of logits and its gradient. A row of a vocabulary does not fit into the first-level
 * cache, so it goes in pieces that do: each gives its largest element and its sum of exponentials, which are merged as
 * log-sum-exps are. With a gradient, the exponentials are kept where the gradient will be, each piece relative to its
 * own largest, and a second pass multiplies a piece by one number: one exponential an element, no third array. The
 * gradient may lie on the logits.
 */
public final class CrossEntropy {
    private static final int PIECE = 4096;

    private CrossEntropy() {
    }

    /**
     * The losses.
     *
     * @param at addresses of logits, label, weight; loss
     * @param pitch bytes from row to row of each
     */
    public static void loss(long[] at, long[] pitch, int rows, int n) {
        for (int r = 0; r < rows; r++) {
            float weight = Mem.f32(at[2] + pitch[2] * r);
            long x = at[0] + pitch[0] * r;
            double logit = logit(x, label(Mem.f32(at[1] + pitch[1] * r), n), n);
            double logTotal = logTotal(x, 0, n);
            Mem.f32(at[3] + pitch[3] * r, weight == 0 ? 0 : (float) (weight * (max(n) - logit + logTotal)));
        }
    }

    /** The label's place, or -1 if none of the row's elements is it: labels of ignored rows may be anything. */
    private static int label(float label, int n) {
        return label >= 0 && label < n && (int) label == label ? (int) label : -1;
    }

    private static float logit(long x, int label, int n) {
        return label < 0 ? Softmax.max(x, n) : Mem.f32(x + 4L * label);
    }

    /** at: logits, label, weight, upstream; dLogits. */
    public static void gradient(long[] at, long[] pitch, int rows, int n) {
        for (int r = 0; r < rows; r++) {
            both(at, pitch, r, 0, at[4] + pitch[4] * r, n);
        }
    }

    /** at: logits, label, weight, upstream; loss, dLogits. */
    public static void lossAndGradient(long[] at, long[] pitch, int rows, int n) {
        for (int r = 0; r < rows; r++) {
            both(at, pitch, r, at[4] + pitch[4] * r, at[5] + pitch[5] * r, n);
        }
    }

    private static void both(long[] at, long[] pitch, int r, long loss, long dx, int n) {
        long x = at[0] + pitch[0] * r;
        int label = label(Mem.f32(at[1] + pitch[1] * r), n);
        float weight = Mem.f32(at[2] + pitch[2] * r);
        float factor = weight * Mem.f32(at[3] + pitch[3] * r);
        double logit = logit(x, label, n);
        double logTotal = logTotal(x, dx, n);
        double max = max(n);
        if (loss != 0) {
            Mem.f32(loss, weight == 0 ? 0 : (float) (weight * (max - logit + logTotal)));
        }
        long maxima = maxima(n);
        for (int i = 0, k = 0; i < n; i += PIECE, k++) {
            float scale = (float) (Math.exp(Mem.f32(maxima + 4L * k) - max - logTotal) * factor);
            Arithmetic.mul(dx + 4L * i, scale, dx + 4L * i, Math.min(PIECE, n - i));
        }
        if (label >= 0) {
            Mem.f32(dx + 4L * label, Mem.f32(dx + 4L * label) - factor);
        }
    }

    /** Room for the largest element of each piece and, after them, of all. */
    private static long maxima(int n) {
        return Scratch.get(Scratch.ROWS, 4L * (pieces(n) + 1));
    }

    private static int pieces(int n) {
        return (n + PIECE - 1) / PIECE;
    }

    /** What {@link #logTotal} found to be the largest element. */
    private static double max(int n) {
        return Mem.f32(maxima(n) + 4L * pieces(n));
    }

    /**
     * The logarithm of the sum of {@code e^(x - max)}. Leaves each piece's exponentials at e unless that is 0, and the
     * largest elements in scratch.
     */
    private static double logTotal(long x, long e, int n) {
        long maxima = maxima(n);
        float max = Float.NEGATIVE_INFINITY;
        double total = 0;
        for (int i = 0, k = 0; i < n; i += PIECE, k++) {
            int count = Math.min(PIECE, n - i);
            float top = Softmax.max(x + 4L * i, count);
            boolean nothing = top == Float.NEGATIVE_INFINITY;
            // A piece of nothing but -infinity has exponentials of 0, relative to anything.
            double sum = Softmax.exponentials(x + 4L * i, nothing ? 0 : top, e == 0 ? 0 : e + 4L * i, count);
            Mem.f32(maxima + 4L * k, top);
            if (nothing) {
                // 0, or NaN if there is one.
                total += sum;
            } else if (top > max) {
                total = total * Math.exp((double) max - top) + sum;
                max = top;
            } else {
                total += sum * Math.exp((double) top - max);
            }
        }
        Mem.f32(maxima + 4L * pieces(n), max);
        return Math.log(total);
    }
}
