package dev.jotune.testing;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.autograd.ops.Rotary;
import dev.jotune.autograd.ops.Softmax;
import dev.jotune.testing.KernelConformance.Inputs;
import dev.jotune.testing.conformance.Case;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;

/**
 * Every length from 1 to 67, forward and backward: whatever a vector's width and however many of them a loop takes at
 * once, each remainder occurs.
 */
final class TailCases {
    private static final long LAST = 67;

    private TailCases() {}

    static void add(List<Case> all) {
        add(all, "rmsNorm", (in, n) -> FusedCases.rms(in, in.parameter(2, n), in.parameter(n)));
        add(all, "layerNorm", (in, n) -> FusedCases.layer(in, in.parameter(2, n), in.parameter(n)));
        add(all, "addRmsNorm", (in, n) -> FusedCases.addRms(in, in.parameter(2, n), in.parameter(2, n), in.parameter(n)));
        add(all, "addLayerNorm", (in, n) -> FusedCases.addLayer(in, in.parameter(2, n), in.parameter(2, n), in.parameter(n)));
        add(all, "swiglu", (in, n) -> one(Activations.swiglu(in.parameter(2, n), in.parameter(2, n))));
        add(all, "gelu", (in, n) -> one(Activations.gelu(in.parameter(2, n))));
        add(all, "silu", (in, n) -> one(Activations.silu(in.parameter(2, n))));
        add(all, "softmax", (in, n) -> one(Softmax.softmax(in.parameter(2, n))));
        add(all, "crossEntropy", (in, n) -> one(CrossEntropy.apply(in.parameter(4, n), FusedCases.labels(in, n))));
        add(all, "linearCrossEntropy, classes", (in, n) -> FusedCases.linear(in, n, 5, CrossEntropy.Options.MEAN));
        add(all, "linearCrossEntropy, inner", (in, n) -> FusedCases.linear(in, 7, n, CrossEntropy.Options.SUM));
        add(all, "linear, rows", (in, n) -> one(Linear.apply(in.parameter(n, 5), in.parameter(9, 5), in.parameter(9))));
        add(all, "linear, columns", (in, n) -> one(Linear.apply(in.parameter(7, 5), in.parameter(n, 5), in.parameter(n))));
        add(all, "linear, inner", (in, n) -> one(Linear.apply(in.parameter(7, n), in.parameter(9, n), in.parameter(9))));
        add(all, "scan", (in, n) -> ScanCases.scan(in, 1, 3, n, 2));
        for (Rotary.Layout layout : Rotary.Layout.values()) {
            add(all, "rotary " + layout, (in, n) -> FusedCases.rotary(in, in.parameter(1, 2, 3, 2 * n), 1, n, layout));
        }
    }

    private static void add(List<Case> all, String name, BiFunction<Inputs, Long, Var[]> operation) {
        all.add(KernelConformance.of("tails/" + name, in -> {
            List<Var> outputs = new ArrayList<>();
            for (long n = 1; n <= LAST; n++) {
                outputs.addAll(List.of(operation.apply(in, n)));
            }
            return outputs.toArray(Var[]::new);
        }));
    }

    private static Var[] one(Var v) {
        return new Var[] {v};
    }
}
