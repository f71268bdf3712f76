package dev.jotune.kernels.x86;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.kernels.x86.asm.Ranges;
import dev.jotune.kernels.x86.gemm.EmulatedCode;
import dev.jotune.kernels.x86.gemm.F32Products;
import dev.jotune.kernels.x86.gemm.Gemms;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Parallel;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.quant.BlockMatrix;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;

/** Products in bytes on AMX tiles, in the interpreter, and in the processor where it has AMX. */
class AmxInt8Test {
    private static final Parallel ALONE = new Parallel(1);

    @AfterAll
    static void close() {
        ALONE.close();
    }

    private static QuantizedProductKernel emulated(Optional<F32Products> tiles) {
        return new Gemms(new EmulatedCode(new Ranges()), () -> ALONE, tiles).int8();
    }

    private static QuantizedProductKernel real() {
        return X86Extension.gemms(() -> ALONE, Optional.of(F32Products.SIX)).int8();
    }

    @Test
    void everyTailOfRowsAndOutputs() {
        QuantizedProductKernel tiles = emulated(Optional.of(F32Products.SIX));
        for (int s = 1; s <= 67; s++) {
            Int8ProductsTest.check(tiles, s, 37, 32, s % 3);
            Int8ProductsTest.check(tiles, 5, s, 64, s % 3);
            if (Machine.hasAmx()) {
                Int8ProductsTest.check(real(), s, 37, 32, s % 3);
                Int8ProductsTest.check(real(), 5, s, 64, s % 3);
            }
        }
    }

    @Test
    void tilesAndVectorsGiveTheSameBits() {
        Random random = new Random(7);
        BlockMatrix w = Int8ProductsTest.weight(random, 70, 160);
        Tensor x = Tensor.of(Backends.cpu(), Exact.random(random, 37 * 160), 37, 160);
        Tensor tiles = Tensor.zeros(Backends.cpu(), DType.F32, 37, 70);
        Tensor vectors = Tensor.zeros(Backends.cpu(), DType.F32, 37, 70);
        emulated(Optional.of(F32Products.SIX)).product(x, w, tiles);
        emulated(Optional.empty()).product(x, w, vectors);
        assertThat(tiles.toFloatArray()).isEqualTo(vectors.toFloatArray());
        if (Machine.hasAmx()) {
            real().product(x, w, vectors);
            assertThat(vectors.toFloatArray()).isEqualTo(tiles.toFloatArray());
        }
    }
}
