package dev.jotune.tensor.cpu;

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
        Norm.rms(x.address(), w.address(), out.address(), rows(x, n), n, eps);
        Reference.reachabilityFence(x);
        Reference.reachabilityFence(w);
        Reference.reachabilityFence(out);
    }

    @Override
    public void addRmsNorm(Tensor x, Tensor residual, Tensor weight, double eps, Tensor sum, Tensor out) {
        Tensor w = weight.contiguous();
        int n = Math.toIntExact(x.size(-1));
        Norm.addRms(x.address(), residual.address(), w.address(), sum.address(), out.address(), rows(x, n), n, eps);
        Reference.reachabilityFence(new Object[] {x, residual, w, sum, out});
    }

    @Override
    public void rmsNormBackward(Tensor x, Tensor weight, double eps, Tensor dOut, Optional<Tensor> more, Optional<Tensor> dx,
            Optional<Tensor> dWeight) {
        Tensor w = weight.contiguous();
        int n = Math.toIntExact(x.size(-1));
        Norm.rmsBackward(x.address(), w.address(), dOut.address(), address(more), address(dx), address(dWeight), rows(x, n), n, eps);
        Reference.reachabilityFence(new Object[] {x, w, dOut, more, dx, dWeight});
    }

    @Override
    public void layerNorm(Tensor x, Tensor weight, Tensor bias, double eps, Tensor out, Tensor mean, Tensor scale) {
        Tensor w = weight.contiguous();
        Tensor b = bias.contiguous();
        int n = Math.toIntExact(x.size(-1));
        Norm.layer(x.address(), w.address(), b.address(), out.address(), mean.address(), scale.address(), rows(x, n), n, eps);
        Reference.reachabilityFence(new Object[] {x, w, b, out, mean, scale});
    }

    @Override
    public void addLayerNorm(Tensor x, Tensor residual, Tensor weight, Tensor bias, double eps, Tensor sum, Tensor out, Tensor mean,
            Tensor scale) {
        Tensor w = weight.contiguous();
        Tensor b = bias.contiguous();
        int n = Math.toIntExact(x.size(-1));
        Norm.addLayer(x.address(), residual.address(), w.address(), b.address(), sum.address(), out.address(), mean.address(),
                scale.address(), rows(x, n), n, eps);
        Reference.reachabilityFence(new Object[] {x, residual, w, b, sum, out, mean, scale});
    }

    @Override
    public void layerNormBackward(Tensor x, Tensor weight, Tensor mean, Tensor scale, Tensor dOut, Optional<Tensor> more,
            Optional<Tensor> dx, Optional<Tensor> dWeight, Optional<Tensor> dBias) {
        Tensor w = weight.contiguous();
        int n = Math.toIntExact(x.size(-1));
        Norm.layerBackward(x.address(), w.address(), mean.address(), scale.address(), dOut.address(), address(more), address(dx),
                address(dWeight), address(dBias), rows(x, n), n);
        Reference.reachabilityFence(new Object[] {x, w, mean, scale, dOut, more, dx, dWeight, dBias});
    }

    private static long address(Optional<Tensor> t) {
        return t.map(Tensor::address).orElse(0L);
    }

    private static long rows(Tensor x, int n) {
        return n == 0 ? 0 : x.numel() / n;
    }
}
