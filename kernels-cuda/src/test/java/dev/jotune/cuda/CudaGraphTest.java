package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.KernelTime;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Work that is recorded once and repeated. */
class CudaGraphTest {
    private static final Program DOUBLE = Program.of(Expr.input(0).times(2));
    private static final Program SUM = Program.of(Expr.input(0).plus(Expr.input(1)));

    @TempDir
    private Path dir;

    @BeforeAll
    static void deviceIsThere() {
        CudaDevices.info();
    }

    private CudaBackend fresh() {
        return CudaDevices.fresh(dir, text -> text);
    }

    /** y += 2 x, through memory that the work makes for itself. */
    private static void work(CudaBackend b, Tensor x, Tensor y) {
        try (Scope _ = Scope.open()) {
            Tensor twice = Tensor.empty(b, DType.F32, x.numel());
            b.fill(twice, 7);
            b.map(DOUBLE, new Tensor[] {x}, new Tensor[] {twice});
            Tensor copy = twice.copy();
            b.map(SUM, new Tensor[] {y, copy}, new Tensor[] {y});
        }
    }

    @Test
    void recordingDoesNothingAndRepeatingDoesEverythingAgain() {
        CudaBackend b = fresh();
        Tensor x = Tensor.of(b, new float[] {1, 2, 3}, 3);
        Tensor y = Tensor.zeros(b, DType.F32, 3);
        try (CudaGraph graph = b.record(() -> work(b, x, y))) {
            assertThat(graph.title()).isEqualTo("graph of 4 steps");
            assertThat(y.toDoubleArray()).containsOnly(0);
            graph.replay();
            assertThat(y.toDoubleArray()).containsExactly(2, 4, 6);
            b.write(x, MemorySegment.ofArray(new float[] {10, 20, 30}));
            graph.replay();
            graph.replay();
            assertThat(y.toDoubleArray()).containsExactly(42, 84, 126);
        }
    }

    /** What the work made for itself nobody else gets, though its scope is closed, until the record is. */
    @Test
    void memoryOfTheWorkIsReserved() {
        CudaBackend b = fresh();
        long n = 1 << 16;
        Tensor x = Tensor.full(b, DType.F32, 1, n);
        Tensor y = Tensor.zeros(b, DType.F32, n);
        long before = b.memory().bytesInUse();
        CudaGraph graph = b.record(() -> work(b, x, y));
        assertThat(graph.reservedBytes()).isEqualTo(2 * n * Float.BYTES);
        assertThat(b.memory().bytesInUse()).isEqualTo(before + graph.reservedBytes());
        Tensor[] others = new Tensor[4];
        for (int i = 0; i < others.length; i++) {
            others[i] = Tensor.full(b, DType.F32, 5, n);
        }
        graph.replay();
        for (Tensor t : others) {
            assertThat(t.toDoubleArray()).containsOnly(5);
        }
        assertThat(y.toDoubleArray()).containsOnly(2);
        graph.close();
        graph.close();
        assertThat(b.memory().bytesInUse()).isEqualTo(before + others.length * n * Float.BYTES);
        assertThatThrownBy(graph::replay).isInstanceOf(IllegalStateException.class).hasMessageContaining("was closed");
    }

    @Test
    void whatCannotBeRepeatedCannotBeRecorded() {
        CudaBackend b = fresh();
        Tensor x = Tensor.of(b, new float[] {1, 2, 3}, 3);
        long before = b.memory().bytesInUse();
        assertThatThrownBy(() -> b.record(() -> x.toDoubleArray())).isInstanceOf(IllegalStateException.class).hasMessageContaining("Reading");
        assertThatThrownBy(() -> b.record(() -> b.write(x, MemorySegment.ofArray(new float[3]))))
                .isInstanceOf(IllegalStateException.class).hasMessageContaining("Writing");
        assertThatThrownBy(() -> b.record(() -> b.record(() -> { }))).hasMessageContaining("recording already");
        CudaBackend other = CudaDevices.shared();
        Tensor there = Tensor.zeros(other, DType.F32, 3);
        assertThatThrownBy(() -> b.record(() -> other.fill(there, 1))).hasMessageContaining("another device");
        // Nothing is left of them.
        assertThat(b.memory().bytesInUse()).isEqualTo(before);
        assertThat(x.toDoubleArray()).containsExactly(1, 2, 3);
    }

    @Test
    void memoryOfOthersMustOutliveTheRecord() {
        CudaBackend b = fresh();
        Tensor x = Tensor.of(b, new float[] {1, 2, 3}, 3);
        Tensor y = Tensor.zeros(b, DType.F32, 3);
        try (CudaGraph graph = b.record(() -> work(b, x, y))) {
            x.storage().free();
            assertThatThrownBy(graph::replay).isInstanceOf(IllegalStateException.class).hasMessageContaining("Scope.keep");
        }
    }

    @Test
    void otherThreadsGoOnMeanwhile() {
        CudaBackend b = fresh();
        Tensor x = Tensor.of(b, new float[] {1, 2, 3}, 3);
        Tensor y = Tensor.zeros(b, DType.F32, 3);
        work(b, x, y);
        double[][] seen = new double[1][];
        try (CudaGraph graph = b.record(() -> {
            work(b, x, y);
            Thread other = new Thread(() -> {
                Tensor z = Tensor.of(b, new float[] {5}, 1);
                b.map(DOUBLE, new Tensor[] {z}, new Tensor[] {z});
                seen[0] = z.toDoubleArray();
            });
            other.start();
            try {
                other.join();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        })) {
            assertThat(seen[0]).containsExactly(10);
            assertThat(y.toDoubleArray()).containsExactly(2, 4, 6);
            graph.replay();
            assertThat(y.toDoubleArray()).containsExactly(4, 8, 12);
        }
    }

    @Test
    void aRepetitionIsMeasuredAsOne() {
        CudaBackend b = fresh();
        Tensor x = Tensor.of(b, new float[] {1, 2, 3}, 3);
        Tensor y = Tensor.zeros(b, DType.F32, 3);
        try (CudaGraph graph = b.record(() -> work(b, x, y))) {
            b.startProfile();
            graph.replay();
            graph.replay();
            assertThat(b.stopProfile()).extracting(KernelTime::kernel).isEqualTo(List.of(graph.title()));
        }
    }
}
