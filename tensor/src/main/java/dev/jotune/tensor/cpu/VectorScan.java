package dev.jotune.tensor.cpu;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Scan;
import dev.jotune.tensor.cpu.simd.ScanBackward;
import dev.jotune.tensor.cpu.simd.ScanShape;
import dev.jotune.tensor.kernels.ScanKernel;
import java.lang.ref.Reference;
import java.util.Optional;

/** Hands tensors to the Vector API's selective scan. */
final class VectorScan implements ScanKernel {
    @Override
    public void forward(Problem p, Tensor out, Tensor last, Optional<Tensor> kept) {
        Problem q = dense(p);
        Scan.forward(shape(q), operand(q.x()), operand(q.dt()), q.a().address(), operand(q.b()), operand(q.c()), q.d().address(),
                q.state().address(), out.address(), last.address(), address(kept));
        Reference.reachabilityFence(new Object[] {q, out, last, kept});
    }

    @Override
    public void backward(Problem p, Tensor kept, Tensor dOut, Tensor dLast, Targets targets) {
        Problem q = dense(p);
        Tensor end = dLast.contiguous();
        ScanBackward.run(shape(q), operand(q.x()), operand(q.dt()), q.a().address(), operand(q.b()), operand(q.c()),
                q.d().address(), kept.address(), operand(dOut), end.address(),
                new ScanBackward.Targets(address(targets.x()), address(targets.dt()), address(targets.a()),
                        address(targets.b()), address(targets.c()), address(targets.d()), address(targets.state())));
        Reference.reachabilityFence(new Object[] {q, kept, dOut, end, targets});
    }

    /** With dense matrices; what has a time axis may have any strides. */
    private static Problem dense(Problem p) {
        return new Problem(p.x(), p.dt(), p.a().contiguous(), p.b(), p.c(), p.d().contiguous(), p.state().contiguous());
    }

    private static ScanShape shape(Problem p) {
        return new ScanShape(Math.toIntExact(p.x().size(0)), Math.toIntExact(p.x().size(1)), Math.toIntExact(p.x().size(2)),
                Math.toIntExact(p.a().size(1)), CHUNK);
    }

    private static ScanShape.Operand operand(Tensor t) {
        return new ScanShape.Operand(t.address(), t.stride(0), t.stride(1), t.stride(2));
    }

    private static long address(Optional<Tensor> t) {
        return t.map(Tensor::address).orElse(0L);
    }
}
