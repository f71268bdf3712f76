package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import jdk.incubator.vector.FloatVector;

/** One step of AdamW (arXiv 1711.05101), in place. */
public final class AdamW {
    private AdamW() {
    }

    /**
     * <pre>
     *   p = p (1 - lr decay)      m = b1 m + (1 - b1) g      v = b2 v + (1 - b2) g^2
     *   p = p - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
     * </pre>
     *
     * @param p     address of n parameters
     * @param g     address of their gradients
     * @param m     first moments
     * @param v     second moments
     * @param step  t, from 1
     * @param decay decoupled weight decay, 0 for plain Adam
     */
    public static void step(long p, long g, long m, long v, long n, long step, double lr, double beta1, double beta2,
            double eps, double decay) {
        float keep = (float) (1 - lr * decay);
        float rate = (float) (lr / (1 - Math.pow(beta1, step)));
        float root = (float) (1 / Math.sqrt(1 - Math.pow(beta2, step)));
        // Rounded one by one: 1 - (float) beta would carry the rounding error of beta.
        float b1 = (float) beta1;
        float c1 = (float) (1 - beta1);
        float b2 = (float) beta2;
        float c2 = (float) (1 - beta2);
        float e = (float) eps;
        long blocks = (n + 4095) / 4096;
        Rows.run(blocks, 4096, 4, (from, to) -> {
            long start = from * 4096;
            int count = (int) (Math.min(n, to * 4096) - start);
            block(p + 4 * start, g + 4 * start, m + 4 * start, v + 4 * start, count, keep, rate, root, b1, c1, b2,
                    c2, e);
        });
    }

    private static void block(long p, long g, long m, long v, int n, float keep, float rate, float root, float b1,
            float c1, float b2, float c2, float eps) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector grad = FloatVector.fromMemorySegment(S, ALL, g + 4L * i, ORDER);
            FloatVector mean = FloatVector.fromMemorySegment(S, ALL, m + 4L * i, ORDER).mul(b1).add(grad.mul(c1));
            FloatVector square = FloatVector.fromMemorySegment(S, ALL, v + 4L * i, ORDER).mul(b2)
                    .add(grad.mul(grad).mul(c2));
            mean.intoMemorySegment(ALL, m + 4L * i, ORDER);
            square.intoMemorySegment(ALL, v + 4L * i, ORDER);
            FloatVector change = mean.mul(rate).div(square.sqrt().mul(root).add(eps));
            FloatVector.fromMemorySegment(S, ALL, p + 4L * i, ORDER).mul(keep).sub(change)
                    .intoMemorySegment(ALL, p + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            float grad = Mem.f32(g + 4L * i);
            float mean = Mem.f32(m + 4L * i) * b1 + grad * c1;
            float square = Mem.f32(v + 4L * i) * b2 + grad * grad * c2;
            Mem.f32(m + 4L * i, mean);
            Mem.f32(v + 4L * i, square);
            float change = mean * rate / ((float) Math.sqrt(square) * root + eps);
            Mem.f32(p + 4L * i, Mem.f32(p + 4L * i) * keep - change);
        }
    }
}
