package dev.jotune.tensor.cpu;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Attention;
import dev.jotune.tensor.cpu.simd.AttentionBackward;
import dev.jotune.tensor.cpu.simd.AttentionGradient;
import dev.jotune.tensor.cpu.simd.AttentionSegment;
import dev.jotune.tensor.cpu.simd.AttentionShape;
import dev.jotune.tensor.cpu.simd.Heads;
import dev.jotune.tensor.kernels.AttentionKernel;
import java.lang.ref.Reference;
import java.util.List;
import java.util.Optional;

/** Hands tensors to the Vector API's attention kernels. */
final class VectorAttention implements AttentionKernel {
    private static final Heads NOWHERE = new Heads(0, 0, 0, 0);

    @Override
    public boolean supports(Problem p) {
        boolean ok = isF32(p.query()) && fits(p.query());
        for (Segment s : p.segments()) {
            boolean maskFits = s.mask().keyMask().map(m -> m.dtype().byteSize() == 1 && (m.stride(1) == 1 || m.size(1) == 1)).orElse(true);
            ok &= isF32(s.key()) && isF32(s.value()) && fits(s.key()) && fits(s.value()) && maskFits
                    && (s.mask().window() <= 0 || s.mask().causal()) && s.mask().bias().map(VectorAttention::isF32).orElse(true);
        }
        return ok;
    }

    private static boolean isF32(Tensor t) {
        return t.dtype() == DType.F32;
    }

    private static boolean fits(Tensor t) {
        return t.size(2) <= Integer.MAX_VALUE;
    }

    @Override
    public void forward(Problem p, Tensor out, Tensor lse) {
        Tensor q = unit(p.query());
        Prepared prepared = Prepared.of(p);
        Attention.forward(shape(p), heads(q), prepared.segments, heads(out), lse.address());
        fence(p, q, prepared, out, lse);
    }

    @Override
    public void backward(Problem p, Tensor out, Tensor lse, Tensor dOut, Optional<Tensor> dLse, Optional<Tensor> dQuery,
            List<Optional<Tensor>> dKey, List<Optional<Tensor>> dValue) {
        Tensor q = unit(p.query());
        Tensor dO = unit(dOut);
        Optional<Tensor> dL = dLse.map(Tensor::contiguous);
        Prepared prepared = Prepared.of(p);
        AttentionGradient[] grads = new AttentionGradient[dKey.size()];
        for (int i = 0; i < grads.length; i++) {
            grads[i] = new AttentionGradient(dKey.get(i).map(VectorAttention::heads).orElse(NOWHERE),
                    dValue.get(i).map(VectorAttention::heads).orElse(NOWHERE), 0);
        }
        Heads dq = dQuery.map(VectorAttention::heads).orElse(NOWHERE);
        AttentionBackward.run(shape(p), heads(q), prepared.segments, heads(out), lse.address(), heads(dO),
                dL.map(Tensor::address).orElse(0L), dq, grads);
        fence(p, q, prepared, out, lse, dO, dL, dQuery, dKey, dValue);
    }

    private static void fence(Object... alive) {
        Reference.reachabilityFence(alive);
    }

    private static AttentionShape shape(Problem p) {
        Tensor q = p.query();
        Tensor k = p.segments().getFirst().key();
        return new AttentionShape((int) q.size(0), (int) q.size(1), (int) k.size(1), (int) q.size(2), (int) q.size(3),
                (int) p.segments().getFirst().value().size(3), (float) p.scale());
    }

    /** Features must be neighbours. */
    private static Tensor unit(Tensor t) {
        return t.stride(3) == 1 || t.size(3) == 1 ? t : t.copy();
    }

    private static Heads heads(Tensor t) {
        return new Heads(t.address(), t.size(0) == 1 ? 0 : t.stride(0), t.stride(1), t.stride(2));
    }

    /** Segments as the kernels want them, with the copies that keep their memory alive. */
    private record Prepared(AttentionSegment[] segments, Tensor[] alive) {
        static Prepared of(Problem p) {
            int n = p.segments().size();
            AttentionSegment[] out = new AttentionSegment[n];
            Tensor[] alive = new Tensor[2 * n];
            long batch = p.query().size(0);
            for (int i = 0; i < n; i++) {
                Segment s = p.segments().get(i);
                Tensor k = unit(s.key());
                Tensor v = unit(s.value());
                alive[2 * i] = k;
                alive[2 * i + 1] = v;
                AttentionSegment a = new AttentionSegment(heads(k), heads(v), (int) k.size(2)).withSoftcap((float) p.softcap());
                Mask m = s.mask();
                if (m.causal()) {
                    a = a.withCausal(m.offset(), (int) m.window());
                }
                if (m.keyMask().isPresent()) {
                    Tensor mask = m.keyMask().get();
                    a = a.withVisible(mask.address(), mask.size(0) == 1 ? 0 : mask.stride(0));
                }
                if (m.bias().isPresent()) {
                    Tensor b = m.bias().get().expand(batch, p.query().size(1), p.query().size(2), k.size(2));
                    a = a.withBias(b.address(), b.stride(0), b.stride(1), b.stride(2), b.stride(3));
                }
                out[i] = a;
            }
            return new Prepared(out, alive);
        }
    }
}
