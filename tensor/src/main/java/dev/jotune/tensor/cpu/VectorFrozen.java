package dev.jotune.tensor.cpu;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Storage;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.GemmFrozen;
import dev.jotune.tensor.cpu.simd.Matrix;
import dev.jotune.tensor.cpu.simd.Panels;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.Precision;
import java.lang.ref.Reference;

/** Frozen products through the Vector API, always to the accuracy of F32. */
final class VectorFrozen implements FrozenKernel {
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
        panels.fill(new Matrix(weight.address(), weight.dtype(), weight.stride(0), weight.stride(1)));
        Reference.reachabilityFence(weight);
        return new Weight(storage, panels);
    }

    @Override
    public void product(Packed weight, Tensor x, Tensor y, Precision precision, Joined joined) {
        Weight w = (Weight) weight;
        boolean add = start(y, joined);
        GemmFrozen.product(Math.toIntExact(x.size(0)), w.panels, x.address(), y.address(), add);
        Reference.reachabilityFence(new Object[] {w, x, y});
    }

    @Override
    public void productBack(Packed weight, Tensor dy, Tensor dx, Precision precision, Joined joined) {
        Weight w = (Weight) weight;
        boolean add = start(dx, joined);
        GemmFrozen.productBack(Math.toIntExact(dy.size(0)), w.panels, dy.address(), dx.address(), add);
        Reference.reachabilityFence(new Object[] {w, dy, dx});
    }

    private static boolean start(Tensor y, Joined joined) {
        boolean add = false;
        if (joined.residual().isPresent()) {
            y.copyFrom(joined.residual().get());
            add = true;
        }
        if (joined.left().isPresent()) {
            y.backend().matmul(joined.left().get(), joined.right().orElseThrow().transpose(0, 1), y, add);
            add = true;
        }
        if (joined.bias().isPresent()) {
            Tensor bias = joined.bias().get();
            Tensor ones = Tensor.full(y.backend(), DType.F32, 1, y.size(0), 1);
            y.backend().matmul(ones, bias.reshape(1, bias.numel()), y, add);
            add = true;
        }
        return add;
    }
}
