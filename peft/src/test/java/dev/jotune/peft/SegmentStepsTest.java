package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.AttentionDefinition;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Schedule;
import dev.jotune.models.CausalLm;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.AttentionStep;
import dev.jotune.models.seam.GatedSegment;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.methods.NtkAttention;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Steps that follow an attention's keys, against their formulas in plain loops (catalogue S033, works_when 1 to 4). */
class SegmentStepsTest {
    private static final int ROWS = 2;
    private static final int HEADS = 4;
    private static final int GROUPS = 2;
    private static final int TIME = 3;
    private static final int KEYS = 5;
    private static final int DIM = 4;
    private static final double SCALE = 1 / Math.sqrt(DIM);
    private static final Pass PASS = Pass.inference(List.of());

    private static Var noise(boolean wide, long seed, double std, long... shape) {
        double[] v = new double[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
        // Rounded to F32, so that both types compute the same function.
        Arrays.setAll(v, i -> (float) (std * Philox.normal(seed, 0, i)));
        Backend backend = wide ? Backends.reference() : Backends.cpu();
        return Var.constant(Tensor.of(backend, wide ? DType.F64 : DType.F32, v, shape));
    }

    private static void close(boolean wide, double[] got, double[] want) {
        assertThat(got).hasSameSizeAs(want);
        for (int i = 0; i < got.length; i++) {
            assertThat(Math.abs(got[i] - want[i])).as("%d: %s, want %s", i, got[i], want[i])
                    .isLessThanOrEqualTo((wide ? 1e-10 : 1e-5) * Math.max(1, Math.abs(want[i])));
        }
    }

    private static double dot(double[] a, int i, double[] b, int j) {
        double sum = 0;
        for (int d = 0; d < DIM; d++) {
            sum += a[i * DIM + d] * b[j * DIM + d];
        }
        return sum;
    }

    /** Sums over the keys of one query: the weights' sum, then the weighted values. */
    private static double[] sums(double[] q, int query, double[] k, double[] v, int firstKey, int keys) {
        double[] out = new double[1 + DIM];
        for (int s = firstKey; s < firstKey + keys; s++) {
            double w = Math.exp(SCALE * dot(q, query, k, s));
            out[0] += w;
            for (int d = 0; d < DIM; d++) {
                out[1 + d] += w * v[s * DIM + d];
            }
        }
        return out;
    }

    private static int query(int b, int h, int t) {
        return (b * HEADS + h) * TIME + t;
    }

    private static AttentionSite.Queries queries(Var q) {
        return new AttentionSite.Queries(q, SCALE, 0);
    }

    private static Attention.Result text(Var q, Var k, Var v) {
        return Attention.attend(q, List.of(new Attention.Segment(k, v, Attention.Visible.ALL)), SCALE, 0);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void gatedSegmentIsASoftmaxOfItsOwnTimesTheGate(boolean wide) {
        Var q = noise(wide, 1, 1, ROWS, HEADS, TIME, DIM);
        Var k = noise(wide, 2, 1, ROWS, GROUPS, KEYS, DIM);
        Var v = noise(wide, 3, 1, ROWS, GROUPS, KEYS, DIM);
        Var pk = noise(wide, 4, 1, 1, GROUPS, 3, DIM);
        Var pv = noise(wide, 5, 1, 1, GROUPS, 3, DIM);
        Var gate = noise(wide, 6, 1, 1, HEADS, 1, 1);
        AttentionStep step = new GatedSegment((_, _) -> new Var[] {pk, pv}, pk, gate, false);
        Attention.Result others = text(q, k, v);
        double[] base = others.out().tensor().toDoubleArray();
        double[] want = base.clone();
        double[] g = gate.tensor().toDoubleArray();
        for (int b = 0; b < ROWS; b++) {
            for (int h = 0; h < HEADS; h++) {
                for (int t = 0; t < TIME; t++) {
                    double[] own = sums(q.tensor().toDoubleArray(), query(b, h, t), pk.tensor().toDoubleArray(),
                            pv.tensor().toDoubleArray(), h / (HEADS / GROUPS) * 3, 3);
                    for (int d = 0; d < DIM; d++) {
                        want[query(b, h, t) * DIM + d] += g[h] * own[1 + d] / own[0];
                    }
                }
            }
        }
        Attention.Result got = step.apply(queries(q), others, PASS);
        close(wide, got.out().tensor().toDoubleArray(), want);
        assertThat(got.lse()).isSameAs(others.lse());
        Var closed = Var.constant(Tensor.zeros(gate.backend(), gate.dtype(), gate.shape()));
        assertThat(new GatedSegment((_, _) -> new Var[] {pk, pv}, pk, closed, false).apply(queries(q), others, PASS).out().tensor()
                .toDoubleArray()).isEqualTo(base);
    }

    /** The step of an attached NTK-Attention whose sums are {@code z [H, D, D]} and {@code k [H, D]}. */
    private static AttentionStep ntk(boolean wide, double[] z, double[] k) {
        CausalLm model = TinyModels.GROUPED.make(wide ? Backends.reference() : Backends.cpu(), wide ? DType.F64 : DType.F32);
        AttentionSite site = model.seams().attentions().getFirst();
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        for (AttentionSite s : model.seams().attentions()) {
            tensors.put(Attachment.key(s.path() + ".ntk_z"), Tensor.of(model.backend(), model.computeType(), z, HEADS, DIM, DIM));
            tensors.put(Attachment.key(s.path() + ".ntk_k"), Tensor.of(model.backend(), model.computeType(), k, HEADS, DIM));
        }
        return Adapters.restore(model, "a", NtkAttention.DEFAULTS, tensors).hooks().segments().orElseThrow().step(site).orElseThrow();
    }

    private static double phi(double x) {
        double y = x / Math.pow(DIM, 0.25);
        return y > 0 ? y + 1 : Math.exp(y);
    }

    /** The formula of the paper in plain loops, also where the largest score of a row is 80 or -80. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void ntkAttentionIsThePapersFormulaAtLargeScoresToo(boolean wide) {
        double[] z = noise(wide, 7, 1, HEADS, DIM, DIM).tensor().toDoubleArray();
        double[] kSum = noise(wide, 8, 1, HEADS, DIM).tensor().toDoubleArray();
        Var q = noise(wide, 9, 1, ROWS, HEADS, TIME, DIM);
        Var v = noise(wide, 10, 1, ROWS, GROUPS, KEYS, DIM);
        for (double largest : new double[] {1, 80, -80}) {
            double[] qs = q.tensor().toDoubleArray();
            double[] ks = noise(wide, 11, 1, ROWS, GROUPS, KEYS, DIM).tensor().toDoubleArray();
            // One feature of all queries is 1 and of all keys such that it lifts or sinks every score.
            for (int i = 0; i < qs.length; i += DIM) {
                qs[i] = 1;
            }
            for (int i = 0; i < ks.length; i += DIM) {
                ks[i] = largest / SCALE;
            }
            Var queries = Var.constant(Tensor.of(q.backend(), q.dtype(), qs, q.shape()));
            Var keys = Var.constant(Tensor.of(q.backend(), q.dtype(), ks, ROWS, GROUPS, KEYS, DIM));
            double[] want = new double[qs.length];
            double[] lse = new double[qs.length / DIM];
            for (int i = 0; i < lse.length; i++) {
                int h = i / TIME % HEADS;
                double[] own = sums(qs, i, ks, v.tensor().toDoubleArray(), (i / TIME / HEADS * GROUPS + h / (HEADS / GROUPS)) * KEYS, KEYS);
                for (int c = 0; c < DIM; c++) {
                    own[0] += phi(qs[i * DIM + c]) * Math.abs(kSum[h * DIM + c]);
                    for (int d = 0; d < DIM; d++) {
                        own[1 + d] += phi(qs[i * DIM + c]) * z[(h * DIM + c) * DIM + d];
                    }
                }
                lse[i] = Math.log(own[0]);
                for (int d = 0; d < DIM; d++) {
                    want[i * DIM + d] = own[1 + d] / own[0];
                }
            }
            Attention.Result got = ntk(wide, z, kSum).apply(queries(queries), text(queries, keys, v), PASS);
            close(wide, got.out().tensor().toDoubleArray(), want);
            close(wide, got.lse().tensor().toDoubleArray(), lse);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void withoutSumsNtkAttentionIsTheAttentionNumberForNumber(boolean wide) {
        AttentionStep step = ntk(wide, new double[HEADS * DIM * DIM], new double[HEADS * DIM]);
        Var q = noise(wide, 12, 2, ROWS, HEADS, TIME, DIM);
        Attention.Result others = text(q, noise(wide, 13, 2, ROWS, GROUPS, KEYS, DIM), noise(wide, 14, 1, ROWS, GROUPS, KEYS, DIM));
        Attention.Result got = step.apply(queries(q), others, PASS);
        assertThat(got.out().tensor().toDoubleArray()).isEqualTo(others.out().tensor().toDoubleArray());
        assertThat(got.lse().tensor().toDoubleArray()).isEqualTo(others.lse().tensor().toDoubleArray());
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aQueryThatSeesNothingReadsTheSumsAlone(boolean wide) {
        Var q = noise(wide, 15, 1, ROWS, HEADS, TIME, DIM);
        Var k = noise(wide, 16, 1, ROWS, GROUPS, KEYS, DIM);
        Tensor none = Tensor.of(q.backend(), new boolean[ROWS * KEYS], ROWS, KEYS);
        Attention.Result nothing = Attention.attend(q, List.of(new Attention.Segment(k, k, Attention.Visible.ALL.withKeyMask(none))), SCALE, 0);
        double[] ones = new double[HEADS * DIM];
        Arrays.fill(ones, 1);
        double[] z = new double[HEADS * DIM * DIM];
        Arrays.fill(z, 0.5);
        // Z = k / 2 with all values alike: the prefix says 0.5, whatever is asked.
        double[] got = ntk(wide, z, ones).apply(queries(q), nothing, PASS).out().tensor().toDoubleArray();
        double[] half = new double[got.length];
        Arrays.fill(half, 0.5);
        close(wide, got, half);
        double[] zero = ntk(wide, new double[z.length], new double[ones.length]).apply(queries(q), nothing, PASS).out().tensor().toDoubleArray();
        assertThat(zero).containsOnly(0);
    }

    /** With the exact features of the kernel (1 + q k)^2, sums over 64 prefix tokens are the prefix of 64 tokens. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void sumsUnderExactFeaturesAreThePrefix(boolean wide) {
        int prefix = 64;
        Var q = noise(wide, 17, 1, ROWS, HEADS, TIME, DIM);
        Var v = noise(wide, 19, 1, ROWS, GROUPS, KEYS, DIM);
        Var k = noise(wide, 18, 1, ROWS, GROUPS, KEYS, DIM);
        double[] qs = q.tensor().toDoubleArray();
        double[] pk = noise(wide, 20, 1, prefix, DIM).tensor().toDoubleArray();
        double[] pv = noise(wide, 21, 1, prefix, DIM).tensor().toDoubleArray();
        int features = quadratic(pk, 0).length;
        double[] z = new double[features * DIM];
        double[] kSum = new double[features];
        for (int p = 0; p < prefix; p++) {
            double[] f = quadratic(pk, p);
            for (int i = 0; i < features; i++) {
                kSum[i] += f[i];
                for (int d = 0; d < DIM; d++) {
                    z[i * DIM + d] += f[i] * pv[p * DIM + d];
                }
            }
        }
        int count = qs.length / DIM;
        double[] phi = new double[count * features];
        double[] want = new double[qs.length];
        for (int i = 0; i < count; i++) {
            System.arraycopy(quadratic(qs, i), 0, phi, i * features, features);
            int group = i / TIME / HEADS * GROUPS + i / TIME % HEADS / (HEADS / GROUPS);
            double[] all = sums(qs, i, k.tensor().toDoubleArray(), v.tensor().toDoubleArray(), group * KEYS, KEYS);
            for (int p = 0; p < prefix; p++) {
                double w = Math.pow(1 + dot(qs, i, pk, p), 2);
                all[0] += w;
                for (int d = 0; d < DIM; d++) {
                    all[1 + d] += w * pv[p * DIM + d];
                }
            }
            for (int d = 0; d < DIM; d++) {
                want[i * DIM + d] = all[1 + d] / all[0];
            }
        }
        Var f = Var.constant(Tensor.of(q.backend(), q.dtype(), phi, ROWS, HEADS, TIME, features));
        Var sum = f.matmul(Var.constant(Tensor.of(q.backend(), q.dtype(), z, 1, 1, features, DIM)));
        Var mass = f.matmul(Var.constant(Tensor.of(q.backend(), q.dtype(), kSum, 1, 1, features, 1)));
        close(wide, AttentionDefinition.withSums(text(q, k, v), sum, mass).out().tensor().toDoubleArray(), want);
    }

    /** phi with {@code phi(a) phi(b) = (1 + a b)^2}. */
    private static double[] quadratic(double[] x, int at) {
        double[] f = new double[1 + DIM + DIM * DIM];
        f[0] = 1;
        for (int i = 0; i < DIM; i++) {
            f[1 + i] = Math.sqrt(2) * x[at * DIM + i];
            for (int j = 0; j < DIM; j++) {
                f[1 + DIM + i * DIM + j] = x[at * DIM + i] * x[at * DIM + j];
            }
        }
        return f;
    }

    /** Trained to do what a softmax prefix of 16 random tokens does, on queries that it was not trained on. */
    @ParameterizedTest
    @ValueSource(longs = {100, 200, 300})
    void trainedSumsImitateARandomPrefix(long seed) {
        int many = 64;
        Var k = noise(false, seed, 1, 1, HEADS, KEYS, DIM);
        Var v = noise(false, seed + 1, 1, 1, HEADS, KEYS, DIM);
        Attention.Segment prefix = new Attention.Segment(noise(false, seed + 2, 1, 1, HEADS, 16, DIM), noise(false, seed + 3, 1, 1, HEADS, 16, DIM),
                Attention.Visible.ALL);
        Attention.Segment own = new Attention.Segment(k, v, Attention.Visible.ALL);
        CausalLm model = TinyModels.GROUPED.make(Backends.cpu(), DType.F32);
        Adapter adapter = Adapters.create(model, "a", NtkAttention.DEFAULTS, seed);
        AttentionSite site = model.seams().attentions().getFirst();
        AttentionStep step = adapter.hooks().segments().orElseThrow().step(site).orElseThrow();
        Map<String, Var> trained = new LinkedHashMap<>();
        adapter.trainables().forEach((name, value) -> {
            if (name.contains(site.path())) {
                trained.put(name, value);
            }
        });
        Optimizer optimizer = new AdamW(0).with(Schedule.constant(0.05));
        for (int i = 0; i < 400; i++) {
            Var loss = error(noise(false, seed + 1000 + i, 1, 1, HEADS, many, DIM), own, prefix, step);
            optimizer.step(new LinkedHashMap<>(trained), Gradients.of(loss, List.copyOf(trained.values())));
        }
        Var held = noise(false, seed + 4, 1, 1, HEADS, 4 * many, DIM);
        double with = Recording.off(() -> error(held, own, prefix, step)).item();
        double without = Recording.off(() -> error(held, own, prefix, ntk(false, new double[HEADS * DIM * DIM], new double[HEADS * DIM]))).item();
        assertThat(with).as("mean squared error, %s without", without).isLessThan(without / 5);
    }

    private static Var error(Var q, Attention.Segment own, Attention.Segment prefix, AttentionStep step) {
        Var want = Attention.attend(q, List.of(prefix, own), SCALE, 0).out();
        Attention.Result text = Attention.attend(q, List.of(own), SCALE, 0);
        return step.apply(queries(q), text, PASS).out().sub(want).square().mean();
    }
}
