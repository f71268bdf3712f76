package dev.jotune.tensor.cpu;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Blocks;
import dev.jotune.tensor.cpu.simd.Parallel;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.expr.Program.Instruction;
import dev.jotune.tensor.expr.Scalar;
import java.lang.ref.Reference;
import java.util.Optional;

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
    private final int[] target;

    private VectorMap(Program program, Tensor[] operands, int inputs, RowLoop loop, MapPlan plan) {
        this.program = program;
        this.operands = operands;
        this.inputs = inputs;
        this.loop = loop;
        this.block = (int) (program.needsRows() ? loop.length : Math.min(loop.length, BLOCK));
        this.scalar = plan.scalar;
        this.slot = plan.slot;
        this.slots = plan.slots;
        this.target = plan.target;
    }

    /** True if every operand can be read and written in F32 arithmetic. */
    static boolean supports(Tensor[] inputs, Tensor[] outputs) {
        return supports(inputs) && supports(outputs);
    }

    private static boolean supports(Tensor[] tensors) {
        for (Tensor t : tensors) {
            // Empty rows still have values where an output has one a row.
            if (t.dtype() == DType.F64 || t.numel() == 0) {
                return false;
            }
        }
        return true;
    }

    static void run(Program program, Tensor[] inputs, Tensor[] outputs) {
        Tensor[] operands = ReferenceBackend.joined(inputs, outputs);
        RowLoop loop = program.needsRows() ? null : RowLoop.dense(operands);
        if (loop == null) {
            loop = RowLoop.over(ReferenceBackend.commonShape(inputs, outputs), program.needsRows(), operands);
        }
        // An empty row still has a sum.
        if (loop.rows == 0 || loop.length == 0 && !program.needsRows()) {
            return;
        }
        Optional<KnownProgram> known = KnownProgram.of(program);
        if (known.isPresent() && known.get().fits(loop, operands, inputs.length)) {
            known.get().run(loop, operands, !program.needsRows());
        } else {
            new VectorMap(program, operands, inputs.length, loop, MapPlan.of(program, key(program, loop, inputs, outputs))).run();
        }
        Reference.reachabilityFence(operands);
    }

    private void run() {
        long blocks = block == 0 ? 1 : (loop.length + block - 1) / block;
        long units = loop.rows * blocks;
        long work = loop.rows * loop.length * program.code().size();
        int tasks = (int) Math.clamp(Math.min(units, work / TASK), 1, 8L * Parallel.sharedThreads());
        if (tasks == 1) {
            task(0, units, blocks);
        } else {
            Parallel.run(tasks, t -> task(units * t / tasks, units * (t + 1) / tasks, blocks));
        }
    }

    private static MapPlan.Key key(Program program, RowLoop loop, Tensor[] inputs, Tensor[] outputs) {
        long constant = 0;
        for (int i = 0; i < inputs.length; i++) {
            constant |= loop.step[i] == 0 ? 1L << i : 0;
        }
        boolean apart = !aliased(program, inputs, outputs);
        long direct = 0;
        for (int k = 0; k < outputs.length; k++) {
            boolean dense = outputs[k].dtype() == DType.F32 && loop.step[inputs.length + k] == 1;
            direct |= apart && dense ? 1L << k : 0;
        }
        return new MapPlan.Key(constant, direct);
    }

    /** Whether writing an output at once could overwrite what is still to be read. */
    private static boolean aliased(Program program, Tensor[] inputs, Tensor[] outputs) {
        boolean last = outputs.length == 1 && program.output(0) == program.code().size() - 1;
        for (Tensor o : outputs) {
            for (Tensor i : inputs) {
                if (i.storage() == o.storage() && !(last && KnownProgram.sameElements(i, o))) {
                    return true;
                }
            }
        }
        return false;
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
