package dev.jotune.tensor.cpu;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Elements;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Shape;
import dev.jotune.tensor.Storage;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.kernels.FusedKernel;
import dev.jotune.tensor.random.Philox;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.util.Arrays;
import java.util.Optional;

/**
 * Plain scalar loops in double precision: what every other backend is checked against. It has no fused kernels, so
 * on it every operation runs as its definition.
 */
public class ReferenceBackend implements Backend {
    @Override
    public String name() {
        return "reference";
    }

    @Override
    public String description() {
        return "scalar loops in double precision, for checking";
    }

    @Override
    public Storage allocate(long bytes) {
        return HostMemory.allocate(bytes);
    }

    @Override
    public Tensor adopt(Tensor other) {
        if (other.backend() instanceof ReferenceBackend) {
            return other.viewOn(this);
        }
        Tensor dense = other.contiguous();
        Tensor t = Tensor.empty(this, dense.dtype(), dense.shape());
        dense.backend().read(dense, t.storage().host());
        return t;
    }

    @Override
    public Tensor map(MemorySegment bytes, DType dtype, long... shape) {
        return Tensor.over(this, HostMemory.wrap(bytes), dtype, 0, shape);
    }

    @Override
    public void read(Tensor dense, MemorySegment target) {
        MemorySegment.copy(bytes(dense), 0, target, 0, bytes(dense).byteSize());
        Reference.reachabilityFence(dense);
    }

    @Override
    public void write(Tensor dense, MemorySegment source) {
        writable(dense);
        MemorySegment.copy(source, 0, bytes(dense), 0, bytes(dense).byteSize());
        Reference.reachabilityFence(dense);
    }

    private static MemorySegment bytes(Tensor dense) {
        if (!dense.isContiguous()) {
            throw new IllegalArgumentException(dense + " is not dense; call contiguous() first");
        }
        // A view of nothing may begin beyond the end of its storage.
        long from = dense.numel() == 0 ? 0 : dense.offset() * dense.dtype().byteSize();
        return dense.storage().host().asSlice(from, dense.numel() * dense.dtype().byteSize());
    }

    @Override
    public void fill(Tensor target, double value) {
        writable(target);
        RowLoop loop = RowLoop.over(target.shape(), false, target);
        int size = target.dtype().byteSize();
        for (long r = 0; r < loop.rows; r++) {
            long a = target.address() + loop.offset(0, r) * size;
            for (long i = 0; i < loop.length; i++) {
                Elements.put(target.dtype(), a + i * loop.step[0] * size, value);
            }
        }
        Reference.reachabilityFence(target);
    }

    @Override
    public void copy(Tensor source, Tensor target) {
        writable(target);
        same(source, target);
        RowLoop loop = RowLoop.over(target.shape(), false, source, target);
        DType from = source.dtype();
        DType to = target.dtype();
        boolean integers = !from.isFloating() && !to.isFloating();
        for (long r = 0; r < loop.rows; r++) {
            long a = source.address() + loop.offset(0, r) * from.byteSize();
            long b = target.address() + loop.offset(1, r) * to.byteSize();
            for (long i = 0; i < loop.length; i++) {
                long x = a + i * loop.step[0] * from.byteSize();
                long y = b + i * loop.step[1] * to.byteSize();
                if (integers) {
                    Elements.putLong(to, y, Elements.getLong(from, x));
                } else {
                    Elements.put(to, y, Elements.get(from, x));
                }
            }
        }
        Reference.reachabilityFence(source);
        Reference.reachabilityFence(target);
    }

    @Override
    public void map(Program program, Tensor[] inputs, Tensor[] outputs) {
        writable(outputs);
        long[] shape = commonShape(inputs, outputs);
        Tensor[] all = joined(inputs, outputs);
        RowLoop loop = RowLoop.over(shape, true, all);
        Interpreter interpreter = new Interpreter(program, Math.toIntExact(loop.length));
        long[] at = new long[all.length];
        for (long r = 0; r < loop.rows; r++) {
            for (int k = 0; k < all.length; k++) {
                at[k] = all[k].address() + loop.offset(k, r) * all[k].dtype().byteSize();
            }
            interpreter.run((k, p) ->
                    Elements.get(all[k].dtype(), at[k] + p * loop.step[k] * all[k].dtype().byteSize()));
            for (int k = 0; k < outputs.length; k++) {
                int o = inputs.length + k;
                // An empty row still has one value where the output has one a row.
                long n = outputs[k].rank() > 0 && outputs[k].size(-1) != 1 ? loop.length : 1;
                for (long p = 0; p < n; p++) {
                    Elements.put(outputs[k].dtype(), at[o] + p * loop.step[o] * outputs[k].dtype().byteSize(),
                            interpreter.value(program.output(k), (int) p));
                }
            }
        }
        Reference.reachabilityFence(all);
    }

    /** The shape that the program runs over. */
    static long[] commonShape(Tensor[] inputs, Tensor[] outputs) {
        long[] shape = new long[0];
        for (Tensor t : inputs) {
            shape = Shape.broadcast(shape, t.shape());
        }
        for (Tensor t : outputs) {
            shape = Shape.broadcast(shape, t.shape());
        }
        return shape;
    }

    static Tensor[] joined(Tensor[] inputs, Tensor[] outputs) {
        Tensor[] all = Arrays.copyOf(inputs, inputs.length + outputs.length);
        System.arraycopy(outputs, 0, all, inputs.length, outputs.length);
        return all;
    }

    @Override
    public void reduce(Reduction op, Tensor x, Tensor out) {
        writable(out);
        if (out.dtype() != DType.F64) {
            // Partial results keep their digits: only the whole one is rounded.
            Tensor wide = Tensor.empty(this, DType.F64, out.shape());
            reduce(op, x, wide);
            copy(wide, out);
            wide.storage().free();
            return;
        }
        fill(out, op == Reduction.SUM ? 0 : Double.NEGATIVE_INFINITY);
        RowLoop loop = RowLoop.over(x.shape(), false, x, out);
        int xs = x.dtype().byteSize();
        int os = out.dtype().byteSize();
        for (long r = 0; r < loop.rows; r++) {
            long a = x.address() + loop.offset(0, r) * xs;
            long b = out.address() + loop.offset(1, r) * os;
            for (long i = 0; i < loop.length; i++) {
                double v = Elements.get(x.dtype(), a + i * loop.step[0] * xs);
                long y = b + i * loop.step[1] * os;
                double so = Elements.get(out.dtype(), y);
                Elements.put(out.dtype(), y, op == Reduction.SUM ? so + v : Math.max(so, v));
            }
        }
        Reference.reachabilityFence(x);
        Reference.reachabilityFence(out);
    }

    @Override
    public void argmax(Tensor x, Tensor out) {
        writable(out);
        Tensor rows = x.contiguous();
        long n = rows.size(-1);
        if (n == 0) {
            throw new IllegalArgumentException("argmax of an empty axis, shape " + Shape.toString(x.shape()));
        }
        int size = rows.dtype().byteSize();
        for (long r = 0; r < out.numel(); r++) {
            long best = 0;
            double top = Double.NEGATIVE_INFINITY;
            for (long i = 0; i < n; i++) {
                double v = Elements.get(rows.dtype(), rows.address() + (r * n + i) * size);
                if (v > top) {
                    top = v;
                    best = i;
                }
            }
            Elements.putLong(out.dtype(), out.address() + r * out.dtype().byteSize(), best);
        }
        Reference.reachabilityFence(rows);
        Reference.reachabilityFence(out);
    }

    @Override
    public void matmul(Tensor a, Tensor b, Tensor out, boolean accumulate) {
        writable(out);
        long m = out.size(-2);
        long n = out.size(-1);
        long k = a.size(-1);
        int batchRank = out.rank() - 2;
        long[] batch = Arrays.copyOf(out.shape(), batchRank);
        long batches = Shape.numel(batch);
        for (long i = 0; i < batches; i++) {
            long pa = a.address() + batchOffset(a, batch, i) * a.dtype().byteSize();
            long pb = b.address() + batchOffset(b, batch, i) * b.dtype().byteSize();
            long po = out.address() + batchOffset(out, batch, i) * out.dtype().byteSize();
            for (long r = 0; r < m; r++) {
                for (long c = 0; c < n; c++) {
                    double sum = 0;
                    for (long p = 0; p < k; p++) {
                        long x = pa + (r * a.stride(-2) + p * a.stride(-1)) * a.dtype().byteSize();
                        long w = pb + (p * b.stride(-2) + c * b.stride(-1)) * b.dtype().byteSize();
                        sum += Elements.get(a.dtype(), x) * Elements.get(b.dtype(), w);
                    }
                    long y = po + (r * out.stride(-2) + c * out.stride(-1)) * out.dtype().byteSize();
                    Elements.put(out.dtype(), y, accumulate ? sum + Elements.get(out.dtype(), y) : sum);
                }
            }
        }
        Reference.reachabilityFence(a);
        Reference.reachabilityFence(b);
        Reference.reachabilityFence(out);
    }

    /** Element offset of matrix {@code i} of a stack with leading sizes {@code batch}. */
    static long batchOffset(Tensor t, long[] batch, long i) {
        long at = 0;
        long rest = i;
        for (int axis = batch.length - 1; axis >= 0; axis--) {
            at += rest % batch[axis] * t.stride(axis);
            rest /= batch[axis];
        }
        return at;
    }

    @Override
    public void gather(Tensor table, Tensor ids, Tensor out) {
        writable(out);
        long width = table.size(1);
        Tensor flat = out.reshape(ids.numel(), width);
        for (long i = 0; i < ids.numel(); i++) {
            copy(table.select(0, id(ids, i, table.size(0))), flat.select(0, i));
        }
    }

    @Override
    public void scatterAdd(Tensor rows, Tensor ids, Tensor table) {
        writable(table);
        long width = table.size(1);
        Tensor flat = rows.reshape(ids.numel(), width);
        for (long i = 0; i < ids.numel(); i++) {
            long row = id(ids, i, table.size(0));
            long from = flat.address() + i * width * flat.dtype().byteSize();
            for (long c = 0; c < width; c++) {
                long y = table.address() + (row * table.stride(0) + c * table.stride(1)) * table.dtype().byteSize();
                Elements.put(table.dtype(), y, Elements.get(table.dtype(), y)
                        + Elements.get(flat.dtype(), from + c * flat.dtype().byteSize()));
            }
        }
        Reference.reachabilityFence(flat);
        Reference.reachabilityFence(table);
    }

    /** Id number {@code i}, checked to be a row of the table. */
    static long id(Tensor ids, long i, long rows) {
        long id = Elements.getLong(ids.dtype(), ids.address() + i * ids.dtype().byteSize());
        if (id < 0 || id >= rows) {
            throw new IndexOutOfBoundsException("id " + id + " at position " + i + " is not a row of a table with "
                    + rows + " rows");
        }
        Reference.reachabilityFence(ids);
        return id;
    }

    @Override
    public void uniform(Tensor out, long seed, long stream) {
        writable(out);
        boolean wide = out.dtype() == DType.F64;
        for (long i = 0; i < out.numel(); i++) {
            double u = wide ? Philox.uniformDouble(seed, stream, i) : Philox.uniform(seed, stream, i);
            Elements.put(out.dtype(), out.address() + i * out.dtype().byteSize(), u);
        }
        Reference.reachabilityFence(out);
    }

    @Override
    public void normal(Tensor out, long seed, long stream) {
        writable(out);
        for (long i = 0; i < out.numel(); i++) {
            Elements.put(out.dtype(), out.address() + i * out.dtype().byteSize(), Philox.normal(seed, stream, i));
        }
        Reference.reachabilityFence(out);
    }

    @Override
    public <K extends FusedKernel> Optional<K> kernel(Class<K> kind) {
        return Optional.empty();
    }

    /** A write to the pages of a mapped file would end the process; here it ends the call. */
    static void writable(Tensor... targets) {
        for (Tensor t : targets) {
            if (t.storage().isReadOnly()) {
                throw new IllegalArgumentException(t + " lies in a mapped file and cannot be written. Write to a copy().");
            }
        }
    }

    private static void same(Tensor a, Tensor b) {
        if (!Arrays.equals(a.shape(), b.shape())) {
            throw new IllegalArgumentException("cannot copy " + a + " to " + b + ": the shapes differ");
        }
    }
}
