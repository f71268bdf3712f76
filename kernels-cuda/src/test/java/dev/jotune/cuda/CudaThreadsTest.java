package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Threads that allocate, write, compile, launch, record, read, free and run out of memory on one device at once. Each checks its own numbers,
 * which no other may touch; the driver made for tests refuses memory that is freed twice or used afterwards and work without a context.
 */
class CudaThreadsTest {
    private static final int THREADS = 6;
    private static final int ROUNDS = 40;
    private static final long LIMIT = 8 << 20;
    /** Each is compiled when a thread first wants it, while the others want it too. */
    private static final List<Program> PROGRAMS = List.of(program(2), program(3), program(5));

    @TempDir
    private Path dir;

    @BeforeAll
    static void deviceIsThere() {
        CudaDevices.info();
    }

    private static Program program(double factor) {
        return Program.of(Expr.input(0).times(factor));
    }

    private static int factor(int program) {
        return new int[] {2, 3, 5}[program];
    }

    @Test
    void threadsUseOneDeviceAtOnce() throws Exception {
        System.setProperty(CudaBackend.LIMIT, Long.toString(LIMIT));
        CudaBackend b = CudaDevices.fresh(dir, text -> text);
        b.finish();
        System.clearProperty(CudaBackend.LIMIT);
        if (!FakeCuda.isReal()) {
            FakeCuda.forget();
        }
        CyclicBarrier together = new CyclicBarrier(THREADS);
        try (ExecutorService threads = Executors.newFixedThreadPool(THREADS)) {
            List<Future<Integer>> all = new ArrayList<>();
            for (int t = 0; t < THREADS; t++) {
                int thread = t;
                all.add(threads.submit(() -> {
                    together.await(1, TimeUnit.MINUTES);
                    return work(b, thread);
                }));
            }
            int refused = 0;
            for (Future<Integer> f : all) {
                refused += f.get(10, TimeUnit.MINUTES);
            }
            // Each asks in every fourth round for more than there is, and more may be refused for what others hold.
            assertThat(refused).isGreaterThanOrEqualTo(THREADS * ROUNDS / 4);
        }
        assertThat(b.memory().bytesInUse()).isZero();
        assertThat(b.modules().builds()).as("each kernel is compiled once").isEqualTo(PROGRAMS.size());
        b.memory().trim();
        assertThat(b.memory().idleBytes()).isZero();
        b.finish();
        if (!FakeCuda.isReal()) {
            assertThat(FakeCuda.problem()).isEmpty();
        }
    }

    /** How often memory was refused. */
    private static int work(CudaBackend b, int thread) {
        Random random = new Random(thread);
        int refused = 0;
        for (int round = 0; round < ROUNDS; round++) {
            try (Scope _ = Scope.open()) {
                if (round % 4 == 3) {
                    Tensor.empty(b, DType.U8, LIMIT + 1);
                }
                int program = random.nextInt(PROGRAMS.size());
                int n = 1 + random.nextInt(60_000);
                float[] numbers = new float[n];
                for (int i = 0; i < n; i++) {
                    numbers[i] = 1000 * thread + i % 97;
                }
                Tensor x = Tensor.empty(b, DType.F32, n);
                Tensor y = Tensor.empty(b, DType.F32, n);
                b.write(x, MemorySegment.ofArray(numbers));
                if (round % 5 == 2) {
                    try (CudaGraph graph = b.record(() -> b.map(PROGRAMS.get(program), new Tensor[] {x}, new Tensor[] {y}))) {
                        graph.replay();
                        b.fill(x, 0);
                        check(y, numbers, factor(program));
                    }
                } else {
                    b.map(PROGRAMS.get(program), new Tensor[] {x}, new Tensor[] {y});
                    check(y, numbers, factor(program));
                }
                if (round % 7 == 6) {
                    b.memory().trim();
                }
            } catch (OutOfMemoryError e) {
                assertThat(e).hasMessageContaining("cuda:9 has no room").hasMessageContaining("bytes are missing");
                refused++;
            }
        }
        return refused;
    }

    private static void check(Tensor y, float[] numbers, int factor) {
        float[] got = new float[numbers.length];
        y.backend().read(y, MemorySegment.ofArray(got));
        for (int i = 0; i < got.length; i++) {
            if (got[i] != factor * numbers[i]) {
                throw new AssertionError("number " + i + " is " + got[i] + ", not " + factor + " * " + numbers[i]);
            }
        }
    }
}
