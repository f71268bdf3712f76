package dev.jotune.tensor.cpu;

import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.expr.Program.Instruction;
import java.util.ArrayDeque;
import java.util.Arrays;

/**
 * Where the values of a program live while it runs over blocks, which depends on the program and on which operands are
 * constant along a row, but not on sizes: worked out once and kept with the program.
 */
final class MapPlan {
    /**
     * What a plan depends on.
     *
     * @param constant bit i: input i does not move along a row
     * @param direct bit k: values can be computed straight into the memory of output k
     */
    record Key(long constant, long direct) {}

    /** For each value: whether it is one number a row. */
    final boolean[] scalar;
    /** For each value: its block of scratch, or -1. */
    final int[] slot;
    final int slots;
    /** For each value: the output that it is written to in place of a slot, or -1. */
    final int[] target;

    private final Program program;

    private MapPlan(Program program, Key key) {
        this.program = program;
        this.scalar = new boolean[program.code().size()];
        this.target = new int[scalar.length];
        this.slot = new int[scalar.length];
        findScalars(key.constant());
        findTargets(key.direct());
        this.slots = assignSlots();
    }

    static MapPlan of(Program program, Key key) {
        return program.plan(key, k -> new MapPlan(program, k));
    }

    private void findScalars(long constant) {
        for (int i = 0; i < scalar.length; i++) {
            scalar[i] = switch (program.code().get(i)) {
                case Instruction.Load l -> (constant >> l.index() & 1) != 0;
                case Instruction.Constant c -> true;
                case Instruction.Position p -> false;
                case Instruction.Apply1 a -> scalar[a.x()];
                case Instruction.Apply2 a -> scalar[a.a()] && scalar[a.b()];
                case Instruction.Choose c -> scalar[c.condition()] && scalar[c.a()] && scalar[c.b()];
                case Instruction.SumRow s -> true;
                case Instruction.MaxRow s -> true;
            };
        }
    }

    /** A value may be computed straight into an output's memory if nothing else lies there. */
    private void findTargets(long direct) {
        Arrays.fill(target, -1);
        for (int k = 0; k < program.outputCount(); k++) {
            int v = program.output(k);
            boolean load = program.code().get(v) instanceof Instruction.Load;
            if (!scalar[v] && !load && target[v] < 0 && (direct >> k & 1) != 0) {
                target[v] = k;
            }
        }
    }

    /** Reuses a slot as soon as its value has been used for the last time. */
    private int assignSlots() {
        int n = scalar.length;
        int[] last = new int[n];
        for (int i = 0; i < n; i++) {
            int at = i;
            program.code().get(i).forOperands(o -> last[o] = at);
        }
        for (int k = 0; k < program.outputCount(); k++) {
            last[program.output(k)] = n;
        }
        ArrayDeque<Integer> free = new ArrayDeque<>();
        int count = 0;
        for (int i = 0; i < n; i++) {
            int at = i;
            // Element-wise loops may overwrite an operand; a choice reads three, which is as safe.
            program.code().get(i).forOperands(o -> {
                if (last[o] == at && slot[o] >= 0 && !free.contains(slot[o])) {
                    free.push(slot[o]);
                }
            });
            slot[i] = -1;
            if (!scalar[i] && target[i] < 0) {
                slot[i] = free.isEmpty() ? count++ : free.pop();
            }
        }
        return count;
    }
}
