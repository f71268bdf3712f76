package dev.jotune.opencl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.LinearCrossEntropy;
import dev.jotune.kernel.KernelSource;
import dev.jotune.kernel.Param;
import dev.jotune.kernel.Tile;
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

/** Memory, transfers, programs and errors of the first device. */
class OpenClBackendTest {
    private static final Program DOUBLE = Program.of(Expr.input(0).times(2));

    @TempDir
    private Path dir;

    private final OpenClBackend shared = Devices.first();

    /** Measuring is a test of its own. */
    @BeforeAll
    static void doNotMeasure() {
        System.setProperty(Tuning.SWITCH, "false");
    }

    private OpenClBackend fresh(UnaryOperator<String> edit) {
        return new OpenClBackend("opencl:9", shared.info(), dir, edit);
    }

    private static double[] doubled(OpenClBackend b) {
        Tensor x = Tensor.of(b, new float[] {1, 2, 3}, 3);
        Tensor y = Tensor.empty(b, DType.F32, 3);
        b.map(DOUBLE, new Tensor[] {x}, new Tensor[] {y});
        return y.toDoubleArray();
    }

    @Test
    void memoryHasNoAddressOnTheHost() {
        Tensor t = Tensor.zeros(shared, DType.F32, 4);
        assertThat(t.storage().isHostAddressable()).isFalse();
        assertThatThrownBy(t::address).isInstanceOf(UnsupportedOperationException.class).hasMessageContaining("opencl:0");
        assertThatThrownBy(() -> t.storage().host()).isInstanceOf(UnsupportedOperationException.class).hasMessageContaining("Backend.read");
        assertThat(t.to(Backends.cpu()).toDoubleArray()).containsOnly(0);
        assertThat(Tensor.of(Backends.cpu(), new float[] {1, 2}, 2).to(shared).toDoubleArray()).containsExactly(1, 2);
    }

    @Test
    void memoryIsCountedRecycledAndFreedWithItsScope() {
        OpenClBackend b = fresh(UnaryOperator.identity());
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
        again.free();
        kept.storage().free();
        assertThat(b.memory().bytesInUse()).isZero();
        assertThatThrownBy(() -> b.fill(kept, 1)).isInstanceOf(IllegalStateException.class);
        b.memory().trim();
        assertThat(b.memory().idleBytes()).isZero();
    }

    @Test
    void tooLittleMemorySaysHowMuchIsMissing() {
        System.setProperty(Buffers.LIMIT, Long.toString(3 << 20));
        try {
            OpenClBackend b = fresh(UnaryOperator.identity());
            Storage first = b.allocate(2 << 20);
            assertThatThrownBy(() -> b.allocate(2 << 20)).isInstanceOf(OutOfMemoryError.class)
                    .hasMessageContaining("opencl:9").hasMessageContaining((1 << 20) + " bytes are missing");
            first.free();
            // The idle block makes room.
            b.allocate(3 << 20).free();
            assertThatThrownBy(() -> b.allocate(1L << 60)).isInstanceOf(OutOfMemoryError.class).hasMessageContaining("in one buffer");
        } finally {
            System.clearProperty(Buffers.LIMIT);
        }
    }

    /** More than a chunk and not a multiple of it; from the heap, which drivers cannot read, and from native memory. */
    @Test
    void largeTransfersGoInChunks() {
        int n = (64 << 20) + 12345;
        byte[] bytes = new byte[n];
        for (int i = 0; i < n; i++) {
            bytes[i] = (byte) (i * 31 >> 7);
        }
        try (Scope scope = Scope.open(); Arena arena = Arena.ofShared()) {
            Tensor fromHeap = shared.map(MemorySegment.ofArray(bytes), DType.U8, n);
            byte[] back = new byte[n];
            shared.read(fromHeap, MemorySegment.ofArray(back));
            assertThat(back).isEqualTo(bytes);
            MemorySegment memory = arena.allocate(n);
            shared.read(fromHeap, memory);
            Tensor fromNative = shared.map(memory, DType.U8, n);
            assertThat(fromNative.slice(0, n - 3, n).toDoubleArray()).containsExactly(bytes[n - 3] & 0xff, bytes[n - 2] & 0xff, bytes[n - 1] & 0xff);
            assertThat(memory.mismatch(MemorySegment.ofArray(bytes))).isEqualTo(-1);
        }
    }

    /** A write returns at once; its source may change before the device has read it. */
    @Test
    void smallWritesKeepTheirValues() {
        MemorySegment source = Arena.ofAuto().allocate(4);
        Tensor t = Tensor.zeros(shared, DType.F32, 64);
        for (int i = 0; i < 64; i++) {
            source.set(ValueLayout.JAVA_FLOAT, 0, i);
            shared.write(t.slice(0, i, i + 1), source);
        }
        assertThat(t.toDoubleArray()).isEqualTo(IntStream.range(0, 64).asDoubleStream().toArray());
    }

    @Test
    void programsAreKeptOnDiskAndDamagedOnesAreMadeAnew() throws IOException {
        OpenClBackend first = fresh(UnaryOperator.identity());
        assertThat(doubled(first)).containsExactly(2, 4, 6);
        assertThat(doubled(first)).containsExactly(2, 4, 6);
        assertThat(first.programs().builds()).isEqualTo(1);
        Path file;
        try (Stream<Path> files = Files.list(dir)) {
            List<Path> all = files.toList();
            assertThat(all).hasSize(1);
            file = all.getFirst();
        }
        OpenClBackend second = fresh(UnaryOperator.identity());
        assertThat(doubled(second)).containsExactly(2, 4, 6);
        assertThat(second.programs().builds()).isZero();
        assertThat(second.programs().loads()).isEqualTo(1);
        byte[] whole = Files.readAllBytes(file);
        byte[] flipped = whole.clone();
        flipped[flipped.length / 2] ^= 1;
        for (byte[] damaged : List.of(new byte[0], Arrays.copyOf(whole, whole.length / 2), flipped)) {
            Files.write(file, damaged);
            OpenClBackend b = fresh(UnaryOperator.identity());
            assertThat(doubled(b)).containsExactly(2, 4, 6);
            assertThat(b.programs().builds()).isEqualTo(1);
            assertThat(Files.readAllBytes(file).length).isGreaterThan(whole.length / 2);
        }
    }

    @Test
    void aTextThatDoesNotCompileShowsTheCompilersLog() {
        OpenClBackend b = fresh(text -> text.replace("real v1 = ", "nobody_knows = "));
        assertThatThrownBy(() -> doubled(b)).isInstanceOf(OpenClException.class).hasMessageContaining("map-").hasMessageContaining("nobody_knows")
                .hasMessageContaining(shared.info().driver());
    }

    @Test
    void wrongArgumentsAreNamed() {
        KernelSource source = new KernelSource("one", "KERNEL {\n    ST(y, LID, R(1.0));\n}\n", List.of(Param.out("y", DType.F32)),
                new TreeMap<>(), 1, DType.F32);
        assertThatThrownBy(() -> shared.launch(source, 1)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("1 parameters, got 0");
        Tensor elsewhere = Tensor.zeros(Backends.cpu(), DType.F32, 1);
        assertThatThrownBy(() -> shared.launch(source, 1, elsewhere)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("Tensor.to");
        Tensor y = Tensor.zeros(shared, DType.F32, 1);
        shared.launch(source, 1, y);
        assertThat(y.item()).isEqualTo(1);
    }

    @Test
    void kernelsAreMeasuredOnRequest() {
        Tensor x = Tensor.zeros(shared, DType.F32, 1000);
        assertThat(shared.startProfile()).isTrue();
        for (int i = 0; i < 3; i++) {
            shared.map(DOUBLE, new Tensor[] {x}, new Tensor[] {x});
        }
        List<KernelTime> times = shared.stopProfile();
        assertThat(times).hasSize(1);
        assertThat(times.getFirst().kernel()).startsWith("map-");
        assertThat(times.getFirst().calls()).isEqualTo(3);
        assertThat(times.getFirst().totalMicros()).isGreaterThanOrEqualTo(times.getFirst().medianMicros());
        shared.map(DOUBLE, new Tensor[] {x}, new Tensor[] {x});
        assertThat(shared.stopProfile()).isEmpty();
    }

    /** Several threads share kernels, whose arguments are state. */
    @Test
    void threadsDoNotMixTheirArguments() {
        double[] sums = IntStream.range(0, 8).parallel().mapToDouble(t -> {
            try (Scope scope = Scope.open()) {
                Tensor x = Tensor.full(shared, DType.F32, t, 100);
                Tensor out = Tensor.empty(shared, DType.F32, 1);
                for (int i = 0; i < 20; i++) {
                    Tensor y = Tensor.empty(shared, DType.F32, 100);
                    shared.map(DOUBLE, new Tensor[] {x}, new Tensor[] {y});
                    shared.reduce(Reduction.SUM, y, out);
                }
                return out.item();
            }
        }).toArray();
        assertThat(sums).containsExactly(IntStream.range(0, 8).mapToDouble(t -> 200 * t).toArray());
    }

    @Test
    void theBestSizeOfGroupsIsMeasuredOnceAndRemembered() throws IOException {
        System.setProperty(Tuning.SWITCH, "true");
        try {
            OpenClBackend first = fresh(UnaryOperator.identity());
            assertThat(doubled(first)).containsExactly(2, 4, 6);
            assertThat(first.group()).isIn(OpenClBackend.GROUPS);
            Path file = dir.resolve("tuned.json");
            assertThat(file).content().contains("\"elements\" : " + first.group(), shared.info().name());
            // What is remembered is believed, whatever it is, and not measured again.
            Files.writeString(file, Files.readString(file).replace("\"elements\" : " + first.group(), "\"elements\" : 32"));
            OpenClBackend second = fresh(UnaryOperator.identity());
            assertThat(doubled(second)).containsExactly(2, 4, 6);
            assertThat(second.group()).isEqualTo(32);
            Files.writeString(file, "{ damaged");
            assertThat(doubled(fresh(UnaryOperator.identity()))).containsExactly(2, 4, 6);
            assertThat(file).content().contains("elements");
        } finally {
            System.setProperty(Tuning.SWITCH, "false");
        }
    }

    /** What is fastest may be measured wrongly: it decides nothing but the time. */
    @Test
    void theOrderOfTilesIsMeasuredOnceAndProductsHaveTheSameBitsInEach() throws IOException {
        System.setProperty(Tuning.SWITCH, "true");
        try {
            double[] want = product(fresh(UnaryOperator.identity()));
            Path file = dir.resolve("tuned.json");
            assertThat(file).content().containsPattern("\"tiles\" : \\[ (128|64|32), (128|64|32), (128|64|32) \\]");
            for (String order : List.of("128, 64, 32", "64, 32, 128", "32, 128, 64")) {
                Files.writeString(file, Files.readString(file).replaceAll("\"tiles\" : \\[.*\\]", "\"tiles\" : [ " + order + " ]"));
                OpenClBackend device = fresh(UnaryOperator.identity());
                assertThat(product(device)).containsExactly(want);
                assertThat(device.tiles()).extracting(Tile::rows).map(String::valueOf).containsExactly(order.split(", "));
            }
            Files.writeString(file, Files.readString(file).replaceAll("\"tiles\" : \\[.*\\]", "\"tiles\" : [ 128, 128, 64 ]"));
            assertThat(product(fresh(UnaryOperator.identity()))).containsExactly(want);
            assertThat(file).content().doesNotContain("128, 128");
        } finally {
            System.setProperty(Tuning.SWITCH, "false");
        }
    }

    private static double[] product(OpenClBackend b) {
        try (Scope scope = Scope.open()) {
            Tensor x = Tensor.empty(b, DType.F32, 300, 35);
            b.normal(x, 1, 2);
            Tensor y = Tensor.empty(b, DType.F32, 300, 300);
            b.matmul(x, x.transpose(0, 1), y, false);
            return y.toDoubleArray();
        }
    }

    /** Of 90 x 3000 logits there is never more than a tile. */
    @Test
    void lossesWithoutGradientsStoreNoLogits() {
        try (Scope scope = Scope.open()) {
            Tensor hidden = Tensor.zeros(shared, DType.F32, 90, 8);
            Tensor weight = Tensor.zeros(shared, DType.F32, 3000, 8);
            shared.resetPeak();
            long before = shared.memory().bytesInUse();
            Var loss = LinearCrossEntropy.apply(Var.constant(hidden), Var.constant(weight), Tensor.of(shared, new long[90], 90));
            assertThat(loss.item()).isCloseTo(Math.log(3000), within(1e-5));
            assertThat(shared.peakBytes() - before).isLessThan(90 * 3000);
        }
    }

    /** Groups that every device can run, in shared memory that every device has; nothing spilled, as far as the driver says. */
    @Test
    void kernelsStayWithinWhatEveryDeviceHas() {
        doubled(shared);
        Tensor a = Tensor.zeros(shared, DType.F32, 20, 20);
        shared.matmul(a, a, Tensor.zeros(shared, DType.F32, 20, 20), false);
        shared.argmax(a, Tensor.empty(shared, DType.I64, 20));
        assertThat(shared.programs().all()).isNotEmpty().allSatisfy(k -> {
            assertThat(k.localMemory()).as(k.title()).isLessThanOrEqualTo(32 << 10);
            assertThat(k.source().group()).as(k.title()).isLessThanOrEqualTo(256);
        });
    }
}
