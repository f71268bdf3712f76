package dev.jotune.tensor.cpu;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.AdamW;
import dev.jotune.tensor.kernels.AdamWKernel;
import java.lang.ref.Reference;

/** Hands tensors to the Vector API's AdamW. */
final class VectorAdamW implements AdamWKernel {
    @Override
    public void step(Tensor parameter, Tensor gradient, Tensor m, Tensor v, double lr, double beta1, double beta2, double eps,
            double weightDecay, long step) {
        ReferenceBackend.writable(parameter, m, v);
        AdamW.step(parameter.address(), gradient.address(), m.address(), v.address(), parameter.numel(), step, lr, beta1, beta2,
                eps, weightDecay);
        Reference.reachabilityFence(new Object[] {parameter, gradient, m, v});
    }
}
