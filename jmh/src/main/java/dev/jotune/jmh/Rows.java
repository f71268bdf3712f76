package dev.jotune.jmh;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Formulas;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.kernels.NormKernel;
import java.util.List;

/**
 * Operations on rows {@code [rows, n]} of F32 into results that exist already, through the same {@link Backend} calls
 * that the tape makes.
 */
final class Rows {
    /** Their names, which are also those of {@code bench/cpu/rows_torch.py}. */
    static final List<String> CASES = List.of("layer_norm", "rms_norm", "softmax", "gelu_tanh", "gelu_erf", "silu", "exp", "copy");

    private static final double EPS = 1e-5;

    private final Backend backend = Backends.cpu();
    private final Tensor x;
    private final Tensor y;
    private final Tensor weight;
    private final Tensor bias;
    private final Tensor mean;
    private final Tensor scale;

    Rows(long rows, long n) {
        x = noise(1, rows, n);
        y = noise(2, rows, n);
        weight = noise(3, n);
        bias = noise(4, n);
        mean = noise(5, rows);
        scale = noise(6, rows);
    }

    private Tensor noise(long stream, long... shape) {
        Tensor t = Tensor.empty(backend, DType.F32, shape);
        backend.normal(t, 1, stream);
        return t;
    }

    long elements() {
        return x.numel();
    }

    /** One call of the operation. */
    Runnable operation(String name) {
        return switch (name) {
            case "layer_norm" -> {
                NormKernel norm = backend.kernel(NormKernel.class).orElseThrow();
                yield () -> norm.layerNorm(x, weight, bias, EPS, y, mean, scale);
            }
            case "rms_norm" -> {
                NormKernel norm = backend.kernel(NormKernel.class).orElseThrow();
                yield () -> norm.rmsNorm(x, weight, EPS, y);
            }
            case "softmax" -> map(Formulas.SOFTMAX);
            case "gelu_tanh" -> map(Formulas.GELU_TANH);
            case "gelu_erf" -> map(Formulas.GELU);
            case "silu" -> map(Formulas.SILU);
            case "exp" -> map(Expr.input(0).exp());
            case "copy" -> () -> backend.copy(x, y);
            default -> throw new IllegalArgumentException("unknown case '" + name + "'. Known: " + String.join(", ", CASES));
        };
    }

    private Runnable map(Expr e) {
        Program program = Program.of(e);
        Tensor[] in = {x};
        Tensor[] out = {y};
        return () -> backend.map(program, in, out);
    }
}
