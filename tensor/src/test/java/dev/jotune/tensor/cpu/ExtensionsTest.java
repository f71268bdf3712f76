package dev.jotune.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.jotune.tensor.cpu.simd.Matrix;
import dev.jotune.tensor.kernels.AdamWKernel;
import dev.jotune.tensor.kernels.FusedKernel;
import dev.jotune.tensor.kernels.NormKernel;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Extensions are asked in their order, those that work, and the others say why. */
class ExtensionsTest {
    private static final Matrix NOTHING = Matrix.f32(0, 1);

    private record Fake(String description, String note, boolean isAvailable, Optional<FusedKernel> only, int largest) implements CpuExtension {
        @Override
        public <K extends FusedKernel> Optional<K> kernel(Class<K> kind) {
            return only.filter(kind::isInstance).map(kind::cast);
        }

        @Override
        public boolean matmul(int m, int n, int k, Matrix a, Matrix b, long c, long crs, boolean add) {
            return m <= largest;
        }
    }

    @Test
    void theFirstThatHasAKernelGivesIt() {
        VectorNorm first = new VectorNorm();
        VectorNorm second = new VectorNorm();
        Extensions e = Extensions.of(List.of(new Fake("none", "", true, Optional.empty(), 0), new Fake("one", "", true, Optional.of(first), 4),
                new Fake("two", "", true, Optional.of(second), 8)));
        assertThat(e.kernel(NormKernel.class)).containsSame(first);
        assertThat(e.kernel(AdamWKernel.class)).isEmpty();
        assertThat(e.matmul(8, 1, 1, NOTHING, NOTHING, 0, 1, false)).isTrue();
        assertThat(e.matmul(9, 1, 1, NOTHING, NOTHING, 0, 1, false)).isFalse();
        assertThat(e.description()).isEqualTo("; none; one; two");
        assertThat(e.note()).isEmpty();
    }

    @Test
    void oneThatDoesNotWorkIsNotAskedAndSaysWhy() {
        Extensions e = Extensions.of(List.of(new Fake("broken", "of a reason", false, Optional.of(new VectorNorm()), 100),
                new Fake("half", "no tiles", true, Optional.empty(), 0)));
        assertThat(e.kernel(NormKernel.class)).isEmpty();
        assertThat(e.matmul(1, 1, 1, NOTHING, NOTHING, 0, 1, false)).isFalse();
        assertThat(e.description()).isEqualTo("; half");
        assertThat(e.note()).isEqualTo("no broken: of a reason; no tiles");
    }

    @Test
    void theyCanBeSwitchedOff() {
        assertThat(Extensions.load("off").working()).isEmpty();
        assertThat(Extensions.load("off").note()).contains("switched off").contains("jotune.extensions");
        assertThatIllegalArgumentException().isThrownBy(() -> Extensions.load("no")).withMessageContaining("'no'").withMessageContaining("on or off");
    }
}
