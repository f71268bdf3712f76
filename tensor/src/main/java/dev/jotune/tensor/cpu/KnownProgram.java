package dev.jotune.tensor.cpu;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.CrossEntropy;
import dev.jotune.tensor.cpu.simd.Gates;
import dev.jotune.tensor.cpu.simd.Gelu;
import dev.jotune.tensor.cpu.simd.Parallel;
import dev.jotune.tensor.cpu.simd.Softmax;
import dev.jotune.tensor.cpu.simd.Tails;
import dev.jotune.tensor.expr.Derivative;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Formulas;
import dev.jotune.tensor.expr.Program;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Programs that have a kernel of their own: those of {@link Formulas} and their derivatives, recognised by being equal.
 * Everything else runs as one loop an instruction.
 *
 * @param kernel one pass over contiguous floats
 * @param cost what an element costs, in additions
 * @param rowInputs operands of one value a row; kernels of rows read the others in whole rows
 */
record KnownProgram(Kernel kernel, int cost, long rowInputs) {
    /**
     * Computes rows of {@code n} elements; {@code at} has the addresses of the inputs, then of the outputs, in the first
     * row, and {@code pitch} the bytes from row to row.
     */
    @FunctionalInterface
    interface Kernel {
        void run(long[] at, long[] pitch, int rows, int n);
    }

    /** Elements of an element-wise kernel at a time. */
    private static final int BLOCK = 1 << 14;
    /** Additions that justify a task of their own, about 20 microseconds. */
    private static final long TASK = 1 << 19;

    private static final Map<Program, KnownProgram> ALL = all();

    /** The kernel for {@code program}, if there is one. */
    static Optional<KnownProgram> of(Program program) {
        return program.plan(KnownProgram.class, k -> Optional.ofNullable(ALL.get(program)));
    }

    private static Map<Program, KnownProgram> all() {
        Map<Program, KnownProgram> m = new HashMap<>();
        elementwise(m, Formulas.SILU, 1, Gates::silu, Gates::siluBack);
        elementwise(m, Formulas.GELU_TANH, 1, Gates::geluTanh, Gates::geluTanhBack);
        elementwise(m, Formulas.GELU, 1, Gelu::forward, Gelu::back);
        elementwise(m, Formulas.SWIGLU, 2, Gates::swiglu, Gates::swigluBack);
        elementwise(m, Formulas.GEGLU_TANH, 2, Gates::geglu, Gates::gegluBack);
        rows(m, Formulas.SOFTMAX, Softmax::forward, Softmax::back);
        rows(m, Formulas.LOG_SOFTMAX, Softmax::log, Softmax::logBack);
        Expr loss = Formulas.CROSS_ENTROPY;
        Expr gradient = Derivative.of(loss, 1, Expr.rowInput(3)).getFirst();
        m.put(Program.of(loss), new KnownProgram(CrossEntropy::loss, 12, 0b110));
        m.put(Program.of(gradient), new KnownProgram(CrossEntropy::gradient, 14, 0b1110));
        m.put(Program.of(loss, gradient), new KnownProgram(CrossEntropy::lossAndGradient, 14, 0b1110));
        return m;
    }

    private static void elementwise(Map<Program, KnownProgram> m, Expr e, int inputs, Tails.Kernel forward, Tails.Kernel back) {
        m.put(Program.of(e), new KnownProgram((at, pitch, rows, n) -> Tails.run(forward, at, n, 1), 12, 0));
        Expr[] gradients = Derivative.of(e, inputs, Expr.input(inputs)).toArray(Expr[]::new);
        m.put(Program.of(gradients), new KnownProgram((at, pitch, rows, n) -> Tails.run(back, at, n, inputs), 16, 0));
    }

    private static void rows(Map<Program, KnownProgram> m, Expr e, Kernel forward, Kernel back) {
        m.put(Program.of(e), new KnownProgram(forward, 14, 0));
        m.put(Program.of(Derivative.of(e, 1, Expr.input(1)).getFirst()), new KnownProgram(back, 18, 0));
    }

    /**
     * Whether the operands lie as the kernel reads them: floats, contiguous along the row. An output may be the first
     * input.
     */
    boolean fits(RowLoop loop, Tensor[] operands, int inputs) {
        for (int k = 0; k < operands.length; k++) {
            boolean row = k < inputs ? (rowInputs >> k & 1) != 0 : operands[k].size(-1) == 1 && rowInputs != 0;
            if (operands[k].dtype() != DType.F32 || !row && loop.step[k] != 1) {
                return false;
            }
        }
        for (int o = inputs; o < operands.length; o++) {
            for (int i = 0; i < inputs; i++) {
                if (operands[o].storage() == operands[i].storage() && !(i == 0 && sameElements(operands[0], operands[o]))) {
                    return false;
                }
            }
        }
        return true;
    }

    /** Whether two views of one storage are the same view. */
    static boolean sameElements(Tensor a, Tensor b) {
        return a.offset() == b.offset() && Arrays.equals(a.shape(), b.shape()) && Arrays.equals(a.strides(), b.strides());
    }

    /** @param cut whether rows may be cut into pieces, which then go one by one */
    void run(RowLoop loop, Tensor[] operands, boolean cut) {
        long block = cut ? Math.min(loop.length, BLOCK) : loop.length;
        long units = loop.rows * ((loop.length + block - 1) / block);
        int tasks = (int) Math.clamp(Math.min(units, loop.rows * loop.length * cost / TASK), 1, 8L * Parallel.sharedThreads());
        if (tasks == 1) {
            task(loop, operands, cut, block, 0, units);
        } else {
            Parallel.run(tasks, t -> task(loop, operands, cut, block, units * t / tasks, units * (t + 1) / tasks));
        }
    }

    private void task(RowLoop loop, Tensor[] operands, boolean cut, long block, long from, long to) {
        long blocks = (loop.length + block - 1) / block;
        int group = cut ? 1 : Softmax.group((int) block);
        long[] at = new long[operands.length];
        long[] pitch = new long[operands.length];
        for (int k = 0; k < pitch.length; k++) {
            pitch[k] = 4 * loop.pitch(k);
        }
        for (long u = from; u < to;) {
            long row = u / blocks;
            long start = u % blocks * block;
            for (int k = 0; k < at.length; k++) {
                at[k] = operands[k].address() + 4 * (loop.offset(k, row) + start * loop.step[k]);
            }
            int rows = group == 1 ? 1 : (int) Math.min(Math.min(group, to - u), loop.run(row));
            kernel.run(at, pitch, rows, (int) Math.min(block, loop.length - start));
            u += rows;
        }
    }
}
