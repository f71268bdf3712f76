package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.IN;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;
import static jdk.incubator.vector.FloatVector.broadcast;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Passes down one column of a transposed score tile: a vector of queries, one key after the other, {@link #STEP} bytes
 * from key to key. Queries never meet, so that maxima and sums need no reduction across lanes.
 *
 * <p>e^x is {@link VMath#exp} without what keeps large results finite, written out in both loops that spend their time in
 * it: methods beyond 325 bytecodes are compiled on their own, where the compiler's budget for inlining suffices; as part of
 * the caller's loop the same code ran six times slower.
 */
final class AttentionColumns {
    private static final long STEP = AttentionBlock.STEP;
    /** How far scores may exceed the running reference before everything is brought to a new one; e^5 = 148. */
    private static final float SLACK = 5;
    /** Adding it rounds to an integer, which then sits in the low bits of the sum. */
    private static final float ROUND = 0x1.8p23f;
    private static final float LOG2_E = 1.44269504f;
    // ln 2 in two parts; multiples of the first by up to 10 bits are exact.
    private static final float LN2_HIGH = 0x1.62e8p-1f;
    private static final float LN2_LOW = -0x1.e8082ep-16f;

    // e^r = 1 + r + C2 r^2 + ... for |r| up to ln(2) / 2, a minimax fit.
    private static final float C2 = 4.999999404e-01f;
    private static final float C3 = 1.666652113e-01f;
    private static final float C4 = 4.166838899e-02f;
    private static final float C5 = 8.368745446e-03f;
    private static final float C6 = 1.381454058e-03f;
    /** Below, e^x is no normal number and taken for 0. */
    private static final float LEAST = -87.33f;

    private AttentionColumns() {
    }

    /** The largest of n scores of each lane, to {@code largest}; whether some lane has outgrown its reference. */
    static boolean outgrows(long column, int n, long reference, long largest) {
        FloatVector low = broadcast(S, Float.NEGATIVE_INFINITY);
        FloatVector m0 = low;
        FloatVector m1 = low;
        FloatVector m2 = low;
        FloatVector m3 = low;
        int s = 0;
        // Compare and blend: FloatVector.max takes six instructions to order NaN and -0. Four chains hide their latency.
        for (; s + 4 <= n; s += 4) {
            column &= IN;
            FloatVector x = FloatVector.fromMemorySegment(S, ALL, column, ORDER);
            m0 = m0.blend(x, x.compare(VectorOperators.GT, m0));
            x = FloatVector.fromMemorySegment(S, ALL, column + STEP, ORDER);
            m1 = m1.blend(x, x.compare(VectorOperators.GT, m1));
            x = FloatVector.fromMemorySegment(S, ALL, column + 2 * STEP, ORDER);
            m2 = m2.blend(x, x.compare(VectorOperators.GT, m2));
            x = FloatVector.fromMemorySegment(S, ALL, column + 3 * STEP, ORDER);
            m3 = m3.blend(x, x.compare(VectorOperators.GT, m3));
            column += 4 * STEP;
        }
        for (; s < n; s++) {
            FloatVector x = FloatVector.fromMemorySegment(S, ALL, column, ORDER);
            m0 = m0.blend(x, x.compare(VectorOperators.GT, m0));
            column += STEP;
        }
        m0 = m0.blend(m1, m1.compare(VectorOperators.GT, m0));
        m2 = m2.blend(m3, m3.compare(VectorOperators.GT, m2));
        m0 = m0.blend(m2, m2.compare(VectorOperators.GT, m0));
        m0.intoMemorySegment(ALL, largest, ORDER);
        FloatVector limit = FloatVector.fromMemorySegment(S, ALL, reference, ORDER).add(broadcast(S, SLACK));
        return m0.compare(VectorOperators.GT, limit).anyTrue();
    }

    /** Takes the larger of reference and largest as the new reference; sums become relative to it, the factor is kept. */
    static void raise(long reference, long largest, long sum, long factor) {
        FloatVector before = FloatVector.fromMemorySegment(S, ALL, reference, ORDER);
        FloatVector most = FloatVector.fromMemorySegment(S, ALL, largest, ORDER);
        VectorMask<Float> more = most.compare(VectorOperators.GT, before);
        FloatVector now = before.blend(most, more);
        // Lanes that stay have factor 1, those that have seen nothing yet (-inf - -inf) too.
        FloatVector f = VMath.exp(broadcast(S, 0f).blend(before.sub(now), more));
        f.intoMemorySegment(ALL, factor, ORDER);
        FloatVector.fromMemorySegment(S, ALL, sum, ORDER).mul(f).intoMemorySegment(ALL, sum, ORDER);
        now.intoMemorySegment(ALL, reference, ORDER);
    }

    /** Scores of n keys become weights {@code e^(score - reference)}, which are added to the sums. */
    static void weights(long column, int n, long reference, long sum) {
        FloatVector shift = FloatVector.fromMemorySegment(S, ALL, reference, ORDER);
        // A lane that has seen nothing: its scores are -inf and must give 0, not NaN.
        shift = shift.blend(broadcast(S, 0f), shift.compare(VectorOperators.EQ, broadcast(S, Float.NEGATIVE_INFINITY)));
        FloatVector total = FloatVector.zero(S);
        for (int s = 0; s < n; s++) {
            column &= IN;
            FloatVector x = FloatVector.fromMemorySegment(S, ALL, column, ORDER).sub(shift);
            FloatVector t = x.fma(broadcast(S, LOG2_E), broadcast(S, ROUND));
            FloatVector whole = t.sub(broadcast(S, ROUND));
            FloatVector r = whole.fma(broadcast(S, -LN2_HIGH), x);
            r = whole.fma(broadcast(S, -LN2_LOW), r);
            FloatVector e = r.fma(broadcast(S, C6), broadcast(S, C5));
            e = e.fma(r, broadcast(S, C4));
            e = e.fma(r, broadcast(S, C3));
            e = e.fma(r, broadcast(S, C2));
            e = e.fma(r, broadcast(S, 1f));
            e = e.fma(r, broadcast(S, 1f));
            e = e.reinterpretAsInts().add(t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
            e = e.blend(broadcast(S, 0f), x.compare(VectorOperators.LT, broadcast(S, LEAST)));
            e.intoMemorySegment(ALL, column, ORDER);
            total = total.add(e);
            column += STEP;
        }
        FloatVector.fromMemorySegment(S, ALL, sum, ORDER).add(total).intoMemorySegment(ALL, sum, ORDER);
    }

    /** What the outputs are multiplied by, to {@code inverse}, and the natural log-sum-exp, to {@code lse}. */
    static void finish(long reference, long sum, long inverse, long lse) {
        FloatVector total = FloatVector.fromMemorySegment(S, ALL, sum, ORDER);
        FloatVector one = broadcast(S, 1f).div(total);
        one.blend(broadcast(S, 0f), total.compare(VectorOperators.EQ, broadcast(S, 0f))).intoMemorySegment(ALL, inverse, ORDER);
        FloatVector.fromMemorySegment(S, ALL, reference, ORDER).add(VMath.log(total)).intoMemorySegment(ALL, lse, ORDER);
    }

    /** The derivative of a softmax: {@code p = e^(p - lse)}, {@code dp = p (dp - delta)}. */
    static void gradient(long p, long dp, int n, long lse, long delta) {
        FloatVector shift = FloatVector.fromMemorySegment(S, ALL, lse, ORDER);
        FloatVector mean = FloatVector.fromMemorySegment(S, ALL, delta, ORDER);
        for (int s = 0; s < n; s++) {
            p &= IN;
            dp &= IN;
            FloatVector x = FloatVector.fromMemorySegment(S, ALL, p, ORDER).sub(shift);
            FloatVector t = x.fma(broadcast(S, LOG2_E), broadcast(S, ROUND));
            FloatVector whole = t.sub(broadcast(S, ROUND));
            FloatVector r = whole.fma(broadcast(S, -LN2_HIGH), x);
            r = whole.fma(broadcast(S, -LN2_LOW), r);
            FloatVector e = r.fma(broadcast(S, C6), broadcast(S, C5));
            e = e.fma(r, broadcast(S, C4));
            e = e.fma(r, broadcast(S, C3));
            e = e.fma(r, broadcast(S, C2));
            e = e.fma(r, broadcast(S, 1f));
            e = e.fma(r, broadcast(S, 1f));
            e = e.reinterpretAsInts().add(t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
            e = e.blend(broadcast(S, 0f), x.compare(VectorOperators.LT, broadcast(S, LEAST)));
            e.intoMemorySegment(ALL, p, ORDER);
            FloatVector.fromMemorySegment(S, ALL, dp, ORDER).sub(mean).mul(e).intoMemorySegment(ALL, dp, ORDER);
            p += STEP;
            dp += STEP;
        }
    }

    /** Every score of n keys becomes {@code value}. */
    static void fill(long column, int n, float value) {
        FloatVector v = broadcast(S, value);
        for (int s = 0; s < n; s++) {
            v.intoMemorySegment(ALL, column, ORDER);
            column += STEP;
        }
    }

    /** Hides keys {@code [from, to)} from the lanes whose limit they reach: {@code limit <= key}. */
    static void hideFrom(long column, int from, int to, long limits) {
        FloatVector limit = FloatVector.fromMemorySegment(S, ALL, limits, ORDER);
        FloatVector hidden = broadcast(S, Float.NEGATIVE_INFINITY);
        for (int s = from; s < to; s++) {
            long at = column + STEP * s;
            FloatVector x = FloatVector.fromMemorySegment(S, ALL, at, ORDER);
            x.blend(hidden, limit.compare(VectorOperators.LE, broadcast(S, (float) s))).intoMemorySegment(ALL, at, ORDER);
        }
    }

    /** Hides keys {@code [from, to)} from the lanes whose limit they do not reach: {@code limit > key}. */
    static void hideBefore(long column, int from, int to, long limits) {
        FloatVector limit = FloatVector.fromMemorySegment(S, ALL, limits, ORDER);
        FloatVector hidden = broadcast(S, Float.NEGATIVE_INFINITY);
        for (int s = from; s < to; s++) {
            long at = column + STEP * s;
            FloatVector x = FloatVector.fromMemorySegment(S, ALL, at, ORDER);
            x.blend(hidden, limit.compare(VectorOperators.GT, broadcast(S, (float) s))).intoMemorySegment(ALL, at, ORDER);
        }
    }
}
