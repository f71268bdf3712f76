package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.kernel.KernelSource;
import dev.jotune.kernel.Param;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.KernelTime;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Storage;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Memory, transfers, kernels and errors of the first device. */
class CudaBackendTest {
    private static final Program DOUBLE = Program.of(Expr.input(0).times(2));

    @TempDir
    private Path dir;

    @BeforeAll
    static void deviceIsThere() {
        CudaDevices.info();
    }

    private CudaBackend fresh() {
        return CudaDevices.fresh(dir, UnaryOperator.identity());
    }

    private static double[] doubled(CudaBackend b) {
        Tensor x = Tensor.of(b, new float[] {1, 2, 3}, 3);
        Tensor y = Tensor.empty(b, DType.F32, 3);
        b.map(DOUBLE, new Tensor[] {x}, new Tensor[] {y});
        return y.toDoubleArray();
    }

    private static KernelSource source(String body, Param... params) {
        return new KernelSource("probe", "KERNEL {\n" + body + "}\n", List.of(params), new TreeMap<>(), 32, DType.F32);
    }

    @Test
    void memoryHasNoAddressOnTheHost() {
        CudaBackend b = fresh();
        Tensor t = Tensor.zeros(b, DType.F32, 4);
        assertThat(t.storage().isHostAddressable()).isFalse();
        assertThatThrownBy(t::address).isInstanceOf(UnsupportedOperationException.class).hasMessageContaining("cuda:9");
        assertThat(t.to(Backends.cpu()).toDoubleArray()).containsOnly(0);
        assertThat(Tensor.of(Backends.cpu(), new float[] {1, 2}, 2).to(b).toDoubleArray()).containsExactly(1, 2);
    }

    @Test
    void memoryIsCountedRecycledAndFreedWithItsScope() {
        CudaBackend b = fresh();
        Tensor kept;
        try (Scope scope = Scope.open()) {
            Tensor.empty(b, DType.F32, 1 << 18);
            kept = scope.keep(Tensor.empty(b, DType.F32, 1 << 18));
            assertThat(b.memory().bytesInUse()).isEqualTo(2 << 20);
        }
        assertThat(b.memory().bytesInUse()).isEqualTo(1 << 20);
        assertThat(b.memory().idleBytes()).isEqualTo(1 << 20);
        Storage again = b.allocate(1 << 20);
        assertThat(b.memory().idleBytes()).isZero();
        assertThat(b.peakBytes()).isEqualTo(2 << 20);
        again.free();
        b.resetPeak();
        assertThat(b.peakBytes()).isEqualTo(1 << 20);
        kept.storage().free();
        assertThat(b.memory().bytesInUse()).isZero();
        assertThatThrownBy(() -> b.fill(kept, 1)).isInstanceOf(IllegalStateException.class);
        b.memory().trim();
        assertThat(b.memory().idleBytes()).isZero();
    }

    @Test
    void moreThanThereIsIsRefusedAndSaysHowMuchIsMissing() {
        System.setProperty(CudaBackend.LIMIT, Long.toString(3 << 20));
        try {
            CudaBackend b = fresh();
            Storage first = b.allocate(2 << 20);
            assertThatThrownBy(() -> b.allocate(2 << 20)).isInstanceOf(OutOfMemoryError.class)
                    .hasMessageContaining("cuda:9").hasMessageContaining((1 << 20) + " bytes are missing");
            first.free();
            // The idle block makes room.
            b.allocate(3 << 20).free();
            assertThatThrownBy(() -> b.allocate(-1)).isInstanceOf(IllegalArgumentException.class);
        } finally {
            System.clearProperty(CudaBackend.LIMIT);
        }
    }

    /** Slots of 4 KiB are gone through many times; from the heap and from native memory. */
    @Test
    void largeTransfersGoInChunks() {
        CudaBackend b = fresh();
        int n = (100 << 10) + 12345;
        byte[] bytes = new byte[n];
        for (int i = 0; i < n; i++) {
            bytes[i] = (byte) (i * 31 >> 7);
        }
        try (Scope scope = Scope.open(); Arena arena = Arena.ofShared()) {
            Tensor fromHeap = b.map(MemorySegment.ofArray(bytes), DType.U8, n);
            byte[] back = new byte[n];
            b.read(fromHeap, MemorySegment.ofArray(back));
            assertThat(back).isEqualTo(bytes);
            MemorySegment memory = arena.allocate(n);
            b.read(fromHeap, memory);
            Tensor fromNative = b.map(memory, DType.U8, n);
            assertThat(fromNative.slice(0, n - 3, n).toDoubleArray()).containsExactly(bytes[n - 3] & 0xff, bytes[n - 2] & 0xff, bytes[n - 1] & 0xff);
            for (int size : new int[] {1, 4095, 4096, 4097, 8192}) {
                byte[] part = new byte[size];
                b.read(fromNative.slice(0, 17, 17 + size), MemorySegment.ofArray(part));
                assertThat(part).isEqualTo(Arrays.copyOfRange(bytes, 17, 17 + size));
            }
        }
    }

    /** A write returns when its bytes are copied; its source may change then. */
    @Test
    void smallWritesKeepTheirValues() {
        CudaBackend b = fresh();
        MemorySegment source = Arena.ofAuto().allocate(4);
        Tensor t = Tensor.zeros(b, DType.F32, 300);
        for (int i = 0; i < 300; i++) {
            source.set(ValueLayout.JAVA_FLOAT, 0, i);
            b.write(t.slice(0, i, i + 1), source);
        }
        assertThat(t.toDoubleArray()).isEqualTo(IntStream.range(0, 300).asDoubleStream().toArray());
    }

    @Test
    void everyWidthIsFilledInPlace() {
        CudaBackend b = CudaDevices.shared();
        for (DType type : DType.values()) {
            Tensor t = Tensor.zeros(b, type, 1000);
            b.fill(t.slice(0, 3, 998), 1);
            assertThat(t.slice(0, 3, 998).toDoubleArray()).as("%s", type).containsOnly(1);
            assertThat(t.slice(0, 0, 3).toDoubleArray()).as("%s", type).containsOnly(0);
            assertThat(t.slice(0, 998, 1000).toDoubleArray()).as("%s", type).containsOnly(0);
        }
    }

    @Test
    void kernelsAreKeptOnDiskAndDamagedOnesAreMadeAnew() throws IOException {
        CudaBackend first = fresh();
        assertThat(doubled(first)).containsExactly(2, 4, 6);
        assertThat(doubled(first)).containsExactly(2, 4, 6);
        assertThat(first.modules().builds()).isEqualTo(1);
        Path file;
        try (Stream<Path> files = Files.list(dir)) {
            List<Path> all = files.toList();
            assertThat(all).hasSize(1);
            file = all.getFirst();
        }
        CudaBackend second = fresh();
        assertThat(doubled(second)).containsExactly(2, 4, 6);
        assertThat(second.modules().builds()).isZero();
        assertThat(second.modules().loads()).isEqualTo(1);
        byte[] whole = Files.readAllBytes(file);
        byte[] flipped = whole.clone();
        flipped[flipped.length / 2] ^= 1;
        for (byte[] damaged : List.of(new byte[0], Arrays.copyOf(whole, whole.length / 2), flipped)) {
            Files.write(file, damaged);
            CudaBackend b = fresh();
            assertThat(doubled(b)).containsExactly(2, 4, 6);
            assertThat(b.modules().builds()).isEqualTo(1);
            assertThat(Files.readAllBytes(file)).isEqualTo(whole);
        }
    }

    @Test
    void aTextThatDoesNotCompileShowsTheCompilersLog() {
        CudaBackend b = CudaDevices.fresh(dir, text -> text.replace("real v1 = ", "nobody_knows = "));
        assertThatThrownBy(() -> doubled(b)).isInstanceOf(CudaException.class).hasMessageContaining("map-").hasMessageContaining("nobody_knows")
                .hasMessageContaining("NVRTC");
    }

    @Test
    void wrongArgumentsAndGridsAreNamed() {
        CudaBackend b = CudaDevices.shared();
        KernelSource one = source("    ST(y, LID, R(1.0));\n", Param.out("y", DType.F32));
        Tensor y = Tensor.zeros(b, DType.F32, 32);
        assertThatThrownBy(() -> b.launch(one, 1)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("1 parameters, got 0");
        assertThatThrownBy(() -> b.launch(one, 1L << 31, y)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("probe-").hasMessageContaining("2147483648 x 1 x 1");
        assertThatThrownBy(() -> b.launch(one, 0, y)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("0 x 1 x 1");
        Tensor elsewhere = Tensor.zeros(Backends.cpu(), DType.F32, 32);
        assertThatThrownBy(() -> b.launch(one, 1, elsewhere)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("Tensor.to");
        Tensor other = Tensor.zeros(fresh(), DType.F32, 32);
        assertThatThrownBy(() -> b.launch(one, 1, other)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("cuda:9, not of cuda:0");
        b.launch(one, 1, y);
        assertThat(y.toDoubleArray()).containsOnly(1);
    }

    @Test
    void kernelsAreMeasuredOnRequest() {
        CudaBackend b = CudaDevices.shared();
        Tensor x = Tensor.zeros(b, DType.F32, 1000);
        assertThat(b.startProfile()).isTrue();
        for (int i = 0; i < 3; i++) {
            b.map(DOUBLE, new Tensor[] {x}, new Tensor[] {x});
        }
        List<KernelTime> times = b.stopProfile();
        assertThat(times).hasSize(1);
        assertThat(times.getFirst().kernel()).startsWith("map-");
        assertThat(times.getFirst().calls()).isEqualTo(3);
        assertThat(times.getFirst().totalMicros()).isGreaterThanOrEqualTo(times.getFirst().medianMicros());
        b.map(DOUBLE, new Tensor[] {x}, new Tensor[] {x});
        assertThat(b.stopProfile()).isEmpty();
    }

    /** Several threads share kernels and the stream; each has its own arguments. */
    @Test
    void threadsDoNotMixTheirArguments() {
        CudaBackend b = CudaDevices.shared();
        double[] sums = IntStream.range(0, 8).parallel().mapToDouble(t -> {
            try (Scope scope = Scope.open()) {
                Tensor x = Tensor.full(b, DType.F32, t, 100);
                Tensor out = Tensor.empty(b, DType.F32, 1);
                for (int i = 0; i < 20; i++) {
                    Tensor y = Tensor.empty(b, DType.F32, 100);
                    b.map(DOUBLE, new Tensor[] {x}, new Tensor[] {y});
                    b.reduce(Reduction.SUM, y, out);
                }
                return out.item();
            }
        }).toArray();
        assertThat(sums).containsExactly(IntStream.range(0, 8).mapToDouble(t -> 200 * t).toArray());
    }

    /** What every device has for a group, asked of the driver after loading. */
    @Test
    void kernelsStayWithinWhatEveryDeviceHas() {
        CudaBackend b = CudaDevices.shared();
        doubled(b);
        Tensor a = Tensor.zeros(b, DType.F32, 20, 20);
        b.matmul(a, a, Tensor.zeros(b, DType.F32, 20, 20), false);
        assertThat(b.modules().all()).isNotEmpty().allSatisfy(k -> {
            assertThat(k.staticShared()).as(k.title()).isLessThanOrEqualTo(48 << 10);
            assertThat(k.spilled()).as(k.title()).isZero();
        });
    }
}
