package dev.jotune.tensor.cpu.simd;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Attention over segments, forward and backward: random inputs of one shape against the definition in double precision. */
final class AttentionCase {
    private final Random random;
    final int b;
    final int h;
    final int g;
    final int t;
    final int d;
    final int dv;
    float scale = 0.3f;
    boolean wanted = true;
    /** Whether gradients of keys and values lie {@code [B, S, G, D]} rather than {@code [B, G, S, D]}. */
    boolean headsInside;
    final List<AttentionSegment> segments = new ArrayList<>();
    final List<Buf> ks = new ArrayList<>();
    final List<Buf> vs = new ArrayList<>();
    final List<Buf> biases = new ArrayList<>();

    AttentionCase(Random random, int b, int h, int g, int t, int d, int dv) {
        this.random = random;
        this.b = b;
        this.h = h;
        this.g = g;
        this.t = t;
        this.d = d;
        this.dv = dv;
    }

    AttentionCase segment(int length, boolean shared) {
        int copies = shared ? 1 : b;
        // Keys lie [B, S, G, D] with a gap after each row, values [B, G, S, Dv].
        Buf k = Buf.random(copies * length * g * (d + 3), random);
        Buf v = Buf.random(copies * length * g * dv, random);
        ks.add(k);
        vs.add(v);
        biases.add(Buf.zeros(1));
        segments.add(new AttentionSegment(
                new Heads(k.address(), shared ? 0 : (long) length * g * (d + 3), d + 3, (long) g * (d + 3)),
                new Heads(v.address(), shared ? 0 : (long) g * length * dv, (long) length * dv, dv), length));
        return this;
    }

    private AttentionCase last(AttentionSegment segment) {
        segments.set(segments.size() - 1, segment);
        return this;
    }

    AttentionCase causal(long offset, int window) {
        return last(segments.getLast().withCausal(offset, window));
    }

    AttentionCase visible(boolean perBatch) {
        int length = segments.getLast().length();
        MemorySegment bytes = Arena.global().allocate((long) b * length);
        for (int i = 0; i < b * length; i++) {
            bytes.set(ValueLayout.JAVA_BYTE, i, (byte) (random.nextInt(3) == 0 ? 0 : 7));
        }
        return last(segments.getLast().withVisible(bytes.address(), perBatch ? length : 0));
    }

    AttentionCase softcap(float c) {
        return last(segments.getLast().withSoftcap(c));
    }

    AttentionCase bias(boolean perBatch, boolean perHead, boolean perQuery, boolean perKey) {
        int s = segments.getLast().length();
        int[] sizes = {perBatch ? b : 1, perHead ? h : 1, perQuery ? t : 1, perKey ? s : 1};
        Buf bias = Buf.random(sizes[0] * sizes[1] * sizes[2] * sizes[3], random);
        biases.set(biases.size() - 1, bias);
        return last(segments.getLast().withBias(bias.address(),
                perBatch ? (long) sizes[1] * sizes[2] * sizes[3] : 0,
                perHead ? (long) sizes[2] * sizes[3] : 0, perQuery ? sizes[3] : 0, perKey ? 1 : 0));
    }

    void check() {
        AttentionShape shape = new AttentionShape(b, h, g, t, d, dv, scale);
        // Queries and their gradient lie [B, T, H, D], outputs [B, H, T, Dv + 1].
        Buf q = Buf.random(b * t * h * d, random);
        Heads qHeads = new Heads(q.address(), (long) t * h * d, d, (long) h * d);
        Buf o = Buf.empty(b * h * t * (dv + 1));
        Heads oHeads = new Heads(o.address(), (long) h * t * (dv + 1), (long) t * (dv + 1), dv + 1);
        Buf lse = Buf.empty(b * h * t);
        AttentionSegment[] all = segments.toArray(AttentionSegment[]::new);
        Attention.forward(shape, qHeads, all, oHeads, lse.address());
        Buf dO = Buf.random(b * h * t * dv, random);
        Buf dLse = Buf.random(b * h * t, random);
        Buf dQ = Buf.empty(b * t * h * d);
        Heads dQHeads = wanted ? new Heads(dQ.address(), (long) t * h * d, d, (long) h * d) : new Heads(0, 0, 0, 0);
        Buf[] dks = new Buf[all.length];
        Buf[] dvs = new Buf[all.length];
        Buf[] dBiases = new Buf[all.length];
        AttentionGradient[] grads = new AttentionGradient[all.length];
        for (int i = 0; i < all.length; i++) {
            int copies = all[i].k().batchStride() == 0 ? 1 : b;
            dks[i] = Buf.empty(copies * g * all[i].length() * d);
            dvs[i] = Buf.empty(copies * g * all[i].length() * dv);
            dBiases[i] = Buf.zeros(biases.get(i).size);
            grads[i] = new AttentionGradient(gradient(dks[i].address(), all[i].length(), d),
                    gradient(wanted ? dvs[i].address() : 0, all[i].length(), dv),
                    all[i].bias() == 0 ? 0 : dBiases[i].address());
        }
        AttentionBackward.run(shape, qHeads, all, oHeads, lse.address(),
                Heads.contiguous(dO.address(), h, t, dv), dLse.address(), dQHeads, grads);

        double[][] eK = new double[all.length][];
        double[][] eV = new double[all.length][];
        double[][] eBias = new double[all.length][];
        for (int i = 0; i < all.length; i++) {
            eK[i] = new double[dks[i].size];
            eV[i] = new double[dvs[i].size];
            eBias[i] = new double[dBiases[i].size];
        }
        double[] eQ = new double[dQ.size];
        for (int bi = 0; bi < b; bi++) {
            for (int hi = 0; hi < h; hi++) {
                for (int ti = 0; ti < t; ti++) {
                    row(all, q, o, lse, dO, dLse, bi, hi, ti, eQ, eK, eV, eBias);
                }
            }
        }
        if (wanted) {
            compare(dQ, eQ, "dQ");
        } else {
            assertThat(dQ.untouched(0)).isTrue();
        }
        for (int i = 0; i < all.length; i++) {
            compare(dks[i], eK[i], "dK " + i);
            if (wanted) {
                compare(dvs[i], eV[i], "dV " + i);
            } else {
                assertThat(dvs[i].untouched(0)).isTrue();
            }
            if (all[i].bias() != 0) {
                compare(dBiases[i], eBias[i], "dBias " + i);
            }
        }
        o.assertCanaries();
        lse.assertCanaries();
    }

    /** The bits of the outputs and of the last segment's gradients, for inputs that are always the same. */
    List<Integer> bits() {
        Random same = new Random(5);
        Buf q = Buf.random(b * t * h * d, same);
        Buf dO = Buf.random(b * h * t * dv, same);
        Buf o = Buf.empty(b * h * t * dv);
        Buf lse = Buf.empty(b * h * t);
        AttentionShape shape = new AttentionShape(b, h, g, t, d, dv, scale);
        AttentionSegment[] all = segments.toArray(AttentionSegment[]::new);
        Heads queries = Heads.contiguous(q.address(), h, t, d);
        Heads outputs = Heads.contiguous(o.address(), h, t, dv);
        Attention.forward(shape, queries, all, outputs, lse.address());
        Buf[] grads = new Buf[2 * all.length];
        AttentionGradient[] targets = new AttentionGradient[all.length];
        for (int i = 0; i < all.length; i++) {
            grads[2 * i] = Buf.empty(b * g * all[i].length() * d);
            grads[2 * i + 1] = Buf.empty(b * g * all[i].length() * dv);
            targets[i] = new AttentionGradient(gradient(grads[2 * i].address(), all[i].length(), d),
                    gradient(grads[2 * i + 1].address(), all[i].length(), dv), 0);
        }
        Buf dQ = Buf.empty(q.size);
        AttentionBackward.run(shape, queries, all, outputs, lse.address(), Heads.contiguous(dO.address(), h, t, dv), 0,
                Heads.contiguous(dQ.address(), h, t, d), targets);
        List<Integer> bits = new ArrayList<>();
        for (Buf buf : List.of(o, dQ, grads[0], grads[grads.length - 1])) {
            for (int i = 0; i < buf.size; i++) {
                bits.add(Float.floatToRawIntBits(buf.get(i)));
            }
        }
        return bits;
    }

    private void row(AttentionSegment[] all, Buf q, Buf o, Buf lse, Buf dO, Buf dLse, int bi, int hi, int ti,
            double[] eQ, double[][] eK, double[][] eV, double[][] eBias) {
        int gi = hi / (h / g);
        int qRow = ((bi * t + ti) * h + hi) * d;
        int oRow = ((bi * h + hi) * t + ti) * (dv + 1);
        int row = (bi * h + hi) * t + ti;
        double[][] scores = new double[all.length][];
        double[][] slopes = new double[all.length][];
        double max = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < all.length; i++) {
            AttentionSegment seg = all[i];
            scores[i] = new double[seg.length()];
            slopes[i] = new double[seg.length()];
            for (int s = 0; s < seg.length(); s++) {
                double dot = 0;
                for (int x = 0; x < d; x++) {
                    dot += (double) q.get(qRow + x) * ks.get(i).get(kIndex(seg, bi, gi, s) + x);
                }
                dot *= scale;
                slopes[i][s] = 1;
                if (seg.softcap() != 0) {
                    double tanh = Math.tanh(dot / seg.softcap());
                    slopes[i][s] = 1 - tanh * tanh;
                    dot = seg.softcap() * tanh;
                }
                if (seg.bias() != 0) {
                    dot += biases.get(i).get(seg.bias(bi, hi, ti, s) / 4);
                }
                boolean seen = !seg.causal() || s <= ti + seg.offset()
                        && (seg.window() == 0 || s > ti + seg.offset() - seg.window());
                seen &= seg.visible() == 0 || Mem.i8(seg.visible() + bi * seg.visibleBatch() + s) != 0;
                scores[i][s] = seen ? dot : Double.NEGATIVE_INFINITY;
                max = Math.max(max, scores[i][s]);
            }
        }
        double sum = 0;
        double[] out = new double[dv];
        for (int i = 0; i < all.length; i++) {
            for (int s = 0; s < all[i].length(); s++) {
                double p = max == Double.NEGATIVE_INFINITY ? 0 : Math.exp(scores[i][s] - max);
                scores[i][s] = p;
                sum += p;
                for (int x = 0; x < dv; x++) {
                    out[x] += p * vs.get(i).get(vIndex(all[i], bi, gi, s) + x);
                }
            }
        }
        double delta = -dLse.get(row);
        for (int x = 0; x < dv; x++) {
            out[x] = sum == 0 ? 0 : out[x] / sum;
            assertClose(o.get(oRow + x), out[x], 3e-6 * Math.max(1, scale), "o");
            delta += out[x] * dO.get((long) row * dv + x);
        }
        assertThat(o.untouched(oRow + dv)).isTrue();
        if (sum == 0) {
            assertThat(lse.get(row)).isEqualTo(Float.NEGATIVE_INFINITY);
            return;
        }
        assertClose(lse.get(row), max + Math.log(sum), 1e-5 * Math.max(1, scale), "lse");
        for (int i = 0; i < all.length; i++) {
            AttentionSegment seg = all[i];
            int copies = seg.k().batchStride() == 0 ? 0 : bi;
            for (int s = 0; s < seg.length(); s++) {
                double p = scores[i][s] / sum;
                double dp = 0;
                int target = headsInside ? (copies * seg.length() + s) * g + gi : (copies * g + gi) * seg.length() + s;
                for (int x = 0; x < dv; x++) {
                    double grad = dO.get((long) row * dv + x);
                    dp += grad * vs.get(i).get(vIndex(seg, bi, gi, s) + x);
                    eV[i][target * dv + x] += p * grad;
                }
                double ds = p * (dp - delta);
                if (seg.bias() != 0) {
                    eBias[i][(int) seg.bias(bi, hi, ti, s) / 4] += ds;
                }
                ds *= slopes[i][s] * scale;
                for (int x = 0; x < d; x++) {
                    eQ[qRow + x] += ds * ks.get(i).get(kIndex(seg, bi, gi, s) + x);
                    eK[i][target * d + x] += ds * q.get(qRow + x);
                }
            }
        }
    }

    private Heads gradient(long address, int length, int size) {
        return headsInside ? new Heads(address, (long) length * g * size, size, (long) g * size)
                : Heads.contiguous(address, g, length, size);
    }

    private long kIndex(AttentionSegment seg, int bi, int gi, int s) {
        return bi * seg.k().batchStride() + gi * seg.k().headStride() + s * seg.k().positionStride();
    }

    private long vIndex(AttentionSegment seg, int bi, int gi, int s) {
        return bi * seg.v().batchStride() + gi * seg.v().headStride() + s * seg.v().positionStride();
    }

    private void compare(Buf actual, double[] expected, String name) {
        for (int i = 0; i < expected.length; i++) {
            assertClose(actual.get(i), expected[i], 3e-5 * Math.max(1, scale * scale), name + "[" + i + "]");
        }
        actual.assertCanaries();
    }

    private void assertClose(double actual, double expected, double tolerance, String name) {
        if (!(Math.abs(actual - expected) <= tolerance * Math.max(1, Math.abs(expected)))) {
            throw new AssertionError("%s is %s, expected %s (B=%d H=%d G=%d T=%d D=%d Dv=%d, %s)".formatted(name,
                    actual, expected, b, h, g, t, d, dv, segments));
        }
    }
}
