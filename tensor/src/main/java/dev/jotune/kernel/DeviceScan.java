package dev.jotune.kernel;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.ScanKernel;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The selective scan on a device: {@code scan.h} says how; the states are walked by chunks, forward and backward. */
final class DeviceScan implements ScanKernel {
    private final DeviceBackend device;

    DeviceScan(DeviceBackend device) {
        this.device = device;
    }

    /** One call's sizes. */
    private record Sizes(long batch, long time, long channels, int states) {
        static Sizes of(Problem p) {
            return new Sizes(p.x().size(0), p.x().size(1), p.x().size(2), Math.toIntExact(p.a().size(1)));
        }

        long chunks() {
            return (time + CHUNK - 1) / CHUNK;
        }

        long blocks() {
            return (channels + ScanTexts.channels(states) - 1) / ScanTexts.channels(states);
        }

        boolean isEmpty() {
            return batch == 0 || time == 0 || channels == 0;
        }
    }

    @Override
    public boolean supports(Problem p) {
        return p.a().size(1) >= 1 && p.a().size(1) <= ScanTexts.MOST_STATES;
    }

    /** A copy costs less than reading a transposed operand, as a convolution leaves it, in all the passes. */
    private static Problem dense(Problem p) {
        return new Problem(p.x().contiguous(), p.dt().contiguous(), p.a().contiguous(), p.b().contiguous(), p.c().contiguous(),
                p.d().contiguous(), p.state().contiguous());
    }

    @Override
    public void forward(Problem problem, Tensor out, Tensor last, Optional<Tensor> kept) {
        Sizes s = Sizes.of(problem);
        if (s.isEmpty()) {
            device.copy(problem.state(), last);
            return;
        }
        Problem p = dense(problem);
        Tensor starts = kept.orElseGet(() -> Tensor.empty(device, DType.F32, s.batch, s.chunks(), s.channels, s.states));
        carry(s, false, p.x(), p, p.b(), p.state(), starts);
        device.launch(ScanTexts.outputs(s.states), device.groupsOf(s.batch * s.chunks() * s.blocks()), p.x(), p.dt(), p.a(), p.b(), p.c(), p.d(),
                starts, out, last, s.batch, s.time, s.channels, s.chunks());
        if (kept.isEmpty()) {
            starts.storage().free();
        }
    }

    /** Fills {@code ends [B, chunks, E, N]} with the state before each chunk, or backward the gradient by the state after it. */
    private void carry(Sizes s, boolean backward, Tensor input, Problem p, Tensor map, Tensor start, Tensor ends) {
        Tensor totals = Tensor.empty(device, DType.F32, s.batch, s.chunks(), s.channels);
        if (s.chunks() > 1) {
            device.launch(ScanTexts.ends(s.states, backward), device.groupsOf(s.batch * (s.chunks() - 1) * s.blocks()), input, p.dt(), p.a(), map,
                    ends, totals, s.batch, s.time, s.channels, s.chunks());
        }
        KernelSource carry = ScanTexts.carry(s.states, backward);
        device.launch(carry, device.groups(s.batch * s.channels * s.states, carry), p.a(), start, totals, ends, s.batch, s.chunks(), s.channels);
        totals.storage().free();
    }

    @Override
    public void backward(Problem problem, Tensor kept, Tensor dOut, Tensor dLast, Targets targets) {
        Sizes s = Sizes.of(problem);
        if (s.isEmpty()) {
            List.of(targets.x(), targets.dt(), targets.a(), targets.b(), targets.c(), targets.d()).forEach(t -> t.ifPresent(d -> device.fill(d, 0)));
            targets.state().ifPresent(d -> device.copy(dLast, d));
            return;
        }
        Problem p = dense(problem);
        Tensor up = dOut.contiguous();
        List<Tensor> made = new ArrayList<>();
        Tensor carries = make(made, s.batch, s.chunks(), s.channels, s.states);
        carry(s, true, up, p, p.c(), dLast.contiguous(), carries);
        Tensor dx = targets.x().orElseGet(() -> make(made, s.batch, s.time, s.channels));
        Tensor dDt = targets.dt().orElseGet(() -> make(made, s.batch, s.time, s.channels));
        Tensor dState = targets.state().orElseGet(() -> make(made, s.batch, s.channels, s.states));
        Tensor da = make(made, s.batch * s.chunks(), s.channels, s.states);
        Tensor dd = make(made, s.batch * s.chunks(), s.channels);
        Tensor db = make(made, s.batch * s.time, s.blocks(), s.states);
        Tensor dc = make(made, s.batch * s.time, s.blocks(), s.states);
        device.launch(ScanTexts.gradients(s.states), device.groupsOf(s.batch * s.chunks() * s.blocks()), p.x(), p.dt(), p.a(), p.b(), p.c(), p.d(),
                kept, carries, up, dx, dDt, da, db, dc, dd, dState, s.batch, s.time, s.channels, s.chunks());
        sum(da, 1, s.batch * s.chunks(), targets.a());
        sum(dd, 1, s.batch * s.chunks(), targets.d());
        sum(db, s.batch * s.time, s.blocks(), targets.b());
        sum(dc, s.batch * s.time, s.blocks(), targets.c());
        made.forEach(t -> t.storage().free());
    }

    /** Adds up, in order, what groups left in each of {@code outer} blocks of {@code parts}. */
    private void sum(Tensor all, long outer, long parts, Optional<Tensor> target) {
        target.ifPresent(t -> device.reduce(Reduction.SUM, all.reshape(outer, parts, -1), t.reshape(outer, 1, -1)));
    }

    private Tensor make(List<Tensor> made, long... shape) {
        Tensor t = Tensor.empty(device, DType.F32, shape);
        made.add(t);
        return t;
    }
}
