package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.kernel.KernelSource;
import dev.jotune.kernel.Param;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** How arguments are laid out, as a driver would read them; without one. */
class ArgumentBlockTest {
    private static final long ADDRESS = 0x7f00_1234_5600L;

    private final ArgumentBlock block = new ArgumentBlock();
    private final ArgumentBlock.Blocks blocks = new ArgumentBlock.Blocks() {
        @Override
        public long address(Tensor t) {
            return ADDRESS;
        }

        @Override
        public long address(TensorMaps.Map m) {
            return ADDRESS + 64;
        }
    };

    private static CompiledKernel kernel(DType arithmetic, Param... params) {
        KernelSource source = new KernelSource("k", "KERNEL {\n}\n", List.of(params), new TreeMap<>(), 32, arithmetic);
        return new CompiledKernel(source, "k-0000", new Handles.Function(), 0, 1, 0, 0, 0);
    }

    private ByteBuffer at(int argument) {
        return ByteBuffer.wrap(block.bytes(argument, Long.BYTES)).order(ByteOrder.nativeOrder());
    }

    @Test
    void aBufferIsItsAddressAndItsOffsetAndANumberItself() {
        Tensor t = Tensor.zeros(Backends.cpu(), DType.F32, 4).slice(0, 3, 4);
        block.set(kernel(DType.F32, Param.in("x", DType.F32), Param.int32("n"), Param.int64("l"), Param.real("r")), blocks, t, -5, 1L << 40, 0.5);
        assertThat(at(0).getLong()).isEqualTo(ADDRESS);
        assertThat(at(1).getLong()).isEqualTo(3);
        assertThat(at(2).getInt()).isEqualTo(-5);
        assertThat(at(3).getLong()).isEqualTo(1L << 40);
        assertThat(at(4).getFloat()).isEqualTo(0.5f);
        block.set(kernel(DType.F64, Param.real("r")), blocks, 0.1);
        assertThat(at(0).getDouble()).isEqualTo(0.1);
    }

    @Test
    void theSamePlacesServeEveryLaunch() {
        long before = block.address();
        for (int i = 0; i < 3; i++) {
            block.set(kernel(DType.F32, Param.int64("l")), blocks, i);
            assertThat(at(0).getLong()).isEqualTo(i);
            assertThat(block.address()).isEqualTo(before);
        }
    }

    @Test
    void moreParametersThanCudaAllowsAreRefused() {
        Param[] many = new Param[600];
        Arrays.setAll(many, i -> Param.int64("p" + i));
        Object[] values = Collections.nCopies(many.length, 1L).toArray();
        assertThatThrownBy(() -> block.set(kernel(DType.F32, many), blocks, values)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("more than 512 values");
    }

    @Test
    void wrongArgumentsAreNamed() {
        CompiledKernel k = kernel(DType.F32, Param.in("x", DType.F32), Param.int32("count"));
        assertThatThrownBy(() -> block.set(k, blocks, 1)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("2 parameters, got 1");
        Tensor t = Tensor.zeros(Backends.cpu(), DType.F32, 1);
        assertThatThrownBy(() -> block.set(k, blocks, t, "three")).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("three").hasMessageContaining("count");
    }

    /** CUlaunchConfig of cuda.h: seven ints, the stream at 32, the attributes at 40, their number at 48. */
    @Test
    void clustersAreAnAttributeOfTheLaunch() {
        MemorySegment c = MemorySegment.ofAddress(block.configuration(6, 5, 4, 128, 1000, 77, 2)).reinterpret(128);
        assertThat(c.asSlice(0, 28).toArray(ValueLayout.JAVA_INT)).containsExactly(6, 5, 4, 128, 1, 1, 1000);
        assertThat(c.get(ValueLayout.JAVA_LONG, 32)).isEqualTo(77);
        assertThat(c.get(ValueLayout.JAVA_INT, 48)).isEqualTo(1);
        MemorySegment attribute = MemorySegment.ofAddress(c.get(ValueLayout.JAVA_LONG, 40)).reinterpret(72);
        assertThat(attribute.get(ValueLayout.JAVA_INT, 0)).isEqualTo(4);
        assertThat(attribute.asSlice(8, 12).toArray(ValueLayout.JAVA_INT)).containsExactly(2, 1, 1);
    }
}
