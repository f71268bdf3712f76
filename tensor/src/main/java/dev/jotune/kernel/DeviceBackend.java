package dev.jotune.kernel;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Elements;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Shape;
import dev.jotune.tensor.Storage;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.RowLoop;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.expr.Program.Instruction;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The primitives of a device with memory of its own, made of kernels: whoever can allocate, transfer and launch gets the rest
 * from here. Element-wise programs and row reductions are kernels that {@link ProgramText} writes, all others are texts beside
 * this class.
 *
 * <p>Work is enqueued in order and nothing waits but {@link #read}, and the calls that must check ids first. What a device
 * cannot do, F64 without units for it, goes to the host, is computed by the reference and comes back: right, and slow.
 */
public abstract class DeviceBackend implements Backend {
    private static final Program IDENTITY = Program.of(Expr.input(0));
    /** Groups for each unit of the device: enough that units which finish early find more. */
    private static final int GROUPS_PER_UNIT = 64;

    /** Key of whether a program has operands with one value a row, so that rows must stay rows. */
    private static final Object ROW_INPUTS = new Object();

    private final HostDetour detour = new HostDetour(this);
    private final Reductions reductions = new Reductions(this);
    private final Products products = new Products(this);

    /** Enqueues a kernel over groups; a tensor stands for a buffer parameter and its offset, a number for the others. */
    protected abstract void launch(KernelSource kernel, long groups, Object... arguments);

    /** Enqueues repeating {@code pattern}, one element's bytes, over a dense tensor with elements. */
    protected abstract void fillBytes(Tensor dense, byte[] pattern);

    /** Enqueues copying between dense tensors of equal size whose memory does not overlap. */
    protected abstract void copyBytes(Tensor source, Tensor target);

    /** Where a tensor begins in its memory, in bytes. */
    protected static long start(Tensor t) {
        return t.offset() * t.dtype().byteSize();
    }

    /** Bytes of a tensor without gaps. */
    protected static long bytes(Tensor dense) {
        if (!dense.isContiguous()) {
            throw new IllegalArgumentException(dense + " is not dense; call contiguous() first");
        }
        return dense.numel() * dense.dtype().byteSize();
    }

    /** Whether the device computes in F64. */
    protected abstract boolean doubles();

    /** Units that run groups side by side. */
    protected abstract int units();

    /** Items of a group in kernels whose results do not depend on it; a device that measured knows better. */
    protected int group() {
        return PrimitiveTexts.GROUP;
    }

    /** Tiles of products, the fastest on this device first; a device that measured knows better. */
    protected List<Tile> tiles() {
        return Tile.CHOICES;
    }

    final KernelSource sized(KernelSource kernel) {
        return PrimitiveTexts.sized(kernel, group());
    }

    /** Chooses this device's kernels for matrix products. */
    Products products() {
        return products;
    }

    private boolean foreign(Tensor... tensors) {
        return !doubles() && Arrays.stream(tensors).anyMatch(t -> t.dtype() == DType.F64);
    }

    protected final long groups(long items, KernelSource kernel) {
        return Math.clamp((items + kernel.group() - 1) / kernel.group(), 1, (long) units() * GROUPS_PER_UNIT);
    }

    protected final long groupsOf(long count) {
        return Math.clamp(count, 1, (long) units() * GROUPS_PER_UNIT);
    }

    static DType arithmetic(Tensor... tensors) {
        return Arrays.stream(tensors).anyMatch(t -> t.dtype() == DType.F64) ? DType.F64 : DType.F32;
    }

    @Override
    public Tensor adopt(Tensor other) {
        if (other.backend() == this) {
            return other;
        }
        Tensor dense = other.contiguous();
        Tensor t = Tensor.empty(this, dense.dtype(), dense.shape());
        long bytes = dense.numel() * dense.dtype().byteSize();
        if (dense.storage().isHostAddressable()) {
            write(t, dense.storage().host().asSlice(bytes == 0 ? 0 : dense.offset() * dense.dtype().byteSize(), bytes));
        } else {
            Storage staging = HostMemory.allocate(bytes);
            dense.backend().read(dense, staging.host());
            write(t, staging.host());
            staging.free();
        }
        return t;
    }

    @Override
    public Tensor map(MemorySegment bytes, DType dtype, long... shape) {
        Tensor t = Tensor.empty(this, dtype, shape);
        write(t, bytes.asSlice(0, t.numel() * dtype.byteSize()));
        return t;
    }

    @Override
    public void fill(Tensor target, double value) {
        if (target.numel() == 0) {
            return;
        }
        if (target.isContiguous()) {
            byte[] pattern = new byte[target.dtype().byteSize()];
            Storage staging = HostMemory.allocate(Long.BYTES);
            Elements.put(target.dtype(), staging.address(), value);
            MemorySegment.copy(staging.host(), ValueLayout.JAVA_BYTE, 0, pattern, 0, pattern.length);
            staging.free();
            fillBytes(target, pattern);
        } else {
            Tensor one = Tensor.full(this, target.dtype(), value, 1);
            copy(one.expand(target.shape()), target);
            one.storage().free();
        }
    }

    @Override
    public void copy(Tensor source, Tensor target) {
        if (!Arrays.equals(source.shape(), target.shape())) {
            throw new IllegalArgumentException("cannot copy " + source + " to " + target + ": the shapes differ");
        }
        if (target.numel() == 0) {
            return;
        }
        DType from = source.dtype();
        DType to = target.dtype();
        if (from == to && from != DType.BOOL && source.isContiguous() && target.isContiguous()) {
            if (source.storage() != target.storage()) {
                copyBytes(source, target);
                return;
            }
            if (source.offset() == target.offset()) {
                return;
            }
        }
        if (CopyText.covers(from, to)) {
            RowLoop loop = RowLoop.over(target.shape(), false, source, target);
            walk(sized(PrimitiveTexts.copy(from, to, loop.outerRank())), loop, loop.rows * loop.length, source, target);
        } else if (foreign(source, target)) {
            detour.copy(source, target);
        } else {
            // 32-bit integers pass through doubles unharmed, through floats they do not.
            boolean wide = doubles() && (from == DType.I32 || from == DType.I64 || to == DType.I32 || to == DType.I64);
            run(IDENTITY, wide ? DType.F64 : arithmetic(source, target), new Tensor[] {source}, new Tensor[] {target});
        }
    }

    /** Launches a kernel with the parameters of {@link ProgramText#of}. */
    private void walk(KernelSource kernel, RowLoop loop, long items, Tensor... operands) {
        int outer = loop.outerRank();
        List<Object> arguments = new ArrayList<>(Arrays.asList(operands));
        arguments.add(loop.rows);
        arguments.add(loop.length);
        for (int i = 1; i < outer; i++) {
            arguments.add(loop.outerSize(i));
        }
        for (int k = 0; k < operands.length; k++) {
            arguments.add(loop.step[k]);
            for (int i = 0; i < outer; i++) {
                arguments.add(loop.outerStride(k, i));
            }
        }
        launch(kernel, groups(items, kernel), arguments.toArray());
    }

    /** What a program's text depends on besides the program. */
    private record MapKey(DType arithmetic, int group, int outer, List<DType> inputs, List<DType> outputs) {}

    @Override
    public void map(Program program, Tensor[] inputs, Tensor[] outputs) {
        if (foreign(inputs) || foreign(outputs)) {
            detour.map(program, inputs, outputs);
            return;
        }
        DType arithmetic = arithmetic(inputs) == DType.F64 || arithmetic(outputs) == DType.F64 ? DType.F64 : DType.F32;
        run(program, arithmetic, inputs, outputs);
    }

    final void run(Program program, DType arithmetic, Tensor[] inputs, Tensor[] outputs) {
        long[] shape = {};
        for (Tensor t : inputs) {
            shape = Shape.broadcast(shape, t.shape());
        }
        for (Tensor t : outputs) {
            shape = Shape.broadcast(shape, t.shape());
        }
        Tensor[] all = Arrays.copyOf(inputs, inputs.length + outputs.length);
        System.arraycopy(outputs, 0, all, inputs.length, outputs.length);
        boolean byRows = ProgramText.byRows(program);
        boolean rowInputs = program.plan(ROW_INPUTS, k -> program.code().stream().anyMatch(i -> i instanceof Instruction.Load l && l.rowConstant()));
        RowLoop loop = RowLoop.over(shape, byRows || rowInputs, all);
        if (loop.rows == 0 || loop.length == 0 && !byRows) {
            return;
        }
        MapKey key = new MapKey(arithmetic, byRows ? PrimitiveTexts.GROUP : group(), loop.outerRank(),
                Arrays.stream(inputs).map(Tensor::dtype).toList(),
                Arrays.stream(outputs).map(Tensor::dtype).toList());
        KernelSource kernel = program.plan(key, k -> ProgramText.of(program, k.arithmetic, k.outer, k.inputs, k.outputs).withGroup(k.group));
        walk(kernel, loop, byRows ? loop.rows * kernel.group() : loop.rows * loop.length, all);
    }

    @Override
    public void reduce(Reduction op, Tensor x, Tensor out) {
        if (out.numel() == 0) {
            return;
        }
        if (x.numel() == 0) {
            fill(out, op == Reduction.SUM ? 0 : Double.NEGATIVE_INFINITY);
            return;
        }
        if (foreign(x, out)) {
            detour.reduce(op, x, out);
            return;
        }
        reductions.run(op, x, out);
    }

    @Override
    public void argmax(Tensor x, Tensor out) {
        if (x.size(-1) == 0) {
            throw new IllegalArgumentException("argmax of an empty axis, shape " + Shape.toString(x.shape()));
        }
        if (foreign(x)) {
            detour.argmax(x, out);
        } else if (out.numel() > 0) {
            Tensor rows = x.contiguous();
            launch(PrimitiveTexts.argmax(x.dtype()), groupsOf(out.numel()), rows, out, out.numel(), x.size(-1));
        }
    }

    @Override
    public void matmul(Tensor a, Tensor b, Tensor out, boolean accumulate) {
        if (out.numel() == 0) {
            return;
        }
        if (a.size(-1) == 0) {
            if (!accumulate) {
                fill(out, 0);
            }
            return;
        }
        if (foreign(a, b, out)) {
            detour.matmul(a, b, out, accumulate);
            return;
        }
        products.multiply(a, b, out, accumulate);
    }

    @Override
    public void gather(Tensor table, Tensor ids, Tensor out) {
        Ids.check(ids, table.size(0));
        if (out.numel() == 0) {
            return;
        }
        if (foreign(table, out)) {
            detour.gather(table, ids, out);
            return;
        }
        Tensor rows = out.reshape(ids.numel(), table.size(1));
        KernelSource kernel = sized(PrimitiveTexts.gather(table.dtype(), ids.dtype(), out.dtype()));
        launch(kernel, groups(out.numel(), kernel), table, ids, rows, ids.numel(), table.size(1), table.stride(0), table.stride(1), rows.stride(0),
                rows.stride(1));
    }

    @Override
    public void scatterAdd(Tensor rows, Tensor ids, Tensor table) {
        long[] checked = Ids.check(ids, table.size(0));
        if (rows.numel() == 0) {
            return;
        }
        Ids sorted = Ids.sorted(checked);
        if (foreign(rows, table)) {
            detour.scatterAdd(rows, ids, table);
            return;
        }
        Tensor flat = rows.reshape(ids.numel(), table.size(1));
        Tensor plan = Tensor.of(this, sorted.plan(), sorted.plan().length);
        KernelSource kernel = PrimitiveTexts.scatterAdd(rows.dtype(), table.dtype());
        launch(kernel, groupsOf(sorted.targets()), flat, plan, table, sorted.targets(), table.size(1), flat.stride(0), flat.stride(1),
                table.stride(0), table.stride(1));
        plan.storage().free();
    }

    @Override
    public void uniform(Tensor out, long seed, long stream) {
        noise(out, foreign(out), sized(PrimitiveTexts.uniform(out.dtype())), seed, stream, () -> detour.uniform(out, seed, stream));
    }

    @Override
    public void normal(Tensor out, long seed, long stream) {
        noise(out, !doubles(), sized(PrimitiveTexts.normal(out.dtype())), seed, stream, () -> detour.normal(out, seed, stream));
    }

    private void noise(Tensor out, boolean elsewhere, KernelSource kernel, long seed, long stream, Runnable onHost) {
        if (out.numel() == 0) {
            return;
        }
        if (elsewhere) {
            onHost.run();
        } else {
            launch(kernel, groups((out.numel() + 1) / 2, kernel), out, out.numel(), seed, stream);
        }
    }
}
