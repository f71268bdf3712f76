package dev.jotune.autograd;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Operations on operands of two types compute in the wider one. */
class MixedTypesTest {
    /** As a stored F32 weight takes up the delta of an adapter in F64. */
    @Test
    void anF64TermIsAddedToAnF32WeightWithAFactorInF64() {
        Var weight = Var.constant(Tensor.of(Backends.reference(), DType.F32, new double[] {1, -2}, 2));
        Var delta = Var.parameter(Tensor.of(Backends.reference(), DType.F64, new double[] {3, 7}, 2));
        double factor = 0.1;
        Var sum = weight.addScaled(delta, factor);
        assertThat(sum.dtype()).isEqualTo(DType.F64);
        assertThat(sum.tensor().toDoubleArray()).containsExactly(1 + factor * 3, -2 + factor * 7);
        assertThat(Gradients.of(sum.sum(), List.of(delta)).getFirst().toDoubleArray()).containsExactly(factor, factor);
        assertThat(delta.detach().addScaled(weight, factor).tensor().toDoubleArray()).containsExactly(3 + factor, 7 - 2 * factor);
    }
}
