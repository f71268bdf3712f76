package dev.jotune.testing;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.SelectiveScan;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.ScanKernel;
import dev.jotune.testing.KernelConformance.Inputs;
import dev.jotune.testing.conformance.Case;
import java.util.List;

/** Selective scans: channels around every vector width, times around the chunks, and operands that are not dense. */
final class ScanCases {
    private static final long CHUNK = ScanKernel.CHUNK;

    private ScanCases() {}

    static void add(List<Case> all) {
        for (long e : new long[] {1, 3, 4, 7, 8, 9, 15, 16, 17, 33, 70}) {
            all.add(KernelConformance.of("scan/channels " + e, in -> scan(in, 2, 5, e, 3)));
        }
        for (long t : new long[] {0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 7}) {
            all.add(KernelConformance.of("scan/steps " + t, in -> scan(in, 2, t, 5, 2)));
        }
        for (long n : new long[] {1, 2, 5, 16}) {
            all.add(KernelConformance.of("scan/states " + n, in -> scan(in, 1, 6, 9, n)));
        }
        all.add(KernelConformance.of("scan/no rows", in -> scan(in, 0, 4, 5, 2)));
        all.add(KernelConformance.of("scan/many channels", in -> scan(in, 1, CHUNK + 3, 300, 2)));
        all.add(KernelConformance.of("scan/from nothing", in -> run(in, in.parameter(2, 6, 5), in.parameter(2, 6, 5),
                in.parameter(5, 3), in.parameter(2, 6, 3), in.parameter(2, 6, 3), in.parameter(5),
                Var.constant(Tensor.zeros(in.backend(), in.parameters.getFirst().dtype(), 2, 5, 3)))));
        all.add(KernelConformance.of("scan/not dense", in -> {
            // As a model has them: x from a convolution over time, B and C from one projection.
            Var both = in.parameter(2, 40, 9);
            return run(in, in.parameter(2, 18, 40).transpose(1, 2), in.parameter(2, 40, 20).slice(2, 1, 19), in.parameter(3, 18).transpose(0, 1),
                    both.slice(2, 1, 4), both.slice(2, 5, 8), in.parameter(18, 2).select(1, 0), in.parameter(18, 2, 3).transpose(0, 1));
        }));
        all.add(KernelConformance.of("scan/frozen rates", in -> run(in, in.parameter(2, 6, 5), in.parameter(2, 6, 5),
                Var.constant(in.normal(5, 3)), in.parameter(2, 6, 3), in.parameter(2, 6, 3), Var.constant(in.normal(5)),
                in.parameter(2, 5, 3))));
        all.add(KernelConformance.of("scan/frozen but for the state", in -> run(in, Var.constant(in.normal(2, 6, 5)),
                Var.constant(in.normal(2, 6, 5)), Var.constant(in.normal(5, 3)), Var.constant(in.normal(2, 6, 3)),
                Var.constant(in.normal(2, 6, 3)), Var.constant(in.normal(5)), in.parameter(2, 5, 3))));
    }

    static Var[] scan(Inputs in, long rows, long time, long channels, long states) {
        return run(in, in.parameter(rows, time, channels), in.parameter(rows, time, channels), in.parameter(channels, states),
                in.parameter(rows, time, states), in.parameter(rows, time, states), in.parameter(channels),
                in.parameter(rows, channels, states));
    }

    private static Var[] run(Inputs in, Var x, Var dt, Var aLog, Var b, Var c, Var d, Var state) {
        Var steps = Activations.softplus(dt);
        Var a = aLog.exp().neg();
        SelectiveScan.Result r = in.definition() ? SelectiveScan.definition(x, steps, a, b, c, d, state)
                : SelectiveScan.apply(x, steps, a, b, c, d, state);
        return new Var[] {r.out(), r.state()};
    }
}
