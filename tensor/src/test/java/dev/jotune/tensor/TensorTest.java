package dev.jotune.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

/** What a tensor refuses, and how types, copies and shared memory behave. */
class TensorTest {
    private static final Backend R = Backends.reference();

    private static Tensor counting(long... shape) {
        double[] v = new double[(int) Shape.numel(shape)];
        java.util.Arrays.setAll(v, i -> i);
        return Tensor.of(R, DType.F64, v, shape);
    }

    @Test
    void viewsShareMemoryAndCopiesDoNot() {
        Tensor t = counting(2, 3);
        Tensor row = t.select(0, 1);
        R.fill(row, 9);
        assertThat(t.toDoubleArray()).containsExactly(0, 1, 2, 9, 9, 9);
        Tensor copy = t.copy();
        R.fill(row, 7);
        assertThat(copy.toDoubleArray()).containsExactly(0, 1, 2, 9, 9, 9);
        assertThat(t.copyFrom(Tensor.of(R, new float[] {5, 6, 7}, 3)).toDoubleArray())
                .containsExactly(5, 6, 7, 5, 6, 7);
        assertThat(t.ownsWholeStorage()).isTrue();
        assertThat(row.ownsWholeStorage()).isFalse();
    }

    @Test
    void shapesThatDoNotFitAreRefusedByName() {
        Tensor t = counting(2, 3);
        assertThatThrownBy(() -> t.reshape(4, 2)).hasMessageContaining("[2, 3]").hasMessageContaining("[4, 2]");
        assertThatThrownBy(() -> t.reshape(-1, 4)).hasMessageContaining("[2, 3]");
        assertThatThrownBy(() -> t.slice(1, 2, 4)).isInstanceOf(IndexOutOfBoundsException.class)
                .hasMessageContaining("[2, 4)");
        assertThatThrownBy(() -> t.permute(0, 0)).hasMessageContaining("axis 0 twice");
        assertThatThrownBy(() -> t.permute(0)).hasMessageContaining("2 axes");
        assertThatThrownBy(() -> t.squeeze(0)).hasMessageContaining("size 2");
        assertThatThrownBy(() -> t.unsqueeze(4)).hasMessageContaining("axis 4");
        assertThatThrownBy(() -> t.expand(2, 4)).hasMessageContaining("[2, 4]");
        assertThatThrownBy(() -> t.expand(3)).hasMessageContaining("[3]");
        assertThatThrownBy(() -> t.size(2)).hasMessageContaining("axis 2");
        assertThatThrownBy(t::item).hasMessageContaining("one element");
        assertThatThrownBy(() -> Tensor.of(R, new float[3], 2, 2)).hasMessageContaining("3 values");
        assertThatThrownBy(() -> Tensor.zeros(R, DType.F32, -1)).hasMessageContaining("negative");
        assertThatThrownBy(() -> Shape.numel(1L << 40, 1L << 40)).hasMessageContaining("2^63");
        assertThatThrownBy(() -> R.copy(t, counting(3, 2))).hasMessageContaining("shapes differ");
        assertThatThrownBy(() -> R.read(t.transpose(0, 1), t.storage().host())).hasMessageContaining("not dense");
        assertThatThrownBy(() -> Tensor.over(R, t.storage(), DType.F64, 4, 3)).hasMessageContaining("48");
        assertThatThrownBy(() -> Backends.get("abacus")).hasMessageContaining("abacus")
                .hasMessageContaining("reference");
    }

    @Test
    void conversionsRoundToNearestEvenOnce() {
        // Halfway between two neighbours in 16 bits, and just above it by less than F32 can tell.
        double tie = 1 + 0x1p-11;
        Tensor t = Tensor.of(R, DType.F64, new double[] {tie, tie + 0x1p-40, 1 + 3 * 0x1p-11, 65520, -1e-30}, 5);
        assertThat(t.to(DType.F16).toDoubleArray())
                .containsExactly(1, 1 + 0x1p-10, 1 + 0x1p-9, Double.POSITIVE_INFINITY, -0.0);
        Tensor b = Tensor.of(R, DType.F64, new double[] {1 + 0x1p-8, 1 + 0x1p-8 + 0x1p-40, Double.NaN}, 3);
        assertThat(b.to(DType.BF16).toDoubleArray()).containsExactly(1, 1 + 0x1p-7, Double.NaN);
        assertThat(t.to(DType.F64)).isSameAs(t);
    }

    @Test
    void backendsOfTheCpuShareMemory() {
        Tensor t = counting(2, 3).to(DType.F32);
        Tensor there = t.to(Backends.cpu());
        assertThat(there.storage()).isSameAs(t.storage());
        assertThat(there.backend()).isSameAs(Backends.cpu());
        assertThat(there.toFloatArray()).isEqualTo(t.toFloatArray());
    }

    @Test
    void tensorsOfOneElementAndOfNone() {
        assertThat(Tensor.full(R, DType.F32, 2.5).item()).isEqualTo(2.5);
        assertThat(Tensor.zeros(R, DType.F32, 0, 3).toFloatArray()).isEmpty();
        assertThat(Tensor.zeros(R, DType.F32, 0, 3).reshape(-1, 3).shape()).containsExactly(0, 3);
        assertThat(Tensor.of(R, new boolean[] {true, false}, 2).toLongArray()).containsExactly(1, 0);
    }
}
