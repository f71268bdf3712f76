package dev.jotune.jmh;

import dev.jotune.jmh.peer.ClBlast;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The product {@code y = x W^T} in F32 of an OpenCL device beside CLBlast's on the same device and numbers, and beside the CPU backend's.
 *
 * <p>{@code 2 rows out in} operations; each call waits for its result. CLBlast was built with parameters tuned for many GPUs, and a
 * default for the rest, to which PoCL belongs; our tiles are measured on the device unless {@code jotune.opencl.tune} is false.
 * Needs libclblast1.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Fork(value = 1, jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class DevicePeerBenchmark {
    private static final int IN = 1024;
    private static final int OUT = 1024;
    private static final double TOLERANCE = 1e-4;

    @Param("opencl:0")
    public String device;

    @Param({"16", "128", "512"})
    public int rows;

    private final Arena arena = Arena.ofShared();
    private final MemorySegment one = arena.allocate(Float.BYTES, Float.BYTES);
    private Product there;
    private Product here;
    private ClBlast.Product peer;

    private record Product(Backend backend, Tensor x, Tensor w, Tensor y) {
        static Product on(Backend b, int rows) {
            Tensor x = Tensor.empty(b, DType.F32, rows, IN);
            Tensor w = Tensor.empty(b, DType.F32, OUT, IN);
            b.normal(x, 1, 0);
            b.normal(w, 2, 0);
            return new Product(b, x, w, Tensor.empty(b, DType.F32, rows, OUT));
        }

        void run() {
            backend.matmul(x, w.transpose(0, 1), y, false);
        }
    }

    @Setup
    public void make() {
        there = Product.on(Backends.get(device), rows);
        here = Product.on(Backends.cpu(), rows);
        ClBlast library = ClBlast.on(there.backend.description()).orElseThrow(() -> new IllegalStateException(
                "There is no libclblast.so.1. Install CLBlast (Debian: libclblast1)."));
        peer = library.product(rows, OUT, IN, here.x.toFloatArray(), here.w.toFloatArray());
        // Fast and wrong does not count.
        there.run();
        here.run();
        peer.run();
        float[] want = here.y.toFloatArray();
        check("ours", there.y.toFloatArray(), want);
        check("CLBlast's", peer.result(), want);
    }

    private static void check(String whose, float[] got, float[] want) {
        double largest = 0;
        double worst = 0;
        for (int i = 0; i < want.length; i++) {
            largest = Math.max(largest, Math.abs(want[i]));
            worst = Math.max(worst, Math.abs(got[i] - want[i]));
        }
        if (!(worst <= TOLERANCE * largest)) {
            throw new IllegalStateException(whose + " product is off by " + worst + " where values reach " + largest
                    + ". Mend it before it is timed.");
        }
    }

    @TearDown
    public void close() {
        arena.close();
    }

    /** Ours on the device. */
    @Benchmark
    public float jotune() {
        there.run();
        there.backend.read(there.y.slice(0, 0, 1).slice(1, 0, 1), one);
        return one.get(ValueLayout.JAVA_FLOAT, 0);
    }

    /** CLBlast's on the device. */
    @Benchmark
    public void clblast() {
        peer.run();
    }

    /** Ours on the CPU, with vectors and all threads. */
    @Benchmark
    public Tensor cpu() {
        here.run();
        return here.y;
    }
}
