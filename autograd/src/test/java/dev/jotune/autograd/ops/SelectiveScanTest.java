package dev.jotune.autograd.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.ScanKernel;
import dev.jotune.testing.SettledMemory;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What a scan costs in memory, and what it refuses. Its values are in the conformance suite and the golden set. */
class SelectiveScanTest {
    private static final long CHANNELS = 64;
    private static final long STATES = 16;

    private static Tensor noise(long seed, long... shape) {
        Tensor t = Tensor.empty(Backends.cpu(), DType.F32, shape);
        t.backend().normal(t, seed, 0);
        return t;
    }

    /** Bytes that a forward and a backward pass need at most, beyond their inputs. */
    private static long peak(long time) {
        try (Scope _ = Scope.open()) {
            Var x = Var.parameter(noise(1, 1, time, CHANNELS));
            Var dt = Var.parameter(noise(2, 1, time, CHANNELS));
            Var a = Var.parameter(noise(3, CHANNELS, STATES));
            Var b = Var.parameter(noise(4, 1, time, STATES));
            Var c = Var.parameter(noise(5, 1, time, STATES));
            Var d = Var.parameter(noise(6, CHANNELS));
            Var state = Var.constant(Tensor.zeros(Backends.cpu(), DType.F32, 1, CHANNELS, STATES));
            long before = SettledMemory.inUse();
            SelectiveScan.Result r = SelectiveScan.apply(x, dt.square(), a.square().neg(), b, c, d, state);
            Gradients.consume(r.out().square().sum(), List.of(x, dt, a, b, c, d));
            return HostMemory.peakBytes() - before;
        }
    }

    @Test
    void aLongTextKeepsOneStateInAChunk() {
        peak(64);
        long time = 4096;
        long perStep = (peak(2 * time) - peak(time)) / time;
        long kept = 4 * CHANNELS * STATES / ScanKernel.CHUNK;
        // A handful of values and gradients for each channel beside the kept states; the states themselves would be 4 E N.
        assertThat(perStep).isBetween(kept, kept + 4 * 12 * CHANNELS).isLessThan(4 * CHANNELS * STATES);
    }

    @Test
    void shapesThatDoNotFitAreNamed() {
        Var x = Var.constant(noise(1, 2, 3, 4));
        Var a = Var.constant(noise(1, 4, 5));
        Var b = Var.constant(noise(1, 2, 3, 5));
        Var d = Var.constant(noise(1, 4));
        Var state = Var.constant(noise(1, 2, 4, 5));
        assertThatThrownBy(() -> SelectiveScan.apply(x, x, a, b, b, d, state.reshape(2, 5, 4))).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("state [2, 5, 4]").hasMessageContaining("state [B, E, N]");
        assertThatThrownBy(() -> SelectiveScan.apply(x, x, a.reshape(-1), b, b, d, state)).hasMessageContaining("a [20]");
        assertThat(SelectiveScan.apply(x, x, a, b, b, d, state).out().shape()).containsExactly(2, 3, 4);
    }
}
