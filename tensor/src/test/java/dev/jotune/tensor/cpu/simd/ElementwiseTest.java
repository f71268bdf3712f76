package dev.jotune.tensor.cpu.simd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ElementwiseTest {
    private static final float[] SPECIAL = {0f, -0f, 1f, -1f, Float.NaN, Float.POSITIVE_INFINITY,
        Float.NEGATIVE_INFINITY, Float.MAX_VALUE, -Float.MAX_VALUE, Float.MIN_NORMAL, Float.MIN_VALUE,
        -Float.MIN_VALUE, 88.7228f, 88.723f, -87.3f, -103f, -200f, 0.5f, 2.5f, -2.5f, 1e-8f, 8388609f, 1e20f, 0x1p-130f};

    private final Random random = new Random(3);

    private interface UnaryKernel {
        void run(long x, long y, int n);
    }

    private record Function(UnaryKernel kernel, DoubleUnaryOperator definition, double ulps, double from, double to) {
    }

    @AfterEach
    void free() {
        Buf.freeAll();
    }

    private static Map<String, Function> functions() {
        Map<String, Function> all = new LinkedHashMap<>();
        all.put("neg", new Function(Unary::neg, x -> -x, 0, -9, 9));
        all.put("abs", new Function(Unary::abs, Math::abs, 0, -9, 9));
        all.put("sqrt", new Function(Unary::sqrt, Math::sqrt, 0.51, 0, 1000));
        all.put("rsqrt", new Function(Unary::rsqrt, x -> 1 / Math.sqrt(x), 1.6, 0, 1000));
        all.put("reciprocal", new Function(Unary::reciprocal, x -> 1 / x, 0.51, -9, 9));
        all.put("sign", new Function(Unary::sign, Math::signum, 0, -9, 9));
        all.put("floor", new Function(Unary::floor, Math::floor, 0, -99, 99));
        all.put("exp", new Function(Unary::exp, Math::exp, 1.1, -87, 88.7));
        all.put("log", new Function(Unary::log, Math::log, 1.1, 0, 1000));
        all.put("log near 1", new Function(Unary::log, Math::log, 1.1, 0.5, 1.5));
        all.put("log1p", new Function(Unary::log1p, Math::log1p, 2, -1, 1000));
        all.put("log1p near 0", new Function(Unary::log1p, Math::log1p, 2.5, -0.01, 0.01));
        all.put("tanh", new Function(Unary::tanh, Math::tanh, 2, -10, 10));
        all.put("tanh near 0", new Function(Unary::tanh, Math::tanh, 2, -0.7, 0.7));
        all.put("sigmoid", new Function(Unary::sigmoid, x -> 1 / (1 + Math.exp(-x)), 2.6, -80, 80));
        all.put("erf", new Function(Unary::erf, ElementwiseTest::erf, 2, -5, 5));
        all.put("sin", new Function(Unary::sin, Math::sin, -1, -9000, 9000));
        all.put("cos", new Function(Unary::cos, Math::cos, -1, -9000, 9000));
        all.put("sin of large angles", new Function(Unary::sin, Math::sin, -1, -1e7, 1e7));
        all.put("cos of small angles", new Function(Unary::cos, Math::cos, -1, -4, 4));
        return all;
    }

    @Test
    void functionsOfOneVariableAreAccurate() {
        functions().forEach((name, f) -> {
            int n = 40_003;
            Buf x = Buf.empty(n);
            for (int i = 0; i < n; i++) {
                x.set(i, (float) (f.from + (f.to - f.from) * random.nextDouble()));
            }
            Buf y = Buf.empty(n);
            f.kernel.run(x.address(), y.address(), n);
            for (int i = 0; i < n; i++) {
                double expected = f.definition.applyAsDouble(x.get(i));
                double error = Math.abs(y.get(i) - expected);
                // Negative: absolute error of a function bounded by 1.
                double allowed = f.ulps < 0 ? 1.5e-7 : f.ulps * Math.ulp((float) expected);
                if (!(error <= allowed)) {
                    throw new AssertionError("%s(%s) is %s, expected %s: %.2f ulp".formatted(name, x.get(i), y.get(i),
                            expected, error / Math.ulp((float) expected)));
                }
            }
            y.assertCanaries();
        });
    }

    @Test
    void theQuickExponentialIsAsAccurateAsItSays() {
        for (float from = -87; from < 88; from += 0.37f) {
            float[] x = new float[Mem.L];
            for (int i = 0; i < x.length; i++) {
                x[i] = from + 0.01f * i;
            }
            FloatVector v = FloatVector.fromArray(Mem.S, x, 0);
            float[] negative = VMath.expNegative(v).toArray();
            float[] any = VMath.expQuick(v).toArray();
            for (int i = 0; i < x.length; i++) {
                double expected = Math.exp(x[i]);
                double allowed = expected * (2e-7 + 2e-8 * Math.abs(x[i]));
                assertThat(Math.abs(any[i] - expected)).as("e^%s = %s", x[i], any[i]).isLessThanOrEqualTo(allowed);
                assertThat(negative[i]).isEqualTo(any[i]);
            }
        }
    }

    @Test
    void functionsOfOneVariableTakeEveryLengthInPlaceAndAnySpecialValue() {
        functions().forEach((name, f) -> {
            for (int n = 0; n <= 67; n++) {
                Buf x = Buf.random(n, random);
                Buf y = x.copy();
                f.kernel.run(y.address(), y.address(), n);
                for (int i = 0; i < n; i++) {
                    double expected = f.definition.applyAsDouble(x.get(i));
                    if (Double.isNaN(expected)) {
                        assertThat(y.get(i)).isNaN();
                    } else {
                        assertThat((double) y.get(i)).as("%s(%s)", name, x.get(i))
                                .isCloseTo(expected, org.assertj.core.data.Offset.offset(1e-6 + 1e-6 * Math.abs(expected)));
                    }
                }
                y.assertCanaries();
            }
            Buf special = Buf.of(SPECIAL);
            Buf out = Buf.empty(special.size);
            f.kernel.run(special.address(), out.address(), special.size);
            for (int i = 0; i < special.size; i++) {
                float expected = (float) f.definition.applyAsDouble(special.get(i));
                float actual = out.get(i);
                boolean close = Float.compare(actual, expected) == 0 || actual == expected
                        || Math.abs(actual - expected) <= 1e-38 + 1e-6 * Math.abs(expected);
                assertThat(close).as("%s(%s) = %s, expected %s", name, special.get(i), actual, expected).isTrue();
            }
        });
    }

    private interface Pair {
        void run(long x, long y, long out, int n);
    }

    private interface Right {
        void run(long x, float y, long out, int n);
    }

    private interface Left {
        void run(float x, long y, long out, int n);
    }

    @Test
    void functionsOfTwoVariables() {
        check("add", Arithmetic::add, Arithmetic::add, Arithmetic::add, (x, y) -> (float) x + (float) y);
        check("sub", Arithmetic::sub, Arithmetic::sub, Arithmetic::sub, (x, y) -> (float) x - (float) y);
        check("mul", Arithmetic::mul, Arithmetic::mul, Arithmetic::mul, (x, y) -> (float) x * (float) y);
        check("div", Arithmetic::div, Arithmetic::div, Arithmetic::div, (x, y) -> (float) x / (float) y);
        check("max", Arithmetic::max, Arithmetic::max, Arithmetic::max, Math::max);
        check("min", Arithmetic::min, Arithmetic::min, Arithmetic::min, Math::min);
        check("pow", Arithmetic::pow, Arithmetic::pow, Arithmetic::pow, (x, y) -> (float) Math.pow(x, y));
        check("lt", Comparison::lt, Comparison::lt, Comparison::lt, (x, y) -> x < y ? 1 : 0);
        check("le", Comparison::le, Comparison::le, Comparison::le, (x, y) -> x <= y ? 1 : 0);
        check("gt", Comparison::gt, Comparison::gt, Comparison::gt, (x, y) -> x > y ? 1 : 0);
        check("ge", Comparison::ge, Comparison::ge, Comparison::ge, (x, y) -> x >= y ? 1 : 0);
        check("eq", Comparison::eq, Comparison::eq, Comparison::eq, (x, y) -> x == y ? 1 : 0);
    }

    private void check(String name, Pair pair, Right right, Left left, DoubleBinaryOperator definition) {
        for (int n = 0; n <= 67; n++) {
            Buf x = Buf.random(n, random);
            Buf y = Buf.random(n, random);
            for (int i = 0; i + 1 < n; i += 3) {
                x.set(i, SPECIAL[random.nextInt(SPECIAL.length)]);
                y.set(i + random.nextInt(2), SPECIAL[random.nextInt(SPECIAL.length)]);
            }
            Buf out = Buf.empty(n);
            pair.run(x.address(), y.address(), out.address(), n);
            for (int i = 0; i < n; i++) {
                same(name, out.get(i), definition.applyAsDouble(x.get(i), y.get(i)), x.get(i), y.get(i));
            }
            for (float s : new float[] {0.75f, -2f, Float.NaN, 0f}) {
                right.run(x.address(), s, out.address(), n);
                for (int i = 0; i < n; i++) {
                    same(name, out.get(i), definition.applyAsDouble(x.get(i), s), x.get(i), s);
                }
                left.run(s, y.address(), out.address(), n);
                for (int i = 0; i < n; i++) {
                    same(name, out.get(i), definition.applyAsDouble(s, y.get(i)), s, y.get(i));
                }
            }
            out.assertCanaries();
        }
    }

    private static void same(String name, float actual, double expected, float x, float y) {
        if (!(actual == (float) expected || Float.isNaN(actual) && Double.isNaN(expected))) {
            throw new AssertionError("%s(%s, %s) is %s, expected %s".formatted(name, x, y, actual, expected));
        }
    }

    @Test
    void selectTakesEveryLengthAndScalars() {
        for (int n = 0; n <= 67; n++) {
            Buf c = Buf.random(n, random);
            Buf a = Buf.random(n, random);
            Buf b = Buf.random(n, random);
            Buf out = Buf.empty(n);
            for (int i = 0; i < n; i += 2) {
                c.set(i, 0);
            }
            Blocks.select(c.address(), a.address(), 0, b.address(), 0, out.address(), n);
            for (int i = 0; i < n; i++) {
                assertThat(out.get(i)).isEqualTo(i % 2 == 0 ? b.get(i) : a.get(i));
            }
            Blocks.select(c.address(), 0, 5, b.address(), 0, out.address(), n);
            for (int i = 0; i < n; i++) {
                assertThat(out.get(i)).isEqualTo(i % 2 == 0 ? b.get(i) : 5);
            }
            Arithmetic.fill(2, out.address(), n);
            for (int i = 0; i < n; i++) {
                assertThat(out.get(i)).isEqualTo(2f);
            }
            out.assertCanaries();
        }
    }

    @Test
    void reductionsTakeEveryLength() {
        for (int n = 0; n <= 200; n++) {
            Buf x = Buf.random(n, random);
            Buf y = Buf.random(n, random);
            double sum = 0;
            double dot = 0;
            double squares = 0;
            float max = Float.NEGATIVE_INFINITY;
            for (int i = 0; i < n; i++) {
                sum += x.get(i);
                dot += (double) x.get(i) * y.get(i);
                squares += Math.pow(x.get(i) - 0.5, 2);
                max = Math.max(max, x.get(i));
            }
            org.assertj.core.data.Offset<Double> close = org.assertj.core.data.Offset.offset(2e-5);
            assertThat((double) Reduce.sum(x.address(), n)).isCloseTo(sum, close);
            assertThat((double) Reduce.dot(x.address(), y.address(), n)).isCloseTo(dot, close);
            assertThat((double) Reduce.squares(x.address(), 0.5f, n)).isCloseTo(squares,
                    org.assertj.core.data.Offset.offset(2e-4));
            assertThat(Reduce.max(x.address(), n)).isEqualTo(max);
            if (n > 0) {
                x.set(random.nextInt(n), Float.NaN);
                assertThat(Reduce.max(x.address(), n)).isNaN();
                y.set(random.nextInt(n), Float.POSITIVE_INFINITY);
                assertThat(Reduce.max(y.address(), n)).isEqualTo(Float.POSITIVE_INFINITY);
            }
        }
    }

    // Power series below 3, asymptotic value 1 - e^-x^2 / (x sqrt(pi)) continued fraction above.
    private static double erf(double x) {
        double a = Math.abs(x);
        if (Double.isNaN(x)) {
            return x;
        }
        if (a < 3) {
            double term = x;
            double sum = x;
            for (int n = 1; n < 200; n++) {
                term *= -x * x / n;
                sum += term / (2 * n + 1);
            }
            return 2 / Math.sqrt(Math.PI) * sum;
        }
        if (a > 10) {
            return Math.signum(x);
        }
        double fraction = a;
        for (int n = 60; n > 0; n--) {
            fraction = a + n / 2.0 / fraction;
        }
        return Math.signum(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / fraction);
    }
}
