package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.S;
import static jdk.incubator.vector.FloatVector.broadcast;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Elementary functions of one vector. Polynomials are minimax fits of ours; errors are those measured by the tests,
 * in units of the last place (ulp) of the float result.
 *
 * <p>Meant to be inlined: call each at most once per loop body and keep the calling method small. The compiler inlines
 * 15 calls deep and no method beyond 325 bytecodes, or the vectors become objects: hence the explicit broadcasts (the
 * overloads that take a number are two calls deeper) and the helpers.
 */
final class VMath {
    /** Adding it rounds to an integer, which then sits in the low bits of the sum. */
    private static final float ROUND = 0x1.8p23f;
    private static final float LOG2_E = 1.44269504f;
    // ln 2 in two parts; multiples of the first by up to 10 bits are exact.
    private static final float LN2_HIGH = 0x1.62e8p-1f;
    private static final float LN2_LOW = -0x1.e8082ep-16f;

    private static final float TWO_OVER_PI = 0.636619772f;
    /** Largest angle that {@link #sin} and {@link #cos} reduce exactly enough. */
    static final float MAX_ANGLE = 1e4f;

    private VMath() {
    }

    /**
     * e^x, 1 ulp; results below the smallest normal float are 0. e^x = 2^n e^r with |r| at most ln(2)/2.
     */
    static FloatVector exp(FloatVector x) {
        FloatVector t = x.fma(broadcast(S, LOG2_E), broadcast(S, ROUND));
        FloatVector n = t.sub(broadcast(S, ROUND));
        FloatVector r = n.fma(broadcast(S, -LN2_HIGH), x);
        r = n.fma(broadcast(S, -LN2_LOW), r);
        FloatVector p = r.fma(broadcast(S, 1.381456852e-03f), broadcast(S, 8.368730545e-03f));
        p = p.fma(r, broadcast(S, 4.166838899e-02f));
        p = p.fma(r, broadcast(S, 1.666652113e-01f));
        p = p.fma(r, broadcast(S, 4.999999404e-01f));
        p = p.mul(r).fma(r, r).add(broadcast(S, 1f));
        IntVector bits = p.reinterpretAsInts().add(t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23));
        FloatVector y = bits.reinterpretAsFloats();
        y = y.blend(broadcast(S, 0f), x.compare(VectorOperators.LT, broadcast(S, -87.33f)));
        return y.blend(broadcast(S, Float.POSITIVE_INFINITY), x.compare(VectorOperators.GT, broadcast(S, 88.72283f)));
    }

    /**
     * e^x for x up to 0, for sums of exponentials and logistic functions: 2e-7 + 2e-8 |x| of the result, in two thirds of
     * the instructions of {@link #exp}. 2^t with t = x / ln 2 rounded to an integer and a rest, which one multiply-add
     * gives without a second rounding.
     */
    static FloatVector expNegative(FloatVector x) {
        FloatVector t = x.fma(broadcast(S, LOG2_E), broadcast(S, ROUND));
        FloatVector r = x.fma(broadcast(S, LOG2_E), broadcast(S, ROUND).sub(t));
        FloatVector p = r.fma(broadcast(S, 1.326472731e-03f), broadcast(S, 9.671512991e-03f));
        p = p.fma(r, broadcast(S, 5.550733581e-02f));
        p = p.fma(r, broadcast(S, 2.402224243e-01f));
        p = p.fma(r, broadcast(S, 6.931470037e-01f));
        p = p.fma(r, broadcast(S, 1f));
        IntVector bits = p.reinterpretAsInts().add(t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23));
        return bits.reinterpretAsFloats().blend(broadcast(S, 0f), x.compare(VectorOperators.LT, broadcast(S, -87.33f)));
    }

    /** {@link #expNegative} for any x. */
    static FloatVector expQuick(FloatVector x) {
        return expNegative(x).blend(broadcast(S, Float.POSITIVE_INFINITY), x.compare(VectorOperators.GT, broadcast(S, 88.02f)));
    }

    /** Natural logarithm, 1 ulp; -inf at 0, NaN below, +inf at +inf; subnormal arguments included. */
    static FloatVector log(FloatVector x) {
        VectorMask<Float> tiny = x.compare(VectorOperators.LT, broadcast(S, 0x1p-126f));
        IntVector bits = x.blend(x.mul(broadcast(S, 0x1p23f)), tiny).reinterpretAsInts();
        // Exponent and mantissa with the mantissa in [sqrt(1/2), sqrt(2)).
        IntVector shifted = bits.sub(0x3f3504f3);
        FloatVector e = (FloatVector) shifted.lanewise(VectorOperators.ASHR, 23)
                .convertShape(VectorOperators.I2F, S, 0);
        e = e.blend(e.sub(broadcast(S, 23f)), tiny);
        FloatVector f = shifted.and(0x007fffff).add(0x3f3504f3).reinterpretAsFloats().sub(broadcast(S, 1f));
        FloatVector p = logPolynomial(f);
        FloatVector square = f.mul(f);
        FloatVector low = e.mul(broadcast(S, LN2_LOW)).add(p.mul(f).mul(square)).sub(square.mul(broadcast(S, 0.5f)));
        FloatVector y = e.fma(broadcast(S, LN2_HIGH), low.add(f));
        y = y.blend(x, x.compare(VectorOperators.EQ, broadcast(S, Float.POSITIVE_INFINITY)));
        y = y.blend(broadcast(S, Float.NEGATIVE_INFINITY), x.compare(VectorOperators.EQ, broadcast(S, 0f)));
        // Not "below 0": NaN must come out as NaN too.
        return y.blend(Float.NaN, x.compare(VectorOperators.GE, broadcast(S, 0f)).not());
    }

    // (log(1 + f) - f + f^2 / 2) / f^3. A method of its own: one beyond 325 bytecodes is not inlined.
    private static FloatVector logPolynomial(FloatVector f) {
        FloatVector p = f.fma(broadcast(S, 6.746601313e-02f), broadcast(S, -1.167564094e-01f));
        p = p.fma(f, broadcast(S, 1.188817471e-01f));
        p = p.fma(f, broadcast(S, -1.240559146e-01f));
        p = p.fma(f, broadcast(S, 1.421955079e-01f));
        p = p.fma(f, broadcast(S, -1.666799635e-01f));
        p = p.fma(f, broadcast(S, 2.000211924e-01f));
        p = p.fma(f, broadcast(S, -2.500000894e-01f));
        return p.fma(f, broadcast(S, 3.333331347e-01f));
    }

    /** Hyperbolic tangent, 2 ulp: a polynomial near 0, 1 - 2 / (e^2x + 1) elsewhere. */
    static FloatVector tanh(FloatVector x) {
        FloatVector magnitude = x.abs();
        FloatVector e = exp(magnitude.add(magnitude));
        FloatVector far = broadcast(S, 1f).sub(broadcast(S, 2f).div(e.add(broadcast(S, 1f))));
        far = copySign(far, x);
        FloatVector z = x.mul(x);
        FloatVector p = z.fma(broadcast(S, 2.142958809e-03f), broadcast(S, -8.177394979e-03f));
        p = p.fma(z, broadcast(S, 2.170070074e-02f));
        p = p.fma(z, broadcast(S, -5.394676328e-02f));
        p = p.fma(z, broadcast(S, 1.333320588e-01f));
        p = p.fma(z, broadcast(S, -3.333333135e-01f));
        FloatVector near = p.mul(z).fma(x, x);
        return far.blend(near, magnitude.compare(VectorOperators.LT, broadcast(S, 0.625f)));
    }

    /** 1 / (1 + e^-x), 2 ulp where the result is a normal number. */
    static FloatVector sigmoid(FloatVector x) {
        FloatVector e = exp(x.neg());
        return broadcast(S, 1f).div(e.add(broadcast(S, 1f)));
    }

    /**
     * Error function, 2 ulp: x P(x^2) below 1, 1 - e^-Q(x) above. {@code far} is the exponential of
     * {@link #erfExponent}.
     */
    static FloatVector erfParts(FloatVector x, FloatVector far) {
        FloatVector outer = copySign(broadcast(S, 1f).sub(far), x);
        return outer.blend(erfNear(x), x.abs().compare(VectorOperators.LT, broadcast(S, 1f)));
    }

    private static FloatVector erfNear(FloatVector x) {
        FloatVector z = x.mul(x);
        FloatVector p = z.fma(broadcast(S, 7.889119297e-05f), broadcast(S, -8.020841051e-04f));
        p = p.fma(z, broadcast(S, 5.189535208e-03f));
        p = p.fma(z, broadcast(S, -2.685444430e-02f));
        p = p.fma(z, broadcast(S, 1.128360033e-01f));
        p = p.fma(z, broadcast(S, -3.761262596e-01f));
        // 2 / sqrt(pi) less 1: adding x last keeps its rounding error out.
        p = p.fma(z, broadcast(S, 1.283791671e-01f));
        return p.fma(x, x);
    }

    /** -Q(|x|), the logarithm of 1 - |erf|, for |x| from 1. */
    static FloatVector erfExponent(FloatVector x) {
        FloatVector a = x.abs();
        a = a.blend(broadcast(S, 4f), a.compare(VectorOperators.GT, broadcast(S, 4f)));
        FloatVector q = a.fma(broadcast(S, 1.697456042e-07f), broadcast(S, 1.926273944e-05f));
        q = q.fma(a, broadcast(S, -4.265054304e-04f));
        q = q.fma(a, broadcast(S, 4.153776448e-03f));
        q = q.fma(a, broadcast(S, -2.510176226e-02f));
        q = q.fma(a, broadcast(S, 1.082784832e-01f));
        q = q.fma(a, broadcast(S, 6.333328485e-01f));
        q = q.fma(a, broadcast(S, 1.129527330e+00f));
        q = q.fma(a, broadcast(S, -1.781241735e-04f));
        return q.neg();
    }

    /** log(1 + x), 2 ulp: the logarithm of the rounded sum u, corrected by what rounding lost, (x - (u - 1)) / u. */
    static FloatVector log1p(FloatVector x) {
        FloatVector u = x.add(broadcast(S, 1f));
        FloatVector y = log(u);
        FloatVector lost = x.sub(u.sub(broadcast(S, 1f))).div(u);
        // At -1 and at infinity the correction is not a number.
        VectorMask<Float> finite = y.abs().compare(VectorOperators.LT, broadcast(S, 128f));
        return y.blend(y.add(lost), finite);
    }

    /** Largest integer not above x. */
    static FloatVector floor(FloatVector x) {
        FloatVector n = (FloatVector) x.convert(VectorOperators.F2I, 0).convert(VectorOperators.I2F, 0);
        FloatVector down = n.sub(FloatVector.zero(S).blend(broadcast(S, 1f), n.compare(VectorOperators.GT, x)));
        // Beyond 2^23 every float is an integer; NaN and -0 also stay as they are.
        VectorMask<Float> small = x.abs().compare(VectorOperators.LT, broadcast(S, 0x1p23f));
        return x.blend(down, small.and(x.compare(VectorOperators.NE, broadcast(S, 0f))));
    }

    /** Sine, 2 ulp of the larger of the result and 1e-4, for |x| up to {@link #MAX_ANGLE}. */
    static FloatVector sin(FloatVector x) {
        FloatVector t = x.fma(broadcast(S, TWO_OVER_PI), broadcast(S, ROUND));
        return quadrant(x, t.sub(broadcast(S, ROUND)), t.reinterpretAsInts());
    }

    /** Cosine, as {@link #sin}. */
    static FloatVector cos(FloatVector x) {
        FloatVector t = x.fma(broadcast(S, TWO_OVER_PI), broadcast(S, ROUND));
        return quadrant(x, t.sub(broadcast(S, ROUND)), t.reinterpretAsInts().add(1));
    }

    // sin(r + quadrant pi/2), r = x - n pi/2 with pi/2 in three parts.
    private static FloatVector quadrant(FloatVector x, FloatVector n, IntVector quadrant) {
        FloatVector r = n.fma(broadcast(S, -0x1.921fb6p0f), x);
        r = n.fma(broadcast(S, 0x1.777a5cp-25f), r);
        r = n.fma(broadcast(S, 0x1.ee59dap-50f), r);
        FloatVector z = r.mul(r);
        FloatVector sin = z.fma(broadcast(S, 2.718216820e-06f), broadcast(S, -1.983932452e-04f));
        sin = sin.fma(z, broadcast(S, 8.333329111e-03f));
        sin = sin.fma(z, broadcast(S, -1.666666716e-01f));
        sin = sin.mul(z).fma(r, r);
        FloatVector cos = z.fma(broadcast(S, -2.720935868e-07f), broadcast(S, 2.479951036e-05f));
        cos = cos.fma(z, broadcast(S, -1.388888340e-03f));
        cos = cos.fma(z, broadcast(S, 4.166666791e-02f));
        cos = cos.mul(z).mul(z).add(z.fma(broadcast(S, -0.5f), broadcast(S, 1f)));
        VectorMask<Float> odd = quadrant.and(1).compare(VectorOperators.NE, 0).cast(S);
        IntVector sign = quadrant.and(2).lanewise(VectorOperators.LSHL, 30);
        return sin.blend(cos, odd).reinterpretAsInts().lanewise(VectorOperators.XOR, sign).reinterpretAsFloats();
    }

    private static FloatVector copySign(FloatVector magnitude, FloatVector sign) {
        return magnitude.reinterpretAsInts().or(sign.reinterpretAsInts().and(0x80000000)).reinterpretAsFloats();
    }
}
