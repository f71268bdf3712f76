package dev.jotune.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Derivative;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Formulas;
import dev.jotune.tensor.expr.Program;
import dev.jotune.testing.conformance.Twin;
import dev.jotune.testing.conformance.Twin.Layout;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Programs with kernels of their own against the plain interpreter of the same programs in double precision. */
class KnownProgramTest {
    private static final Backend CPU = Backends.cpu();
    private static final Backend REFERENCE = Backends.reference();

    /** A formula, how many inputs it has, and whether a row is one unit. */
    private record Formula(Expr expr, int inputs, boolean rows) {
        Program forward() {
            return Program.of(expr);
        }

        Program back() {
            return Program.of(Derivative.of(expr, inputs, Expr.input(inputs)).toArray(Expr[]::new));
        }
    }

    private static Map<String, Formula> formulas() {
        Map<String, Formula> all = new LinkedHashMap<>();
        all.put("silu", new Formula(Formulas.SILU, 1, false));
        all.put("gelu", new Formula(Formulas.GELU, 1, false));
        all.put("geluTanh", new Formula(Formulas.GELU_TANH, 1, false));
        all.put("swiglu", new Formula(Formulas.SWIGLU, 2, false));
        all.put("geglu", new Formula(Formulas.GEGLU_TANH, 2, false));
        all.put("softmax", new Formula(Formulas.SOFTMAX, 1, true));
        all.put("logSoftmax", new Formula(Formulas.LOG_SOFTMAX, 1, true));
        return all;
    }

    @Test
    void everyFormulaAndItsDerivativeAreRecognised() {
        formulas().forEach((name, f) -> {
            assertThat(KnownProgram.of(f.forward())).as(name).isPresent();
            assertThat(KnownProgram.of(f.back())).as("derivative of " + name).isPresent();
        });
        assertThat(KnownProgram.of(Program.of(Formulas.SILU.plus(1)))).isEmpty();
    }

    @Test
    void valuesAndDerivativesOfEveryLength() {
        formulas().forEach((name, f) -> {
            for (long n = 1; n <= 67; n++) {
                check(name + "/" + n, f, Layout.DENSE, 5, n);
            }
            check(name + "/longer than a block", f, Layout.DENSE, 3, 20_011);
        });
    }

    @Test
    void valuesAndDerivativesOfEveryLayout() {
        Random random = new Random(7);
        formulas().forEach((name, f) -> {
            for (Layout layout : Layout.values()) {
                check(name + "/" + layout, f, layout, 4, 1 + random.nextInt(70));
                check(name + "/" + layout, f, layout, 2, 3, 1 + random.nextInt(70));
            }
        });
    }

    private static void check(String what, Formula f, Layout layout, long... shape) {
        Twin[] in = new Twin[f.inputs() + 1];
        for (int k = 0; k < in.length; k++) {
            in[k] = Twin.uniform(CPU, DType.F32, layout, k, -6, 6, shape);
        }
        Layout target = Twin.writable(layout) ? layout : Layout.DENSE;
        map(what, f.forward(), Arrays.copyOf(in, f.inputs()), target, 1, shape);
        map(what + " derivative", f.back(), in, target, f.inputs(), shape);
    }

    private static void map(String what, Program program, Twin[] in, Layout layout, int outputs, long... shape) {
        Twin[] out = new Twin[outputs];
        double[][] before = new double[outputs][];
        for (int k = 0; k < outputs; k++) {
            out[k] = Twin.normal(CPU, DType.F32, layout, 90 + k, shape);
            before[k] = out[k].memory();
        }
        CPU.map(program, tensors(in, true), tensors(out, true));
        REFERENCE.map(program, tensors(in, false), tensors(out, false));
        for (int k = 0; k < outputs; k++) {
            out[k].compare(what, 1e-5);
            out[k].checkSurroundings(what, before[k]);
        }
    }

    private static Tensor[] tensors(Twin[] twins, boolean tested) {
        return Arrays.stream(twins).map(t -> tested ? t.tested() : t.reference()).toArray(Tensor[]::new);
    }

    @Test
    void resultsMayOverwriteAnOperand() {
        formulas().forEach((name, f) -> {
            for (int onto = 0; onto < f.inputs(); onto++) {
                Twin[] in = new Twin[f.inputs()];
                for (int k = 0; k < in.length; k++) {
                    in[k] = Twin.uniform(CPU, DType.F32, Layout.DENSE, k, -6, 6, 3, 45);
                }
                Tensor[] operands = tensors(in, true);
                Tensor apart = Tensor.empty(CPU, DType.F32, 3, 45);
                CPU.map(f.forward(), operands, new Tensor[] {apart});
                CPU.map(f.forward(), operands, new Tensor[] {operands[onto]});
                assertThat(operands[onto].toFloatArray()).as(name).containsExactly(apart.toFloatArray(), within(1e-5f));
            }
        });
    }

    private static org.assertj.core.data.Offset<Float> within(float tolerance) {
        return org.assertj.core.data.Offset.offset(tolerance);
    }

    @Test
    void whatIsNotANumberIsWhatTheDefinitionSays() {
        float[] special = {0f, -0f, Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 1e30f, -1e30f, 30f, -30f, 1e-30f, 100f,
            -100f};
        formulas().forEach((name, f) -> {
            // One special value a row, between ordinary ones, and once as all of the row.
            for (float s : special) {
                for (boolean alone : new boolean[] {false, true}) {
                    double[] x = new double[18];
                    Arrays.setAll(x, i -> alone || i == 3 ? s : 0.25f * i - 2);
                    compareSpecial(name + "(" + s + ")", f.forward(), f.inputs(), x);
                    compareSpecial("derivative of " + name + " at " + s, f.back(), f.inputs() + 1, x);
                }
            }
        });
    }

    private static void compareSpecial(String what, Program program, int inputs, double[] wide) {
        double[] ones = new double[wide.length];
        Arrays.fill(ones, 0.5);
        Tensor[] got = new Tensor[inputs];
        Tensor[] want = new Tensor[inputs];
        for (int k = 0; k < inputs; k++) {
            got[k] = Tensor.of(CPU, DType.F32, k == 0 ? wide : ones, 1, wide.length);
            want[k] = Tensor.of(REFERENCE, DType.F64, k == 0 ? wide : ones, 1, wide.length);
        }
        Tensor[] y = outputs(CPU, DType.F32, program, wide.length);
        Tensor[] z = outputs(REFERENCE, DType.F64, program, wide.length);
        CPU.map(program, got, y);
        REFERENCE.map(program, want, z);
        for (int k = 0; k < y.length; k++) {
            double[] a = y[k].toDoubleArray();
            double[] b = z[k].toDoubleArray();
            for (int i = 0; i < a.length; i++) {
                float w = (float) b[i];
                boolean same = Float.isNaN(w) ? Double.isNaN(a[i]) : a[i] == w || Math.abs(a[i] - w) <= 2e-6 * Math.max(1, Math.abs(w));
                assertThat(same).as("%s, output %d, element %d: %s, the definition says %s", what, k, i, a[i], w).isTrue();
            }
        }
    }

    private static Tensor[] outputs(Backend backend, DType type, Program program, int n) {
        Tensor[] out = new Tensor[program.outputCount()];
        Arrays.setAll(out, k -> Tensor.empty(backend, type, 1, n));
        return out;
    }

    /** Enough rounds for the kernels to be interpreted first and compiled twice on the way. */
    @Test
    void resultsAreTheSameInterpretedAndCompiled() {
        formulas().forEach((name, f) -> {
            Tensor[] in = new Tensor[f.inputs() + 1];
            for (int k = 0; k < in.length; k++) {
                in[k] = Tensor.empty(CPU, DType.F32, 3, 53);
                CPU.normal(in[k], 5, k);
            }
            Tensor[] out = new Tensor[f.inputs()];
            Arrays.setAll(out, k -> Tensor.empty(CPU, DType.F32, 3, 53));
            Program back = f.back();
            CPU.map(back, in, out);
            float[] first = out[0].toFloatArray();
            for (int round = 0; round < 12_000; round++) {
                CPU.map(back, in, out);
            }
            assertThat(out[0].toFloatArray()).as(name).isEqualTo(first);
        });
    }

    @Test
    void smoothFunctionsAreAccurateEverywhere() {
        // Of the largest error measured, relative to x: what GELU multiplies x with is right to 3e-7.
        accurate(Formulas.GELU, 3e-7, 0);
        accurate(Formulas.GELU_TANH, 0, 5e-6);
        accurate(Formulas.SILU, 0, 6e-7);
    }

    /** Within {@code toX |x| + toY |y|}, for every 2^-12 between -12 and 12. */
    private static void accurate(Expr e, double toX, double toY) {
        int n = 24 << 12;
        double[] x = new double[n];
        Arrays.setAll(x, i -> -12 + i / 4096.0);
        Tensor got = Tensor.empty(CPU, DType.F32, n);
        Tensor want = Tensor.empty(REFERENCE, DType.F64, n);
        CPU.map(Program.of(e), new Tensor[] {Tensor.of(CPU, DType.F32, x, n)}, new Tensor[] {got});
        REFERENCE.map(Program.of(e), new Tensor[] {Tensor.of(REFERENCE, DType.F64, x, n)}, new Tensor[] {want});
        double[] a = got.toDoubleArray();
        double[] b = want.toDoubleArray();
        for (int i = 0; i < n; i++) {
            // In double too the tails of both GELU forms cancel: what is left of 1 + tanh or 1 + erf.
            double allowed = toX * Math.abs(x[i]) + toY * Math.abs(b[i]) + 3e-16 * Math.abs(x[i]);
            assertThat(Math.abs(a[i] - b[i])).as("f(%s) = %s, expected %s", x[i], a[i], b[i]).isLessThanOrEqualTo(allowed);
        }
    }
}
