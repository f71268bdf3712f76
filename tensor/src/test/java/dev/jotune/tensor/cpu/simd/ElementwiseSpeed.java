package dev.jotune.tensor.cpu.simd;

import dev.jotune.tensor.DType;
import java.util.Arrays;
import java.util.Random;

/** Prints elements a second of element-wise and row kernels on 128 x 768 floats (in L2). */
final class ElementwiseSpeed {
    private static final int ROWS = 128;
    private static final int N = 768;
    /** System property only: the one kernel to time. */
    private static final String ONLY = System.getProperty("only");

    private ElementwiseSpeed() {
    }

    public static void main(String[] args) {
        Random random = new Random(1);
        Buf a = Buf.random(ROWS * N, random);
        Buf b = Buf.random(ROWS * N, random);
        Buf c = Buf.empty(ROWS * N);
        Buf m = Buf.zeros(ROWS * N);
        Buf v = Buf.zeros(ROWS * N);
        Buf w = Buf.random(N, random);
        Buf rstd = Buf.zeros(ROWS);
        long x = a.address();
        long y = b.address();
        long z = c.address();
        int n = ROWS * N;
        time("add", () -> Arithmetic.add(x, y, z, n));
        time("mul by number", () -> Arithmetic.mul(x, 2f, z, n));
        time("max", () -> Arithmetic.max(x, y, z, n));
        time("lt", () -> Comparison.lt(x, y, z, n));
        time("exp", () -> Unary.exp(x, z, n));
        time("log", () -> Unary.log(x, z, n));
        time("log1p", () -> Unary.log1p(x, z, n));
        time("tanh", () -> Unary.tanh(x, z, n));
        time("sigmoid", () -> Unary.sigmoid(x, z, n));
        time("erf", () -> Unary.erf(x, z, n));
        time("sin", () -> Unary.sin(x, z, n));
        time("floor", () -> Unary.floor(x, z, n));
        time("sqrt", () -> Unary.sqrt(x, z, n));
        time("sum", () -> Reduce.sum(x, n));
        time("max of all", () -> Reduce.max(x, n));
        time("rms norm", () -> Norm.rms(x, w.address(), z, ROWS, N, 1e-5));
        time("rms norm backward", () -> Norm.rmsBackward(x, w.address(), y, 0, z, 0, ROWS, N, 1e-5));
        time("layer norm", () -> Norm.layer(x, w.address(), w.address(), z, 0, 0, ROWS, N, 1e-5f));
        time("layer norm backward", () -> Norm.layerBackward(x, w.address(), rstd.address(), rstd.address(), y, 0, z,
                0, 0, ROWS, N));
        time("AdamW", () -> AdamW.step(z, y, m.address(), v.address(), n, 1, 1e-3, 0.9, 0.999, 1e-8, 0.01));
        time("rotary halves", () -> Rotary.run(Heads.contiguous(x, 12, ROWS, 64), Heads.contiguous(z, 12, ROWS, 64), 1,
                12, ROWS, 64, 64, false, false, y, y, 0, 32));
        time("rotary neighbours", () -> Rotary.run(Heads.contiguous(x, 12, ROWS, 64),
                Heads.contiguous(z, 12, ROWS, 64), 1, 12, ROWS, 64, 64, true, false, y, y, 0, 32));
        time("F32 to BF16", () -> Convert.run(DType.F32, x, DType.BF16, z, n));
        time("BF16 to F32", () -> Convert.run(DType.BF16, x, DType.F32, z, n));
        time("F32 to F16", () -> Convert.run(DType.F32, x, DType.F16, z, n));
        time("F16 to F32", () -> Convert.run(DType.F16, x, DType.F32, z, n));
    }

    private static void time(String name, Runnable kernel) {
        if (ONLY != null && !ONLY.equals(name)) {
            return;
        }
        double[] speeds = new double[100_000];
        int rounds = 0;
        long end = System.nanoTime() + (ONLY == null ? 1_500_000_000L : 2_500_000_000L);
        while (System.nanoTime() < end && rounds < speeds.length) {
            long start = System.nanoTime();
            kernel.run();
            speeds[rounds++] = (double) ROWS * N / (System.nanoTime() - start);
        }
        Arrays.sort(speeds, 0, rounds);
        System.out.printf("%-20s median %5.2f best %5.2f Gelem/s%n", name, speeds[rounds / 2], speeds[rounds - 1]);
    }
}
