package dev.jotune.peft.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.SettledMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Warming up goes through the losses in order, through the optimiser too, and leaves nothing behind. */
class WarmupTest {
    private final List<Integer> seen = new ArrayList<>();
    private final Var weight = Var.parameter(Tensor.of(Backends.cpu(), new float[] {1, -2, 3}, 3));
    private final Var unused = Var.parameter(Tensor.of(Backends.cpu(), new float[] {4}, 1));

    private Supplier<Var> loss(int id) {
        return () -> {
            seen.add(id);
            return weight.mul(weight).sum();
        };
    }

    @Test
    void everyLossIsTakenAndNothingIsLearnt() {
        Optimizer scratch = new AdamW(0.9, 0.999, 1e-8, 0, false).with(step -> 1);
        List<Var> wrt = List.of(weight, unused);
        int passes = Warmup.run(List.of(loss(1), loss(2)), wrt, scratch);
        assertThat(seen).hasSize(passes).isSorted().contains(1, 2);
        assertThat(scratch.steps()).isEqualTo(passes);
        assertThat(weight.tensor().toDoubleArray()).containsExactly(1, -2, 3);
        assertThat(unused.tensor().toDoubleArray()).containsExactly(4);
    }

    @Test
    void nothingToTakeTakesNothing() {
        long before = SettledMemory.inUse();
        assertThat(Warmup.run(List.of(), List.of(weight), new AdamW(0.9, 0.999, 1e-8, 0, false).with(step -> 1))).isZero();
        assertThat(HostMemory.bytesInUse()).isEqualTo(before);
    }

    @Test
    void fewValuesOfLargeParametersAreCopied() {
        List<Var> wrt = IntStream.range(0, 3).mapToObj(i -> Var.parameter(Tensor.zeros(Backends.cpu(), weight.dtype(), 3 << 20))).toList();
        long before = SettledMemory.inUse();
        Var first = wrt.getFirst();
        int passes = Warmup.run(List.of(() -> first.slice(0, 0, 1).sum()), wrt, new AdamW(0.9, 0.999, 1e-8, 0, false).with(step -> 1));
        assertThat(passes).isPositive();
        // One copy, its gradients, and what AdamW remembers of it; not of all three.
        assertThat(HostMemory.peakBytes() - before).isLessThan(8L * (3 << 20) * Float.BYTES);
        wrt.forEach(v -> assertThat(v.tensor().slice(0, 0, 4).toDoubleArray()).containsOnly(0));
    }
}
