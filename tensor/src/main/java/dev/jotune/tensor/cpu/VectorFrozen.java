package dev.jotune.tensor.cpu;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Storage;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.GemmFrozen;
import dev.jotune.tensor.cpu.simd.GemmFrozen.Begin;
import dev.jotune.tensor.cpu.simd.Matrix;
import dev.jotune.tensor.cpu.simd.Panels;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.Precision;
import java.lang.ref.Reference;

/** Frozen products through the Vector API, always to the accuracy of F32. */
final class VectorFrozen implements FrozenKernel {
    private static final Program SUM = Program.of(Expr.input(0).plus(Expr.input(1)));

    private record Weight(Storage storage, Panels panels) implements Packed {
        @Override
        public long rows() {
            return panels.n();
        }

        @Override
        public long columns() {
            return panels.k();
        }

        @Override
        public long byteSize() {
            return storage.byteSize();
        }

        @Override
        public void unpack(Tensor out) {
            Tensor rows = out.dtype() == DType.F32 && out.isContiguous() ? out
                    : Tensor.empty(out.backend(), DType.F32, rows(), columns());
            panels.rows(0, panels.n(), rows.address(), 4L * panels.k());
            if (rows != out) {
                out.copyFrom(rows);
                rows.storage().free();
            }
            Reference.reachabilityFence(storage);
            Reference.reachabilityFence(out);
        }

        @Override
        public void unpackRows(long[] ids, Tensor out) {
            for (int i = 0; i < ids.length; i++) {
                panels.row((int) ids[i], out.address() + 4L * i * panels.k());
            }
            Reference.reachabilityFence(storage);
            Reference.reachabilityFence(out);
        }
    }

    @Override
    public boolean supports(Tensor weight) {
        DType type = weight.dtype();
        return weight.rank() == 2 && (type == DType.F32 || type == DType.BF16 || type == DType.F16)
                && weight.size(0) > 0 && weight.size(1) > 0 && Math.max(weight.size(0), weight.size(1)) <= 1 << 28;
    }

    @Override
    public Packed pack(Tensor weight) {
        int n = (int) weight.size(0);
        int k = (int) weight.size(1);
        Storage storage = HostMemory.allocate(Panels.bytes(weight.dtype(), n, k));
        Panels panels = new Panels(storage.address(), weight.dtype(), n, k);
        panels.fill(matrix(weight));
        Reference.reachabilityFence(weight);
        return new Weight(storage, panels);
    }

    @Override
    public void product(Packed weight, Tensor x, Tensor y, Precision precision, Joined joined) {
        Weight w = (Weight) weight;
        GemmFrozen.product(Math.toIntExact(x.size(0)), w.panels, x.address(), y.address(), begin(y, joined));
        Reference.reachabilityFence(new Object[] {w, x, y, joined});
    }

    @Override
    public void productBack(Packed weight, Tensor dy, Tensor dx, Precision precision, Joined joined) {
        Weight w = (Weight) weight;
        GemmFrozen.productBack(Math.toIntExact(dy.size(0)), w.panels, dy.address(), dx.address(), begin(dx, joined));
        Reference.reachabilityFence(new Object[] {w, dy, dx, joined});
    }

    private static Begin begin(Tensor y, Joined joined) {
        long start = 0;
        long step = 0;
        if (joined.residual().isPresent() && joined.bias().isPresent()) {
            // A tile begins with one of the two: here both are laid where it will end.
            y.copyFrom(joined.bias().get().reshape(1, y.size(1)).expand(y.shape()));
            y.backend().map(SUM, new Tensor[] {y, joined.residual().get()}, new Tensor[] {y});
            start = y.address();
            step = y.size(1);
        } else if (joined.residual().isPresent()) {
            start = joined.residual().get().address();
            step = y.size(1);
        } else if (joined.bias().isPresent()) {
            start = joined.bias().get().address();
        }
        if (joined.left().isEmpty()) {
            return new Begin(0, null, null, start, step);
        }
        Tensor left = joined.left().get();
        return new Begin(Math.toIntExact(left.size(1)), matrix(left), matrix(joined.right().orElseThrow()), start, step);
    }

    private static Matrix matrix(Tensor t) {
        return new Matrix(t.address(), t.dtype(), t.stride(0), t.stride(1));
    }
}
