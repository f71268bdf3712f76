package dev.jotune.testing.gate;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.autograd.ops.Softmax;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Supplier;

/** Fused operations on rows that are long enough to make their loops hot, forward and backward. */
final class HotFused {
    private static final long ROWS = 6;
    private static final long LENGTH = 700;
    /** Each work is entered so often: there are fewer of them than of products. */
    private static final int TURNS = 3;

    private HotFused() {}

    static void add(Backend cpu, List<Runnable> works) {
        Var x = Var.parameter(HotDriver.noise(cpu, ROWS, LENGTH));
        Var up = Var.parameter(HotDriver.noise(cpu, ROWS, LENGTH));
        for (String name : Activations.names()) {
            add(works, () -> Activations.byName(name, x), x);
            add(works, () -> Activations.gated(name, x, up), x, up);
        }
        List<Function<Var, Var>> rows = List.of(Softmax::softmax, Softmax::logSoftmax, Softmax::logSumExp);
        rows.forEach(f -> add(works, () -> f.apply(x), x));
        Tensor labels = Tensor.of(cpu, new long[] {1, 2, 3, 699, 5, 6}, ROWS);
        add(works, () -> CrossEntropy.apply(x, labels), x);
        attention(cpu, works);
    }

    private static void attention(Backend cpu, List<Runnable> works) {
        for (long size : new long[] {64, 40}) {
            for (long time : new long[] {1, 3, 90}) {
                Var q = Var.parameter(HotDriver.noise(cpu, 2, 4, time, size));
                Var k = Var.parameter(HotDriver.noise(cpu, 2, 2, time, size));
                Var v = Var.parameter(HotDriver.noise(cpu, 2, 2, time, size));
                Var prefixKey = Var.parameter(HotDriver.noise(cpu, 1, 2, 20, size));
                Var prefixValue = Var.parameter(HotDriver.noise(cpu, 1, 2, 20, size));
                Segment prefix = new Segment(prefixKey, prefixValue, Visible.ALL);
                List<Visible> masks = List.of(Visible.causal(0), new Visible(true, 0, 33, Optional.empty(), Optional.empty()));
                for (Visible visible : masks) {
                    for (double softcap : new double[] {0, 20}) {
                        List<Segment> segments = List.of(prefix, new Segment(k, v, visible));
                        add(works, () -> Attention.attend(q, segments, 0.125, softcap).out(), q, k, v, prefixKey, prefixValue);
                    }
                }
            }
        }
    }

    private static void add(List<Runnable> works, Supplier<Var> forward, Var... parameters) {
        for (int i = 0; i < TURNS; i++) {
            works.add(() -> {
                Var y = forward.get();
                Var upstream = Var.constant(Tensor.full(y.backend(), y.dtype(), 1, y.shape()));
                Gradients.of(List.of(y), List.of(upstream), Arrays.asList(parameters), false);
            });
        }
    }
}
