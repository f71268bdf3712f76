package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import org.junit.jupiter.api.Test;

/** What can be described and what is refused before the driver is asked. */
class TensorMapsTest {
    private static final long ADDRESS = 1 << 20;

    private static void check(Tensor t, TensorMaps.Swizzle swizzle, int... box) {
        TensorMaps.check(t, box, swizzle, ADDRESS);
    }

    @Test
    void denseRowsOfWholeGrainsCanBeDescribed() {
        Tensor t = Tensor.zeros(Backends.cpu(), DType.BF16, 4, 100, 72);
        assertThatCode(() -> check(t, TensorMaps.Swizzle.BYTES_128, 1, 64, 64)).doesNotThrowAnyException();
        assertThatCode(() -> check(t.transpose(0, 1), TensorMaps.Swizzle.NONE, 64, 1, 128)).doesNotThrowAnyException();
    }

    @Test
    void whatCannotBeDescribedIsRefused() {
        Tensor t = Tensor.zeros(Backends.cpu(), DType.BF16, 100, 72);
        assertThatThrownBy(() -> check(t, TensorMaps.Swizzle.BYTES_128, 64)).hasMessageContaining("boxes of [64]");
        assertThatThrownBy(() -> check(t, TensorMaps.Swizzle.BYTES_128, 64, 72)).hasMessageContaining("at most 128");
        assertThatThrownBy(() -> check(t, TensorMaps.Swizzle.NONE, 257, 64)).hasMessageContaining("1 to 256 elements");
        assertThatThrownBy(() -> check(t, TensorMaps.Swizzle.NONE, 64, 4)).hasMessageContaining("multiple of 16 bytes");
        assertThatThrownBy(() -> check(t.transpose(0, 1), TensorMaps.Swizzle.NONE, 64, 64)).hasMessageContaining("last axis must be dense");
        assertThatThrownBy(() -> check(Tensor.zeros(Backends.cpu(), DType.BF16, 8, 9), TensorMaps.Swizzle.NONE, 8, 8))
                .hasMessageContaining("other strides multiples of 16 bytes");
        assertThatThrownBy(() -> TensorMaps.check(t, new int[] {8, 8}, TensorMaps.Swizzle.NONE, ADDRESS + 2)).hasMessageContaining("address");
        assertThatThrownBy(() -> TensorMaps.of(t, 8, 8, TensorMaps.Swizzle.NONE)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("Tensor.to(backend)");
    }
}
