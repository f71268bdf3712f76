package dev.jotune.autograd;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Shape;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Derivative;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;

/**
 * An element-wise expression as an operation: one fused kernel forward, one backward, both derived from the
 * expression. Make it once and keep it in a constant: programs are compiled when first needed.
 */
public final class MapOp {
    private final String name;
    private final Expr expr;
    private final int inputs;
    private final boolean rowConstant;
    /** Which inputs have one value a row, and so one gradient a row. */
    private final boolean[] rowInput;
    private final Program forward;
    private final List<Expr> derivative;
    private final ConcurrentHashMap<Long, Backward> backward = new ConcurrentHashMap<>();
    private final ConcurrentHashMap<Integer, MapOp> derivativeOps = new ConcurrentHashMap<>();

    private MapOp(String name, Expr expr, int inputs, boolean onePerRow) {
        this.name = name;
        this.expr = expr;
        this.inputs = inputs;
        this.forward = Program.of(expr);
        this.rowConstant = onePerRow || forward.needsRows() && Derivative.isRowConstant(expr);
        this.rowInput = rowInputs(name, forward, inputs);
        // Upstream is one more input, shaped like the output.
        this.derivative = Derivative.of(expr, inputs, rowConstant ? Expr.rowInput(inputs) : Expr.input(inputs));
    }

    /** The operation {@code expr} of inputs 0 to {@code inputs - 1}. */
    public static MapOp of(String name, int inputs, Expr expr) {
        if (inputs > 60) {
            throw new IllegalArgumentException("an expression takes at most 60 inputs, got " + inputs);
        }
        return new MapOp(name, expr, inputs, false);
    }

    private static boolean[] rowInputs(String name, Program program, int inputs) {
        boolean[] row = new boolean[inputs];
        boolean[] element = new boolean[inputs];
        for (Program.Instruction i : program.code()) {
            if (i instanceof Program.Instruction.Load(int index, boolean constant)) {
                if (index >= inputs) {
                    throw new IllegalArgumentException(name + " reads input " + index + " of " + inputs
                            + ". State the number of inputs that the expression has.");
                }
                (constant ? row : element)[index] = true;
            }
        }
        for (int i = 0; i < inputs; i++) {
            if (row[i] && element[i]) {
                throw new IllegalArgumentException(name + " reads input " + i + " both by element and by row. "
                        + "Use one of Expr.input and Expr.rowInput for it.");
            }
        }
        return row;
    }

    /**
     * Applies the expression. Operands stretch to a common shape; the result has that shape, with a last axis of
     * size 1 where the expression is constant along rows.
     */
    public Var apply(Var... operands) {
        if (operands.length != inputs) {
            throw new IllegalArgumentException(name + " takes " + inputs + " operands, got " + operands.length);
        }
        Backend backend = Types.backend(name, operands);
        long[] shape = resultShape(operands);
        return Node.record1(name, operands, compute(backend, shape, operands),
                Reads.mask(reads(operands)).again(() -> compute(backend, shape, operands)),
                (up, needed) -> back(operands, up[0], needed));
    }

    private Tensor compute(Backend backend, long[] shape, Var[] operands) {
        Tensor out = Tensor.empty(backend, Types.of(operands), shape);
        backend.map(forward, tensors(operands), new Tensor[] {out});
        return out;
    }

    /** Which operands the derivatives by those read that want one. */
    private long reads(Var[] operands) {
        long mask = 0;
        for (int i = 0; i < inputs; i++) {
            mask |= operands[i].requiresGrad() && !passesOn(i) ? 1L << i : 0;
        }
        return mask == 0 ? 0 : backward(mask).reads() & (1L << inputs) - 1;
    }

    /** Whether the derivative by input {@code i} is what comes from above. */
    private boolean passesOn(int i) {
        return !rowConstant && derivative.get(i) instanceof Expr.Input(int index) && index == inputs;
    }

    private long[] resultShape(Var[] operands) {
        long[] shape = commonShape(operands);
        return rowConstant ? oneColumn(shape) : shape;
    }

    private static long[] oneColumn(long[] shape) {
        long[] column = shape.clone();
        if (column.length > 0) {
            column[column.length - 1] = 1;
        }
        return column;
    }

    private long[] commonShape(Var[] operands) {
        long[] shape = new long[0];
        for (Var v : operands) {
            try {
                shape = Shape.broadcast(shape, v.shape());
            } catch (IllegalArgumentException e) {
                throw new IllegalArgumentException(name + ": " + e.getMessage(), e);
            }
        }
        return shape;
    }

    private Var[] back(Var[] operands, Var upstream, boolean[] needed) {
        Var[] with = Arrays.copyOf(operands, inputs + 1);
        with[inputs] = upstream;
        Var[] grads = new Var[inputs];
        if (Recording.isOn()) {
            for (int i = 0; i < inputs; i++) {
                if (needed[i]) {
                    Var g = derivativeOp(i).apply(with);
                    grads[i] = (rowInput[i] ? g : g.expandTo(commonShape(operands))).sumTo(operands[i].shape());
                }
            }
            return grads;
        }
        long[] shape = commonShape(operands);
        DType type = Types.of(with);
        long mask = 0;
        List<Tensor> outs = new ArrayList<>();
        for (int i = 0; i < inputs; i++) {
            if (needed[i] && passesOn(i) && upstream.dtype() == type) {
                grads[i] = upstream.sumTo(operands[i].shape());
            } else if (needed[i]) {
                mask |= 1L << i;
                outs.add(Tensor.empty(upstream.backend(), type, rowInput[i] ? oneColumn(shape) : shape));
            }
        }
        if (mask == 0) {
            return grads;
        }
        Backward b = backward(mask);
        Tensor[] values = new Tensor[inputs + 1];
        for (int i = 0; i <= inputs; i++) {
            // What the program does not read may be gone; anything of a fitting shape stands in for it.
            values[i] = i == inputs || (b.reads() >> i & 1) == 0 ? upstream.tensor() : operands[i].tensor();
        }
        upstream.backend().map(b.program(), values, outs.toArray(Tensor[]::new));
        for (int i = 0, k = 0; i < inputs; i++) {
            if ((mask >> i & 1) != 0) {
                grads[i] = Var.constant(outs.get(k++)).sumTo(operands[i].shape());
            }
        }
        return grads;
    }

    private MapOp derivativeOp(int i) {
        return derivativeOps.computeIfAbsent(i, k -> new MapOp("d" + name + "/d" + k, derivative.get(k), inputs + 1,
                rowInput[k]));
    }

    /**
     * Derivatives by some inputs.
     *
     * @param reads bit i: input i is read
     */
    private record Backward(Program program, long reads) {
        static Backward of(Program program) {
            long reads = 0;
            for (Program.Instruction i : program.code()) {
                reads |= switch (i) {
                    case Program.Instruction.Load l -> 1L << l.index();
                    // The length of a row is that of the longest operand.
                    case Program.Instruction.Position p -> -1L;
                    default -> 0;
                };
            }
            return new Backward(program, reads);
        }
    }

    private Backward backward(long mask) {
        return backward.computeIfAbsent(mask, m -> {
            List<Expr> wanted = new ArrayList<>();
            for (int i = 0; i < inputs; i++) {
                if ((m >> i & 1) != 0) {
                    wanted.add(derivative.get(i));
                }
            }
            return Backward.of(Program.of(wanted.toArray(Expr[]::new)));
        });
    }

    private static Tensor[] tensors(Var[] vars) {
        return Arrays.stream(vars).map(Var::tensor).toArray(Tensor[]::new);
    }

    @Override
    public String toString() {
        return name + " = " + expr;
    }
}
