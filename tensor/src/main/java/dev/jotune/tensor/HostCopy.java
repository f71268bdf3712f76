package dev.jotune.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;

/** Between Java arrays and dense tensors. Device tensors go through a host copy. */
final class HostCopy {
    private HostCopy() {}

    static Tensor in(Tensor t, float[] values) {
        MemorySegment s = MemorySegment.ofArray(values);
        t.backend().write(t, s);
        return t;
    }

    static Tensor in(Tensor t, long[] values) {
        t.backend().write(t, MemorySegment.ofArray(values));
        return t;
    }

    static Tensor in(Tensor t, double[] values) {
        if (t.dtype() == DType.F64) {
            t.backend().write(t, MemorySegment.ofArray(values));
            return t;
        }
        Storage staging = HostMemory.allocate(values.length * (long) t.dtype().byteSize());
        for (int i = 0; i < values.length; i++) {
            Elements.put(t.dtype(), staging.address() + (long) i * t.dtype().byteSize(), values[i]);
        }
        t.backend().write(t, staging.host());
        staging.free();
        return t;
    }

    static double[] doubles(Tensor t) {
        double[] out = new double[Math.toIntExact(t.numel())];
        if (t.dtype() == DType.F64) {
            t.backend().read(t, MemorySegment.ofArray(out));
            return out;
        }
        Storage staging = staged(t);
        for (int i = 0; i < out.length; i++) {
            out[i] = Elements.get(t.dtype(), staging.address() + (long) i * t.dtype().byteSize());
        }
        staging.free();
        return out;
    }

    static long[] longs(Tensor t) {
        long[] out = new long[Math.toIntExact(t.numel())];
        Storage staging = staged(t);
        for (int i = 0; i < out.length; i++) {
            out[i] = Elements.getLong(t.dtype(), staging.address() + (long) i * t.dtype().byteSize());
        }
        staging.free();
        return out;
    }

    private static Storage staged(Tensor t) {
        Storage staging = HostMemory.allocate(t.numel() * t.dtype().byteSize());
        t.backend().read(t, staging.host());
        Reference.reachabilityFence(t);
        return staging;
    }
}
