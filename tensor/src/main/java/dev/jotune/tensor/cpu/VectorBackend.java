package dev.jotune.tensor.cpu;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Shape;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Blocks;
import dev.jotune.tensor.cpu.simd.Gemm;
import dev.jotune.tensor.cpu.simd.Matrix;
import dev.jotune.tensor.cpu.simd.Parallel;
import dev.jotune.tensor.cpu.simd.RowGather;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.kernels.AdamWKernel;
import dev.jotune.tensor.kernels.AttentionKernel;
import dev.jotune.tensor.kernels.DecodeKernel;
import dev.jotune.tensor.kernels.DequantizeKernel;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.FusedKernel;
import dev.jotune.tensor.kernels.NormKernel;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.kernels.RotaryKernel;
import dev.jotune.tensor.kernels.ScanKernel;
import dev.jotune.tensor.kernels.SparseKernel;
import dev.jotune.tensor.random.Philox;
import java.lang.ref.Reference;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * F32 on the CPU's vector units through the Vector API. F64 tensors and rare layouts run on the reference's scalar
 * loops, which this class inherits.
 */
final class VectorBackend extends ReferenceBackend {
    private final Extensions extensions = Extensions.all();
    /** Elements that justify a task of their own. */
    private static final long TASK = 1 << 15;
    /** Elements of a row below which beginning it costs more than copying it. */
    private static final long SHORT = 32;

    private final Map<Class<? extends FusedKernel>, FusedKernel> kernels = Map.of(
            AttentionKernel.class, new VectorAttention(),
            NormKernel.class, new VectorNorm(),
            RotaryKernel.class, new VectorRotary(),
            ScanKernel.class, new VectorScan(),
            SparseKernel.class, new VectorSparse(),
            DequantizeKernel.class, new VectorDequantize(),
            AdamWKernel.class, new VectorAdamW(),
            DecodeKernel.class, new VectorDecode(extensions));
    private final FrozenKernel frozen = extensions.kernel(FrozenKernel.class)
            .<FrozenKernel>map(k -> new FrozenChoice(List.of(k, new VectorFrozen()))).orElseGet(VectorFrozen::new);

    private final QuantizedProductKernel quantized = extensions.kernel(QuantizedProductKernel.class)
            .<QuantizedProductKernel>map(k -> new QuantizedChoice(List.of(k, new VectorQuantizedProduct(extensions))))
            .orElseGet(() -> new VectorQuantizedProduct(extensions));

    @Override
    public String name() {
        return "cpu";
    }

    @Override
    public String description() {
        return "Vector API, " + Blocks.vectorBits() + "-bit vectors, " + Parallel.sharedThreads() + " threads" + extensions.description();
    }

    @Override
    public <K extends FusedKernel> Optional<K> kernel(Class<K> kind) {
        if (kind == FrozenKernel.class) {
            return Optional.of(kind.cast(frozen));
        }
        if (kind == QuantizedProductKernel.class) {
            return Optional.of(kind.cast(quantized));
        }
        return extensions.kernel(kind).or(() -> Optional.ofNullable(kind.cast(kernels.get(kind))));
    }

    @Override
    public void fill(Tensor target, double value) {
        writable(target);
        if (!target.isContiguous() || target.dtype() != DType.F32) {
            super.fill(target, value);
            return;
        }
        chunked(target.numel(), (from, n) -> Blocks.fill(target.address() + 4 * from, (float) value, n));
        Reference.reachabilityFence(target);
    }

    /** Work on elements {@code from .. from + n}. */
    private interface Chunk {
        void run(long from, int n);
    }

    private static void chunked(long numel, Chunk chunk) {
        int tasks = (int) ((numel + TASK - 1) / TASK);
        Parallel.run(tasks, t -> chunk.run(t * TASK, (int) Math.min(TASK, numel - t * TASK)));
    }

    @Override
    public void copy(Tensor source, Tensor target) {
        writable(target);
        if (!Arrays.equals(source.shape(), target.shape()) || !Blocks.converts(source.dtype(), target.dtype())) {
            super.copy(source, target);
            return;
        }
        int rank = target.rank();
        if (rank > 1 && target.size(-1) < SHORT && target.size(-2) > 2 * target.size(-1) && source.stride(-2) == 1) {
            // The transpose of a thin matrix: a few long rows are less to begin than many short ones.
            copy(source.transpose(-1, -2), target.transpose(-1, -2));
            return;
        }
        RowLoop loop = RowLoop.over(target.shape(), false, source, target);
        int from = source.dtype().byteSize();
        int to = target.dtype().byteSize();
        long length = loop.length;
        if (length == 0) {
            return;
        }
        long blocks = (length + TASK - 1) / TASK;
        long units = loop.rows * blocks;
        int tasks = (int) Math.clamp(loop.rows * length / TASK, 1, 8L * Parallel.sharedThreads());
        Parallel.run(tasks, t -> {
            for (long u = units * t / tasks; u < units * (t + 1) / tasks; u++) {
                long row = u / blocks;
                long start = u % blocks * TASK;
                Blocks.convert(source.dtype(), source.address() + (loop.offset(0, row) + start * loop.step[0]) * from, loop.step[0],
                        target.dtype(), target.address() + (loop.offset(1, row) + start * loop.step[1]) * to, loop.step[1],
                        (int) Math.min(TASK, length - start));
            }
        });
        Reference.reachabilityFence(source);
        Reference.reachabilityFence(target);
    }

    @Override
    public void map(Program program, Tensor[] inputs, Tensor[] outputs) {
        writable(outputs);
        if (VectorMap.supports(inputs, outputs)) {
            VectorMap.run(program, inputs, outputs);
        } else {
            super.map(program, inputs, outputs);
        }
    }

    @Override
    public void reduce(Reduction op, Tensor x, Tensor out) {
        writable(out);
        if (x.dtype() != DType.F32 || out.dtype() != DType.F32 || op != Reduction.SUM) {
            super.reduce(op, x, out);
            return;
        }
        fill(out, 0);
        RowLoop loop = RowLoop.over(x.shape(), false, x, out);
        int n = Math.toIntExact(loop.length);
        for (long r = 0; r < loop.rows; r++) {
            long a = x.address() + 4 * loop.offset(0, r);
            long b = out.address() + 4 * loop.offset(1, r);
            if (loop.step[1] == 0) {
                Blocks.addTo(b, Blocks.sum(a, loop.step[0], n));
            } else {
                Blocks.add(a, loop.step[0], b, loop.step[1], n);
            }
        }
        Reference.reachabilityFence(x);
        Reference.reachabilityFence(out);
    }

    @Override
    public void matmul(Tensor a, Tensor b, Tensor out, boolean accumulate) {
        writable(out);
        if (!isOperand(a) || !isOperand(b) || out.dtype() != DType.F32) {
            super.matmul(a, b, out, accumulate);
            return;
        }
        boolean columns = out.stride(-1) == 1 || out.size(-1) == 1;
        boolean rows = out.stride(-2) == 1 || out.size(-2) == 1;
        if (!columns && rows) {
            // out^T = b^T a^T has the contiguous rows that the kernels write.
            matmul(b.transpose(-1, -2), a.transpose(-1, -2), out.transpose(-1, -2), accumulate);
        } else if (!columns) {
            super.matmul(a, b, out, accumulate);
        } else {
            product(a, b, out, accumulate);
        }
    }

    private static boolean isOperand(Tensor t) {
        return t.dtype() == DType.F32 || t.dtype() == DType.BF16 || t.dtype() == DType.F16;
    }

    private void product(Tensor a, Tensor b, Tensor out, boolean accumulate) {
        int m = Math.toIntExact(out.size(-2));
        int n = Math.toIntExact(out.size(-1));
        int k = Math.toIntExact(a.size(-1));
        long[] batch = Arrays.copyOf(out.shape(), out.rank() - 2);
        int count = Math.toIntExact(Shape.numel(batch));
        Matrix left = new Matrix(a.address(), a.dtype(), a.stride(-2), a.stride(-1));
        Matrix right = new Matrix(b.address(), b.dtype(), b.stride(-2), b.stride(-1));
        if (count == 1 && extensions.matmul(m, n, k, left, right, out.address(), out.stride(-2), accumulate)) {
            Reference.reachabilityFence(new Object[] {a, b, out});
            return;
        }
        if (count == 1) {
            Gemm.run(m, n, k, left, right, out.address(), out.stride(-2), accumulate);
        } else if (count > 1) {
            Gemm.batched(count, m, n, k, addresses(a, batch, count), left, addresses(b, batch, count), right,
                    addresses(out, batch, count), out.stride(-2), accumulate);
        }
        Reference.reachabilityFence(a);
        Reference.reachabilityFence(b);
        Reference.reachabilityFence(out);
    }

    private static long[] addresses(Tensor t, long[] batch, int count) {
        long[] out = new long[count];
        for (int i = 0; i < count; i++) {
            out[i] = t.address() + batchOffset(t, batch, i) * t.dtype().byteSize();
        }
        return out;
    }

    @Override
    public void gather(Tensor table, Tensor ids, Tensor out) {
        writable(out);
        if (!isOperand(table) || out.dtype() != DType.F32 || table.stride(1) != 1 || !out.isContiguous() || !isIndex(ids)) {
            super.gather(table, ids, out);
            return;
        }
        RowGather.gather(table.address(), table.dtype(), table.stride(0), table.size(0), Math.toIntExact(table.size(1)),
                ids.address(), ids.dtype() == DType.I64, ids.numel(), out.address());
        Reference.reachabilityFence(new Object[] {table, ids, out});
    }

    @Override
    public void scatterAdd(Tensor rows, Tensor ids, Tensor table) {
        writable(table);
        if (rows.dtype() != DType.F32 || table.dtype() != DType.F32 || table.stride(1) != 1 || !rows.isContiguous() || !isIndex(ids)) {
            super.scatterAdd(rows, ids, table);
            return;
        }
        RowGather.scatterAdd(rows.address(), ids.address(), ids.dtype() == DType.I64, ids.numel(), Math.toIntExact(table.size(1)),
                table.address(), table.stride(0), table.size(0));
        Reference.reachabilityFence(new Object[] {rows, ids, table});
    }

    private static boolean isIndex(Tensor ids) {
        return (ids.dtype() == DType.I64 || ids.dtype() == DType.I32) && ids.isContiguous();
    }

    @Override
    public void uniform(Tensor out, long seed, long stream) {
        writable(out);
        if (out.dtype() != DType.F32) {
            super.uniform(out, seed, stream);
            return;
        }
        chunked(out.numel(), (from, n) -> {
            float[] noise = new float[n];
            Philox.fillUniform(seed, stream, from, noise);
            Blocks.copyIn(noise, out.address() + 4 * from);
        });
        Reference.reachabilityFence(out);
    }
}
