package dev.jotune.autograd.ops;

import static dev.jotune.testing.FiniteDifference.checkTwice;
import static dev.jotune.testing.FiniteDifference.normal;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.BlockMatrix;
import dev.jotune.tensor.quant.Dequantize;
import dev.jotune.tensor.quant.Nf4Matrix;
import dev.jotune.tensor.quant.QuantizedMatrix;
import dev.jotune.testing.SettledMemory;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Products with weights that stay quantised: derivatives, memory, what is refused. */
class QuantizedLinearTest {
    private static final Backend B = Backends.reference();

    @Test
    void derivativesAreThoseOfTheProduct() {
        QuantizedMatrix w = BlockMatrix.quantize(BlockFormat.Q8_0, normal(1, 5, 32));
        checkTwice(v -> Activations.byName("silu", QuantizedLinear.apply(v.getFirst(), w)), normal(2, 2, 3, 32));
    }

    @Test
    void lossOverAQuantisedVocabularyIsTheLossOverTheWidenedOne() {
        QuantizedMatrix w = Nf4Matrix.quantize(normal(1, 9, 7));
        Tensor labels = Tensor.of(B, new long[] {3, -100, 8, 0}, 4);
        checkTwice(v -> LinearCrossEntropy.apply(v.getFirst(), w, labels), normal(2, 4, 7));
        Var hidden = Var.parameter(normal(2, 4, 7));
        Var wide = Var.constant(Dequantize.all(w, B, DType.F64));
        Var loss = LinearCrossEntropy.apply(hidden, w, labels);
        Var wideLoss = LinearCrossEntropy.apply(hidden, wide, labels);
        assertThat(loss.item()).isCloseTo(wideLoss.item(), within(1e-14));
        assertThat(Gradients.of(loss, List.of(hidden)).getFirst().toDoubleArray())
                .containsExactly(Gradients.of(wideLoss, List.of(hidden)).getFirst().toDoubleArray(), within(1e-15));
    }

    @Test
    void theWidenedWeightNeverExistsAsAWhole() {
        Backend cpu = Backends.cpu();
        try (Scope scope = Scope.open()) {
            Tensor dense = Tensor.empty(cpu, DType.F32, 16384, 512);
            cpu.normal(dense, 1, 2);
            QuantizedMatrix w = BlockMatrix.quantize(BlockFormat.Q4_0, dense);
            Var x = Var.parameter(Tensor.full(cpu, DType.F32, 0.5, 2, 512));
            long before = SettledMemory.inUse();
            Gradients.of(QuantizedLinear.apply(x, w).square().sum(), List.of(x));
            assertThat(HostMemory.peakBytes() - before).isLessThan(4L * dense.numel() / 4);
        }
    }

    @Test
    void rowsAreLookedUpByIndex() {
        QuantizedMatrix w = BlockMatrix.quantize(BlockFormat.Q8_0, normal(1, 5, 32));
        Tensor ids = Tensor.of(B, new long[] {4, 0, 4, 2}, 2, 2);
        Var wide = Embedding.lookup(Var.constant(Dequantize.all(w, B, DType.F64)), ids);
        Var rows = QuantizedLinear.lookup(w, ids, B, DType.F64);
        assertThat(rows.shape()).containsExactly(2, 2, 32);
        assertThat(rows.tensor().toDoubleArray()).isEqualTo(wide.tensor().toDoubleArray());
        assertThatThrownBy(() -> QuantizedLinear.lookup(w, Tensor.of(B, new long[] {5}, 1), B, DType.F64))
                .isInstanceOf(IndexOutOfBoundsException.class).hasMessageContaining("row 5 of a table of 5");
    }

    @Test
    void shapesAndBlocksAreChecked() {
        QuantizedMatrix w = BlockMatrix.quantize(BlockFormat.Q8_0, normal(1, 5, 32));
        assertThatThrownBy(() -> QuantizedLinear.apply(Var.constant(normal(1, 2, 31)), w)).hasMessageContaining("[2, 31]")
                .hasMessageContaining("[5, 32] in Q8_0");
        assertThatThrownBy(() -> BlockMatrix.quantize(BlockFormat.Q8_0, normal(1, 5, 33))).hasMessageContaining("33 columns");
        assertThatThrownBy(() -> BlockMatrix.quantize(BlockFormat.Q4_K, normal(1, 1, 256)))
                .isInstanceOf(UnsupportedOperationException.class).hasMessageContaining("Q4_K");
        assertThatThrownBy(() -> Dequantize.rows(w, 4, Tensor.empty(B, DType.F32, 2, 32)))
                .isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> Dequantize.rows(w, 0, Tensor.empty(B, DType.F16, 2, 32))).hasMessageContaining("F16");
    }
}
