package dev.jotune.tensor.cpu;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Heads;
import dev.jotune.tensor.cpu.simd.Rotary;
import dev.jotune.tensor.kernels.RotaryKernel;
import java.lang.ref.Reference;

/** Hands tensors to the Vector API's rotary embedding. */
final class VectorRotary implements RotaryKernel {
    @Override
    public void rotate(Tensor x, Tensor cos, Tensor sin, boolean interleaved, boolean inverse, Tensor out) {
        Tensor in = x.stride(3) == 1 || x.size(3) == 1 ? x : x.copy();
        Tensor c = cos.contiguous();
        Tensor s = sin.contiguous();
        int half = Math.toIntExact(c.size(2));
        long tableBatch = c.size(0) == 1 ? 0 : c.size(1) * half;
        Rotary.run(heads(in), heads(out), (int) x.size(0), (int) x.size(1), (int) x.size(2), (int) x.size(3), 2 * half,
                interleaved, inverse, c.address(), s.address(), tableBatch, half);
        Reference.reachabilityFence(new Object[] {in, c, s, out});
    }

    private static Heads heads(Tensor t) {
        return new Heads(t.address(), t.stride(0), t.stride(1), t.stride(2));
    }
}
