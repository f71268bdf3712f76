package dev.jotune.tensor.cpu;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Blocks;
import dev.jotune.tensor.cpu.simd.Parallel;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.expr.Program.Instruction;
import dev.jotune.tensor.expr.Scalar;
import java.lang.ref.Reference;

/**
 * Runs element-wise programs over blocks that stay in the first-level cache: one vector loop for each instruction and
 * block. Programs with row reductions take a whole row as a block. Values that are constant along a row are scalars.
 */
final class VectorMap {
    /** Floats of a block: eight live values fill half of a 48 KB cache. */
    private static final int BLOCK = 1024;
    /** Elements times instructions that justify a task of their own, about 20 microseconds. */
    private static final long TASK = 1 << 17;

    private final Program program;
    private final Tensor[] operands;
    private final int inputs;
    private final RowLoop loop;
    private final int block;
    private final boolean[] scalar;
    private final int[] slot;
    private final int slots;
    private final boolean direct;
    /** For each value: the output that it is written to in place of a slot, or -1. */
    private final int[] target;

    private VectorMap(Program program, Tensor[] inputs, Tensor[] outputs) {
        this.program = program;
        this.operands = ReferenceBackend.joined(inputs, outputs);
        this.inputs = inputs.length;
        this.loop = RowLoop.over(ReferenceBackend.commonShape(inputs, outputs), program.needsRows(), operands);
        this.block = (int) (program.needsRows() ? loop.length : Math.min(loop.length, BLOCK));
        this.scalar = new boolean[program.code().size()];
        this.direct = !aliased(inputs, outputs);
        this.target = new int[scalar.length];
        this.slot = new int[scalar.length];
        findScalars();
        findTargets(outputs);
        this.slots = assignSlots();
    }

    /** True if every operand can be read and written in F32 arithmetic. */
    static boolean supports(Tensor[] inputs, Tensor[] outputs) {
        for (Tensor t : ReferenceBackend.joined(inputs, outputs)) {
            // Empty rows still have values where an output has one a row.
            if (t.dtype() == DType.F64 || t.numel() == 0) {
                return false;
            }
        }
        return true;
    }

    static void run(Program program, Tensor[] inputs, Tensor[] outputs) {
        VectorMap m = new VectorMap(program, inputs, outputs);
        // An empty row still has a sum.
        if (m.loop.rows == 0 || m.loop.length == 0 && !program.needsRows()) {
            return;
        }
        long blocks = m.block == 0 ? 1 : (m.loop.length + m.block - 1) / m.block;
        long units = m.loop.rows * blocks;
        long work = m.loop.rows * m.loop.length * program.code().size();
        int tasks = (int) Math.clamp(Math.min(units, work / TASK), 1, 8L * Parallel.sharedThreads());
        Parallel.run(tasks, t -> m.task(units * t / tasks, units * (t + 1) / tasks, blocks));
        Reference.reachabilityFence(m.operands);
    }

    private static boolean aliased(Tensor[] inputs, Tensor[] outputs) {
        for (Tensor o : outputs) {
            for (Tensor i : inputs) {
                if (i.storage() == o.storage()) {
                    return true;
                }
            }
        }
        return false;
    }

    private void findScalars() {
        for (int i = 0; i < scalar.length; i++) {
            scalar[i] = switch (program.code().get(i)) {
                case Instruction.Load l -> loop.step[l.index()] == 0;
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
    private void findTargets(Tensor[] outputs) {
        java.util.Arrays.fill(target, -1);
        for (int k = 0; direct && k < outputs.length; k++) {
            int v = program.output(k);
            boolean load = program.code().get(v) instanceof Instruction.Load;
            if (!scalar[v] && !load && target[v] < 0 && outputs[k].dtype() == DType.F32 && loop.step[inputs + k] == 1) {
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
            forOperands(program.code().get(i), o -> last[o] = at);
        }
        for (int k = 0; k < program.outputCount(); k++) {
            last[program.output(k)] = n;
        }
        java.util.ArrayDeque<Integer> free = new java.util.ArrayDeque<>();
        int count = 0;
        for (int i = 0; i < n; i++) {
            int at = i;
            // Element-wise loops may overwrite an operand; a choice reads three, which is as safe.
            forOperands(program.code().get(i), o -> {
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

    private static void forOperands(Instruction i, java.util.function.IntConsumer f) {
        switch (i) {
            case Instruction.Apply1 a -> f.accept(a.x());
            case Instruction.Apply2 a -> {
                f.accept(a.a());
                f.accept(a.b());
            }
            case Instruction.Choose c -> {
                f.accept(c.condition());
                f.accept(c.a());
                f.accept(c.b());
            }
            case Instruction.SumRow s -> f.accept(s.x());
            case Instruction.MaxRow s -> f.accept(s.x());
            case Instruction.Load l -> { }
            case Instruction.Constant c -> { }
            case Instruction.Position p -> { }
        }
    }

    private void task(long from, long to, long blocks) {
        long scratch = Blocks.scratch((long) slots * ((block + 15) / 16 * 16));
        long[] at = new long[operands.length];
        long[] address = new long[scalar.length];
        float[] value = new float[scalar.length];
        for (long u = from; u < to; u++) {
            long row = u / blocks;
            long start = u % blocks * block;
            for (int k = 0; k < at.length; k++) {
                at[k] = operands[k].address() + (loop.offset(k, row) + start * loop.step[k]) * operands[k].dtype().byteSize();
            }
            int n = (int) Math.min(block, loop.length - start);
            for (int i = 0; i < scalar.length; i++) {
                address[i] = target[i] >= 0 ? at[inputs + target[i]] : scratch + 4L * slot[i] * ((block + 15) / 16 * 16);
                step(i, n, at, address, value);
            }
            store(n, at, address, value);
        }
    }

    private void step(int i, int n, long[] at, long[] address, float[] value) {
        switch (program.code().get(i)) {
            case Instruction.Load l -> load(i, l.index(), n, at, address, value);
            case Instruction.Constant c -> value[i] = (float) c.value();
            case Instruction.Position p -> Blocks.iota(address[i], n);
            case Instruction.Apply1 a -> {
                if (scalar[i]) {
                    value[i] = (float) Scalar.apply(a.op(), value[a.x()]);
                } else {
                    Blocks.unary(a.op(), address[a.x()], address[i], n);
                }
            }
            case Instruction.Apply2 a -> {
                if (scalar[i]) {
                    value[i] = (float) Scalar.apply(a.op(), value[a.a()], value[a.b()]);
                } else if (scalar[a.b()]) {
                    Blocks.binary(a.op(), address[a.a()], value[a.b()], address[i], n);
                } else if (scalar[a.a()]) {
                    Blocks.binary(a.op(), value[a.a()], address[a.b()], address[i], n);
                } else {
                    Blocks.binary(a.op(), address[a.a()], address[a.b()], address[i], n);
                }
            }
            case Instruction.Choose c -> choose(i, c, n, address, value);
            case Instruction.SumRow s -> value[i] = scalar[s.x()] ? value[s.x()] * n : Blocks.sum(address[s.x()], n);
            case Instruction.MaxRow s -> value[i] = scalar[s.x()] ? value[s.x()] : Blocks.max(address[s.x()], n);
        }
    }

    private void choose(int i, Instruction.Choose c, int n, long[] address, float[] value) {
        if (scalar[i]) {
            value[i] = value[c.condition()] != 0 ? value[c.a()] : value[c.b()];
            return;
        }
        if (scalar[c.condition()]) {
            int chosen = value[c.condition()] != 0 ? c.a() : c.b();
            if (scalar[chosen]) {
                Blocks.fill(address[i], value[chosen], n);
            } else {
                Blocks.copy(address[chosen], address[i], n);
            }
            return;
        }
        Blocks.select(address[c.condition()], scalar[c.a()] ? 0 : address[c.a()], value[c.a()],
                scalar[c.b()] ? 0 : address[c.b()], value[c.b()], address[i], n);
    }

    private void load(int i, int input, int n, long[] at, long[] address, float[] value) {
        Tensor t = operands[input];
        if (scalar[i]) {
            value[i] = Blocks.get(t.dtype(), at[input]);
        } else if (t.dtype() == DType.F32 && loop.step[input] == 1) {
            address[i] = at[input];
        } else {
            Blocks.load(t.dtype(), at[input], loop.step[input], address[i], n);
        }
    }

    private void store(int n, long[] at, long[] address, float[] value) {
        for (int k = 0; k < program.outputCount(); k++) {
            int v = program.output(k);
            if (target[v] == k) {
                continue;
            }
            Tensor t = operands[inputs + k];
            long step = loop.step[inputs + k];
            int count = step == 0 ? 1 : n;
            if (scalar[v]) {
                Blocks.fillAs(t.dtype(), at[inputs + k], step, value[v], count);
            } else {
                Blocks.store(address[v], t.dtype(), at[inputs + k], step, count);
            }
        }
    }
}
