package dev.jotune.tensor.cpu;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Norm;
import dev.jotune.tensor.kernels.NormKernel;
import java.lang.ref.Reference;
import java.util.Optional;

/** Hands tensors to the Vector API's normalisation. */
final class VectorNorm implements NormKernel {
    @Override
    public void rmsNorm(Tensor x, Tensor weight, double eps, Tensor out) {
        Tensor w = weight.contiguous();
        int n = Math.toIntExact(x.size(-1));
        Norm.rms(x.address(), w.address(), out.address(), 0, rows(x, n), n, (float) eps);
        Reference.reachabilityFence(x);
        Reference.reachabilityFence(w);
        Reference.reachabilityFence(out);
    }

    @Override
    public void rmsNormBackward(Tensor x, Tensor weight, double eps, Tensor dOut, Optional<Tensor> dx, Optional<Tensor> dWeight) {
        Tensor w = weight.contiguous();
        int n = Math.toIntExact(x.size(-1));
        long rows = rows(x, n);
        Tensor scales = Tensor.empty(x.backend(), DType.F32, rows);
        Norm.rmsScales(x.address(), scales.address(), rows, n, (float) eps);
        Norm.rmsBackward(x.address(), w.address(), scales.address(), dOut.address(), dx.map(Tensor::address).orElse(0L),
                dWeight.map(Tensor::address).orElse(0L), rows, n);
        Scope.free(scales);
        Reference.reachabilityFence(new Object[] {x, w, dOut, dx, dWeight, scales});
    }

    @Override
    public void layerNorm(Tensor x, Tensor weight, Tensor bias, double eps, Tensor out, Tensor mean, Tensor scale) {
        Tensor w = weight.contiguous();
        Tensor b = bias.contiguous();
        int n = Math.toIntExact(x.size(-1));
        Norm.layer(x.address(), w.address(), b.address(), out.address(), mean.address(), scale.address(), rows(x, n), n, (float) eps);
        Reference.reachabilityFence(new Object[] {x, w, b, out, mean, scale});
    }

    @Override
    public void layerNormBackward(Tensor x, Tensor weight, Tensor mean, Tensor scale, Tensor dOut, Optional<Tensor> dx,
            Optional<Tensor> dWeight, Optional<Tensor> dBias) {
        Tensor w = weight.contiguous();
        int n = Math.toIntExact(x.size(-1));
        Norm.layerBackward(x.address(), w.address(), mean.address(), scale.address(), dOut.address(),
                dx.map(Tensor::address).orElse(0L), dWeight.map(Tensor::address).orElse(0L),
                dBias.map(Tensor::address).orElse(0L), rows(x, n), n);
        Reference.reachabilityFence(new Object[] {x, w, mean, scale, dOut, dx, dWeight, dBias});
    }

    private static long rows(Tensor x, int n) {
        return n == 0 ? 0 : x.numel() / n;
    }
}
