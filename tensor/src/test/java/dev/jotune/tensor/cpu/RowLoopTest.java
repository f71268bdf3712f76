package dev.jotune.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Shape;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

/** Rows and steps lead to every element once, in row-major order, whatever was merged. */
class RowLoopTest {
    private static Tensor zeros(long... shape) {
        return Tensor.zeros(Backends.reference(), DType.F64, shape);
    }

    @Test
    void denseTensorsAreOneRow() {
        RowLoop loop = RowLoop.over(new long[] {2, 3, 4}, false, zeros(2, 3, 4), zeros(2, 3, 4));
        assertThat(loop.rows).isEqualTo(1);
        assertThat(loop.length).isEqualTo(24);
        RowLoop rows = RowLoop.over(new long[] {2, 3, 4}, true, zeros(2, 3, 4));
        assertThat(rows.rows).isEqualTo(6);
        assertThat(rows.length).isEqualTo(4);
    }

    @Test
    void aColumnStretchedFromOneNumber() {
        RowLoop loop = RowLoop.over(new long[] {5, 1}, false, zeros().expand(5, 1), zeros(1, 1));
        assertThat(loop.rows * loop.length).isEqualTo(5);
    }

    @Property(tries = 500)
    void everyElementIsReachedInOrder(@ForAll @Size(max = 4) List<@IntRange(min = 0, max = 3) Integer> sizes,
            @ForAll boolean keepRows, @ForAll long seed) {
        long[] shape = sizes.stream().mapToLong(i -> i).toArray();
        Random random = new Random(seed);
        Tensor[] operands = {stretched(shape, random), permuted(shape, random), zeros(shape)};
        RowLoop loop = RowLoop.over(shape, keepRows, operands);
        if (keepRows && shape.length > 0) {
            assertThat(loop.length).isEqualTo(shape[shape.length - 1]);
        }
        for (int k = 0; k < operands.length; k++) {
            List<Long> got = new ArrayList<>();
            for (long r = 0; r < loop.rows; r++) {
                for (long i = 0; i < loop.length; i++) {
                    got.add(loop.offset(k, r) + i * loop.step[k]);
                }
            }
            assertThat(got).isEqualTo(offsets(operands[k], shape));
        }
    }

    private static Tensor stretched(long[] shape, Random random) {
        int lead = random.nextInt(shape.length + 1);
        long[] thin = java.util.Arrays.copyOfRange(shape, lead, shape.length);
        for (int i = 0; i < thin.length; i++) {
            thin[i] = random.nextBoolean() ? 1 : thin[i];
        }
        return zeros(thin);
    }

    private static Tensor permuted(long[] shape, Random random) {
        if (shape.length < 2) {
            return zeros(shape);
        }
        int a = random.nextInt(shape.length);
        int b = random.nextInt(shape.length);
        long[] memory = shape.clone();
        memory[a] = shape[b];
        memory[b] = shape[a];
        return zeros(memory).transpose(a, b);
    }

    private static List<Long> offsets(Tensor t, long[] shape) {
        List<Long> all = new ArrayList<>();
        Tensor whole = t.expand(shape);
        for (long flat = 0; flat < Shape.numel(shape); flat++) {
            long rest = flat;
            long at = 0;
            for (int i = shape.length - 1; i >= 0; i--) {
                at += rest % shape[i] * whole.stride(i);
                rest /= shape[i];
            }
            all.add(at);
        }
        return all;
    }
}
