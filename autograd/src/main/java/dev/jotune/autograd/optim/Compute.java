package dev.jotune.autograd.optim;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Shape;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.util.Arrays;

/** Element-wise programs and sums over tensors, outside of differentiation. */
final class Compute {
    private static final Expr X = Expr.input(0);
    private static final Program SQUARES = Program.of(X.times(X).rowSum());
    private static final Program MAGNITUDES = Program.of(X.abs().rowSum());
    private static final Program LARGEST = Program.of(X.abs().rowMax());
    private static final Program POWERS = Program.of(X.abs().pow(Expr.rowInput(1)).rowSum());

    private static final Program SCALED = Program.of(X.times(Expr.rowInput(1)));

    private Compute() {}

    /** F64 for F64, else F32: the type of an optimiser's state and arithmetic. */
    static DType type(Tensor t) {
        return t.dtype() == DType.F64 ? DType.F64 : DType.F32;
    }

    /**
     * Runs a program whose last inputs are numbers ({@link Expr#rowInput}): they change from step to step, the
     * program does not, so that backends compile it once. Outputs may be inputs: every element is read before it is
     * written.
     */
    static void run(Program program, double[] numbers, Tensor[] inputs, Tensor... outputs) {
        Tensor first = outputs[0];
        Tensor[] all = Arrays.copyOf(inputs, inputs.length + numbers.length);
        if (first.numel() == 0) {
            return;
        }
        if (numbers.length > 0) {
            Tensor packed = Tensor.of(first.backend(), type(first), numbers, numbers.length);
            for (int i = 0; i < numbers.length; i++) {
                all[inputs.length + i] = packed.slice(0, i, i + 1);
            }
        }
        first.backend().map(program, all, outputs);
    }

    /** Like {@link #run}, into a new tensor of the first input's shape. */
    static Tensor map(Program program, double[] numbers, Tensor... inputs) {
        Tensor out = Tensor.empty(inputs[0].backend(), type(inputs[0]), inputs[0].shape());
        run(program, numbers, inputs, out);
        return out;
    }

    /** A new tensor, {@code factor} times {@code x}. */
    static Tensor scale(Tensor x, double factor) {
        return map(SCALED, new double[] {factor}, x);
    }

    /** Sums the elements over one axis, which stays with size 1. */
    static Tensor sum(Tensor x, int axis) {
        long[] shape = x.shape();
        shape[Shape.axis(axis, shape.length)] = 1;
        Tensor out = Tensor.empty(x.backend(), type(x), shape);
        x.backend().reduce(Reduction.SUM, x, out);
        return out;
    }

    /** Writes {@code sum |x|^p} (the largest |x| for infinite p) into a tensor of one element. */
    private static void powerSum(Tensor x, double p, Tensor out) {
        long[] rows = x.rank() == 0 ? new long[] {1} : x.shape();
        Tensor shaped = x.rank() == 0 ? x.reshape(1) : x;
        rows[rows.length - 1] = 1;
        Tensor perRow = Tensor.empty(x.backend(), type(x), rows);
        if (p == 2) {
            run(SQUARES, new double[0], new Tensor[] {shaped}, perRow);
        } else if (p == 1) {
            run(MAGNITUDES, new double[0], new Tensor[] {shaped}, perRow);
        } else if (p == Double.POSITIVE_INFINITY) {
            run(LARGEST, new double[0], new Tensor[] {shaped}, perRow);
        } else {
            run(POWERS, new double[] {p}, new Tensor[] {shaped}, perRow);
        }
        long[] one = new long[rows.length];
        Arrays.fill(one, 1);
        x.backend().reduce(p == Double.POSITIVE_INFINITY ? Reduction.MAX : Reduction.SUM, perRow, out.reshape(one));
    }

    /** The sum of squares of all elements. */
    static double squares(Tensor x) {
        if (x.numel() == 0) {
            return 0;
        }
        Tensor out = Tensor.empty(x.backend(), type(x), 1);
        powerSum(x, 2, out);
        return out.item();
    }

    /** The root of the mean square of all elements. */
    static double rms(Tensor x) {
        return x.numel() == 0 ? 0 : Math.sqrt(squares(x) / x.numel());
    }

    /**
     * The p-norm of all elements of all tensors together. Each tensor's share is computed where it lies and the
     * shares are added in double precision.
     */
    static double norm(Iterable<Tensor> tensors, double p) {
        double total = 0;
        for (Tensor t : tensors) {
            if (t.numel() == 0) {
                continue;
            }
            Tensor out = Tensor.empty(t.backend(), type(t), 1);
            powerSum(t, p, out);
            double share = out.item();
            // Math.max keeps NaN, which must not look like a small norm.
            total = p == Double.POSITIVE_INFINITY ? Math.max(total, share) : total + share;
        }
        return p == 2 ? Math.sqrt(total) : p == 1 || p == Double.POSITIVE_INFINITY ? total : Math.pow(total, 1 / p);
    }
}
