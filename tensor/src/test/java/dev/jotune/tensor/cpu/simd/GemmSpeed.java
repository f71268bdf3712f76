package dev.jotune.tensor.cpu.simd;

import dev.jotune.tensor.DType;
import java.util.Arrays;
import java.util.Random;
import jdk.incubator.vector.FloatVector;

/** Prints matrix product speeds beside the machine's multiply-add peak, both from the same rounds. */
final class GemmSpeed {
    private static float sink;

    private GemmSpeed() {
    }

    public static void main(String[] args) {
        System.out.println("threads " + Parallel.sharedThreads() + ", lanes " + Mem.L);
        time(512, 1536, 576, DType.F32, true);
        time(512, 1536, 576, DType.F32, true);
        time(512, 576, 1536, DType.F32, true);
        time(512, 3072, 768, DType.F32, true);
        time(512, 3072, 768, DType.F32, false);
        time(512, 768, 3072, DType.BF16, true);
        time(512, 64, 768, DType.F32, true);
        time(2016, 16, 768, DType.F32, true);
        time(2016, 768, 16, DType.F32, true);
        for (int m : new int[] {1, 2, 4, 8, 16, 32, 64}) {
            time(m, 3072, 768, DType.F32, true);
        }
        for (int m : new int[] {1, 4, 8, 16, 32}) {
            time(m, 3072, 768, DType.BF16, true);
        }
        for (int m : new int[] {1, 4, 8, 32, 96, 97}) {
            time(m, 3072, 768, DType.F32, false);
        }
        time(1, 3072, 768, DType.F16, true);
        time(1, 49152, 576, DType.F32, true);
        time(1, 49152, 576, DType.BF16, true);
        System.out.println(sink);
    }

    private static void time(int m, int n, int k, DType type, boolean transposed) {
        Random random = new Random(1);
        Buf a = Buf.random(m * k, random);
        Buf full = Buf.random(n * k, random);
        Buf b = type == DType.F32 ? full : type == DType.BF16 ? full.toBf16() : full.toF16();
        Buf c = Buf.empty(m * n);
        Matrix left = Matrix.f32(a.address(), k);
        Matrix right = transposed ? new Matrix(b.address(), type, 1, k) : new Matrix(b.address(), type, n, 1);
        // Buffers live until the process ends.
        double flops = 2.0 * m * n * k;
        int repeats = (int) Math.max(1, 3e8 / flops);
        long end = System.nanoTime() + 700_000_000L;
        int rounds = 0;
        double[] ratios = new double[2000];
        double[] speeds = new double[2000];
        while (System.nanoTime() < end || rounds < 12) {
            double peak = peak();
            long start = System.nanoTime();
            for (int r = 0; r < repeats; r++) {
                Gemm.run(m, n, k, left, right, c.address(), n, false);
            }
            double speed = flops * repeats / (System.nanoTime() - start);
            speeds[rounds % 2000] = speed;
            ratios[rounds++ % 2000] = speed / peak;
        }
        rounds = Math.min(rounds, 2000);
        Arrays.sort(ratios, 0, rounds);
        Arrays.sort(speeds, 0, rounds);
        System.out.printf("%4d x %4d -> %5d %s %s  median %6.1f best %6.1f GFLOP/s  ratio to 1-thread peak median %.2f"
                + " p90 %.2f%n", m, k, n, type, transposed ? "NT" : "NN", speeds[rounds / 2], speeds[rounds - 1],
                ratios[rounds / 2], ratios[rounds * 9 / 10]);
    }

    /** Speed of independent multiply-adds on this thread now, GFLOP/s. */
    static double peak() {
        long start = System.nanoTime();
        int n = 20_000;
        sink += burst(n);
        return 24.0 * 2 * Mem.L * n / (System.nanoTime() - start);
    }

    private static float burst(int n) {
        FloatVector x = FloatVector.broadcast(Mem.S, 0.999f);
        FloatVector y = FloatVector.broadcast(Mem.S, 1e-3f);
        FloatVector a = x;
        FloatVector b = x;
        FloatVector c = x;
        FloatVector d = x;
        FloatVector e = x;
        FloatVector f = x;
        FloatVector g = x;
        FloatVector h = x;
        // Two units of latency four need eight chains; with no more than that a late start is never made up for.
        FloatVector i0 = x;
        FloatVector j = x;
        FloatVector k = x;
        FloatVector l = x;
        for (int i = 0; i < 2 * n; i++) {
            a = a.fma(x, y);
            b = b.fma(x, y);
            c = c.fma(x, y);
            d = d.fma(x, y);
            e = e.fma(x, y);
            f = f.fma(x, y);
            g = g.fma(x, y);
            h = h.fma(x, y);
            i0 = i0.fma(x, y);
            j = j.fma(x, y);
            k = k.fma(x, y);
            l = l.fma(x, y);
        }
        return a.add(b).add(c).add(d).add(e).add(f).add(g).add(h).add(i0).add(j).add(k).add(l).lane(0);
    }
}
