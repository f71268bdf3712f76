package dev.jotune.peft.weights;

import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * ComPEFT: Compression for Communicating Parameter Efficient Updates via Sparsification and Quantization (Yadav et al., arXiv
 * 2311.13171). Of a task vector tau, all tensors one behind the other, the share k that is largest in magnitude stays, and of it
 * only the sign: {@code tau' = alpha std(tau) sgn(top_k(tau))}, with the deviation of the whole vector. alpha is the best of a few
 * on held-out data. Nothing is trained.
 *
 * <p>On disk ({@link ComPeftFile}) {@code d (H(k) + k)} bits of d numbers, in Golomb codes; in memory two bits a number.
 */
public final class ComPeft {
    /** What the paper tries. */
    public static final List<Double> ALPHAS = List.of(0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0);

    private ComPeft() {}

    /** {@code alpha std(tau) sgn(top_k(tau))}. */
    public static Ternary compress(Values tau, double density, double alpha) {
        return Ternary.of(tau, Largest.share(tau, density), alpha * deviation(tau));
    }

    /**
     * The same with the alpha of {@code alphas} that scores best; of equals the first.
     *
     * @param score of the restored vector on held-out data; more is better
     */
    public static Ternary compress(Values tau, double density, List<Double> alphas, ToDoubleFunction<Ternary> score) {
        Ternary signs = compress(tau, density, 1);
        Ternary best = null;
        double most = Double.NEGATIVE_INFINITY;
        for (double alpha : alphas) {
            Ternary t = signs.withScale(alpha * signs.scale());
            double got = score.applyAsDouble(t);
            if (best == null || got > most) {
                best = t;
                most = got;
            }
        }
        return best;
    }

    /** The deviation of the numbers from their mean, with n - 1 in the denominator. */
    static double deviation(Values v) {
        double[] sum = new double[2];
        v.forEachRun((from, n, run) -> {
            for (int i = 0; i < n; i++) {
                sum[0] += run[i];
            }
        });
        double mean = sum[0] / v.size();
        v.forEachRun((from, n, run) -> {
            for (int i = 0; i < n; i++) {
                sum[1] += (run[i] - mean) * (run[i] - mean);
            }
        });
        return Math.sqrt(sum[1] / Math.max(1, v.size() - 1));
    }
}
