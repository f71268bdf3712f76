package dev.jotune.tensor.cpu.simd;

import java.util.Arrays;
import java.util.Random;

/** Prints attention times: batch 4, 12 heads of 64, a shared prefix of 32 keys, causal. */
final class AttentionSpeed {
    private AttentionSpeed() {
    }

    public static void main(String[] args) {
        for (int t : new int[] {128, 128, 512, 1024}) {
            time(4, 12, 12, t, t, 64);
        }
        time(1, 9, 3, 1, 2048, 64);
        time(8, 9, 3, 1, 512, 64);
    }

    private static void time(int b, int h, int g, int t, int s, int d) {
        Random random = new Random(1);
        Buf q = Buf.random(b * h * t * d, random);
        Buf k = Buf.random(b * g * s * d, random);
        Buf v = Buf.random(b * g * s * d, random);
        Buf pk = Buf.random(g * 32 * d, random);
        Buf pv = Buf.random(g * 32 * d, random);
        Buf o = Buf.empty(b * h * t * d);
        Buf dO = Buf.random(b * h * t * d, random);
        Buf dQ = Buf.empty(b * h * t * d);
        Buf lse = Buf.empty(b * h * t);
        Buf[] grads = {Buf.empty(k.size), Buf.empty(v.size), Buf.empty(pk.size), Buf.empty(pv.size)};
        AttentionShape shape = new AttentionShape(b, h, g, t, d, d, 0.125f);
        AttentionSegment[] segments = {
            new AttentionSegment(new Heads(pk.address(), 0, 32L * d, d), new Heads(pv.address(), 0, 32L * d, d), 32),
            new AttentionSegment(Heads.contiguous(k.address(), g, s, d), Heads.contiguous(v.address(), g, s, d), s)
                    .withCausal(s - t, 0)};
        AttentionGradient[] targets = {new AttentionGradient(Heads.contiguous(grads[2].address(), g, 32, d),
                Heads.contiguous(grads[3].address(), g, 32, d), 0),
            new AttentionGradient(Heads.contiguous(grads[0].address(), g, s, d), Heads.contiguous(grads[1].address(), g, s, d), 0)};
        Heads heads = Heads.contiguous(q.address(), h, t, d);
        Heads out = Heads.contiguous(o.address(), h, t, d);
        double pairs = 32.0 * t + (double) t * (s - t) + t * (t + 1) / 2.0;
        double forward = 4.0 * b * h * d * pairs;
        report("forward ", b, t, s, forward, () -> Attention.forward(shape, heads, segments, out, lse.address()));
        report("backward", b, t, s, forward * 2.5, () -> AttentionBackward.run(shape, heads, segments, out,
                lse.address(), Heads.contiguous(dO.address(), h, t, d), 0, Heads.contiguous(dQ.address(), h, t, d),
                targets));
    }

    private static void report(String name, int b, int t, int s, double flops, Runnable run) {
        double[] times = new double[100000];
        double[] ratios = new double[100000];
        int n = 0;
        long end = System.nanoTime() + 1_500_000_000L;
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
        System.out.printf("%s B=%d T=%d S=%d: median %.3f best %.3f ms, %.0f GFLOP/s, median ratio to"
                + " 1-thread peak %.2f%n", name, b, t, s, times[n / 2],
                times[0], flops / times[n / 2] / 1e6,
                ratios[n / 2]);
    }
}
