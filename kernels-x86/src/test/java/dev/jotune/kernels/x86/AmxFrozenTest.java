package dev.jotune.kernels.x86;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.jotune.kernels.x86.FrozenProductsTest.Case;
import dev.jotune.kernels.x86.asm.Ranges;
import dev.jotune.kernels.x86.gemm.EmulatedCode;
import dev.jotune.kernels.x86.gemm.F32Products;
import dev.jotune.kernels.x86.gemm.Gemms;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Parallel;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.FrozenKernel.Joined;
import dev.jotune.tensor.kernels.Precision;
import java.util.Optional;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;

/**
 * Products with frozen weights through AMX tiles, from packing to the last element, in the interpreter; where the
 * processor has AMX, it must give the same bits.
 */
class AmxFrozenTest {
    // One thread: the interpreter's own memory list is not shared.
    private static final Parallel ALONE = new Parallel(1);

    @AfterAll
    static void close() {
        ALONE.close();
    }

    private static FrozenKernel emulated(F32Products how) {
        return new Gemms(new EmulatedCode(new Ranges()), () -> ALONE, Optional.of(how)).frozen();
    }

    private static double slack(F32Products how, boolean narrow, Precision precision) {
        return how == F32Products.THREE && !narrow && precision == Precision.F32 ? 0x1p-15 : 0x1p-22;
    }

    private static void check(Case c, F32Products how, long seed) {
        c.check(emulated(how), seed, slack(how, c.narrow(), c.precision()));
        if (Machine.hasAmx()) {
            c.check(X86Extension.gemms(() -> ALONE, Optional.of(how)).frozen(), seed, slack(how, c.narrow(), c.precision()));
        }
    }

    @Test
    void everyTail() {
        for (int s = 1; s <= 67; s++) {
            int kind = s % 8;
            Precision precision = (kind & 4) != 0 ? Precision.BF16 : Precision.F32;
            boolean narrow = (kind & 1) != 0;
            boolean back = (kind & 2) != 0;
            F32Products how = s % 3 == 0 ? F32Products.THREE : F32Products.SIX;
            check(new Case(s, 65, 18, narrow, back, precision, 0, false, false, 0), how, s);
            check(new Case(25, Math.max(16, s), 19, narrow, back, precision, 0, false, false, 0), how, s);
            check(new Case(26, 18, Math.max(16, s), narrow, back, precision, 2, true, true, 1), how, s);
        }
    }

    @Property(tries = 40)
    void anyShapeStrideAndCompany(@ForAll @IntRange(min = 1, max = 80) int m, @ForAll @IntRange(min = 16, max = 100) int n,
            @ForAll @IntRange(min = 16, max = 100) int k, @ForAll boolean narrow, @ForAll boolean back, @ForAll Precision precision,
            @ForAll @IntRange(max = 5) int rank, @ForAll boolean bias, @ForAll boolean residual, @ForAll F32Products how) {
        check(new Case(m, n, k, narrow, back, precision, rank, bias, residual, 3), how, m + 31L * n + 977L * k);
    }

    @Test
    void sumsLongerThanABlockJoinEverythingOnce() {
        check(new Case(24, 16, 1100, false, false, Precision.F32, 3, true, true, 0), F32Products.SIX, 1);
        check(new Case(24, 1100, 16, false, true, Precision.F32, 3, true, true, 0), F32Products.SIX, 2);
        check(new Case(5, 16, 1100, true, false, Precision.F32, 3, true, true, 0), F32Products.SIX, 3);
    }

    @Test
    void processorAndInterpreterGiveTheSameBits() {
        Random random = new Random(3);
        Tensor w = Tensor.of(Backends.cpu(), Exact.random(random, 70 * 90), 70, 90);
        Tensor x = Tensor.of(Backends.cpu(), Exact.random(random, 40 * 90), 40, 90);
        for (Precision precision : Precision.values()) {
            Tensor y = Tensor.zeros(Backends.cpu(), DType.F32, 40, 70);
            FrozenKernel kernel = emulated(F32Products.SIX);
            kernel.product(kernel.pack(w), x, y, precision, Joined.NONE);
            if (Machine.hasAmx()) {
                Tensor z = Tensor.zeros(Backends.cpu(), DType.F32, 40, 70);
                FrozenKernel real = X86Extension.gemms(() -> ALONE, Optional.of(F32Products.SIX)).frozen();
                real.product(real.pack(w), x, z, precision, Joined.NONE);
                assertThat(z.toFloatArray()).isEqualTo(y.toFloatArray());
            }
            double want = 0;
            for (int i = 0; i < 90; i++) {
                want += x.toDoubleArray()[i] * w.toDoubleArray()[i];
            }
            assertThat(y.toDoubleArray()[0]).isCloseTo(want, Offset.offset(precision == Precision.F32 ? 1e-5 : 0.1));
        }
    }

    @Test
    void theSettingIsOneOfThree() {
        assertThat(X86Extension.f32Products("6")).isEqualTo(F32Products.SIX);
        assertThat(X86Extension.f32Products("3")).isEqualTo(F32Products.THREE);
        assertThat(X86Extension.f32Products("off")).isEqualTo(F32Products.NONE);
        assertThatIllegalArgumentException().isThrownBy(() -> X86Extension.f32Products("2"))
                .withMessageContaining("'2'").withMessageContaining("6 or 3");
    }
}
