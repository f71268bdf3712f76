package dev.jotune.tensor.cpu;

import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.expr.Program.Instruction;
import dev.jotune.tensor.expr.Scalar;

/** Runs a program over one row of doubles, plainly. */
final class Interpreter {
    private final Program program;
    private final int length;
    private final double[][] values;

    Interpreter(Program program, int length) {
        this.program = program;
        this.length = length;
        this.values = new double[program.code().size()][];
        for (int i = 0; i < values.length; i++) {
            values[i] = new double[program.isRowConstant(i) ? 1 : length];
        }
    }

    /** Supplies the inputs of the current row. */
    interface Source {
        double get(int input, int position);
    }

    void run(Source source) {
        for (int i = 0; i < values.length; i++) {
            Instruction instruction = program.code().get(i);
            double[] out = values[i];
            for (int p = 0; p < out.length; p++) {
                out[p] = value(instruction, p, source);
            }
        }
    }

    /** Value {@code i} at a position of the row. */
    double value(int i, int p) {
        return values[i][values[i].length == 1 ? 0 : p];
    }

    private double value(Instruction instruction, int p, Source source) {
        return switch (instruction) {
            case Instruction.Load l -> source.get(l.index(), p);
            case Instruction.Constant c -> c.value();
            case Instruction.Position x -> p;
            case Instruction.Apply1 a -> Scalar.apply(a.op(), value(a.x(), p));
            case Instruction.Apply2 a -> Scalar.apply(a.op(), value(a.a(), p), value(a.b(), p));
            case Instruction.Choose c -> value(c.condition(), p) != 0 ? value(c.a(), p) : value(c.b(), p);
            case Instruction.SumRow s -> {
                double sum = 0;
                for (int q = 0; q < length; q++) {
                    sum += value(s.x(), q);
                }
                yield sum;
            }
            case Instruction.MaxRow m -> {
                double max = Double.NEGATIVE_INFINITY;
                for (int q = 0; q < length; q++) {
                    max = Math.max(max, value(m.x(), q));
                }
                yield max;
            }
        };
    }
}
