package dev.jotune.tensor.cpu.simd;

import dev.jotune.tensor.cpu.simd.ScanShape.Operand;
import java.util.Arrays;
import java.util.Random;

/** Prints times of the selective scan: a layer of Mamba-130M over a text of 1024 tokens, and one token of decoding. */
final class ScanSpeed {
    /** Of one channel, state and step: 20 of the exponential, 6 around it; backward, once more and 18 for the gradients. */
    private static final double FORWARD = 26;
    private static final double BACKWARD = 44;

    private ScanSpeed() {
    }

    public static void main(String[] args) {
        time(1, 1024, 1536, 16);
        time(1, 1024, 1536, 16);
        time(4, 256, 1536, 16);
        time(1, 1, 1536, 16);
    }

    private static void time(int b, int t, int e, int n) {
        Random random = new Random(1);
        ScanShape shape = new ScanShape(b, t, e, n, 32);
        Buf x = Buf.random(b * t * e, random);
        Buf dt = Buf.random(b * t * e, random);
        Buf a = Buf.random(e * n, random);
        for (int i = 0; i < dt.size; i++) {
            dt.set(i, 0.01f + 0.1f * Math.abs(dt.get(i)));
        }
        for (int i = 0; i < a.size; i++) {
            a.set(i, -1 - 15 * Math.abs(a.get(i)));
        }
        Buf in = Buf.random(b * t * n, random);
        Buf out = Buf.random(b * t * n, random);
        Buf d = Buf.random(e, random);
        Buf state = Buf.random(b * e * n, random);
        Buf y = Buf.empty(b * t * e);
        Buf last = Buf.empty(b * e * n);
        Buf kept = Buf.empty(b * shape.chunks() * e * n);
        Buf dy = Buf.random(b * t * e, random);
        Buf[] g = {Buf.empty(x.size), Buf.empty(dt.size), Buf.empty(a.size), Buf.empty(in.size), Buf.empty(out.size), Buf.empty(e),
            Buf.empty(state.size)};
        Operand ox = wide(x, t, e);
        Operand odt = wide(dt, t, e);
        Operand ob = wide(in, t, n);
        Operand oc = wide(out, t, n);
        double work = (double) b * t * e * n;
        report("forward ", shape, work * FORWARD, () -> Scan.forward(shape, ox, odt, a.address(), ob, oc, d.address(), state.address(),
                y.address(), last.address(), kept.address()));
        report("backward", shape, work * BACKWARD, () -> ScanBackward.run(shape, ox, odt, a.address(), ob, oc, d.address(),
                kept.address(), wide(dy, t, e), last.address(), new ScanBackward.Targets(g[0].address(), g[1].address(), g[2].address(),
                        g[3].address(), g[4].address(), g[5].address(), g[6].address())));
    }

    private static Operand wide(Buf buf, int time, int columns) {
        return new Operand(buf.address(), (long) time * columns, columns, 1);
    }

    private static void report(String name, ScanShape s, double flops, Runnable run) {
        double[] times = new double[100000];
        double[] ratios = new double[100000];
        int n = 0;
        long end = System.nanoTime() + 2_000_000_000L;
        while (System.nanoTime() < end && n < times.length) {
            double peak = GemmSpeed.peak();
            long start = System.nanoTime();
            run.run();
            times[n] = (System.nanoTime() - start) / 1e6;
            ratios[n] = flops / times[n] / 1e6 / peak;
            n++;
        }
        Arrays.sort(times, 0, n);
        Arrays.sort(ratios, 0, n);
        System.out.printf("%s B=%d T=%d E=%d N=%d: median %.3f best %.3f ms, median ratio to 1-thread peak %.2f%n", name, s.batch(),
                s.time(), s.channels(), s.states(), times[n / 2], times[0], ratios[n / 2]);
    }
}
