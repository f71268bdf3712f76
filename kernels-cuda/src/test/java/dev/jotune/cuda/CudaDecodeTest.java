package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.kernels.DecodeKernel;
import dev.jotune.tensor.kernels.DecodeKernel.Layer;
import dev.jotune.tensor.kernels.DecodeKernel.Linear;
import dev.jotune.tensor.kernels.DecodeKernel.LowRank;
import dev.jotune.tensor.kernels.DecodeKernel.Model;
import dev.jotune.tensor.kernels.DecodeKernel.Prefix;
import dev.jotune.tensor.kernels.DecodeKernel.Steps;
import dev.jotune.tensor.kernels.DecodeKernel.Use;
import dev.jotune.tensor.kernels.DecodeKernel.Weight;
import dev.jotune.tensor.quant.Nf4Matrix;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Steps of a recorded decoder beside those of the CPU, in F32: twice as many layers add twice the rounding of one. */
class CudaDecodeTest {
    private static final double TOLERANCE = 2e-4;
    private static final int HIDDEN = 64;
    private static final int VOCABULARY = 40;
    private static final int HEADS = 4;
    private static final int GROUPS = 2;
    private static final int CAPACITY = 200;

    @TempDir
    private Path dir;

    @BeforeAll
    static void deviceIsThere() {
        CudaDevices.info();
    }

    /** The same numbers on any device. */
    private static final class Made {
        private final Backend device;
        private final DType stored;
        private final boolean quantized;
        private long seed;

        Made(Backend device, DType stored, boolean quantized) {
            this.device = device;
            this.stored = stored;
            this.quantized = quantized;
        }

        Tensor noise(double scale, long... shape) {
            Tensor t = Tensor.empty(Backends.cpu(), DType.F32, shape);
            Backends.cpu().normal(t, ++seed, 0);
            double[] values = t.toDoubleArray();
            float[] scaled = new float[values.length];
            for (int i = 0; i < scaled.length; i++) {
                scaled[i] = (float) (scale * values[i]);
            }
            return Tensor.of(Backends.cpu(), scaled, shape);
        }

        Linear linear(long rows, long columns, boolean bias) {
            Tensor w = noise(0.1, rows, columns);
            Weight weight = quantized ? Weight.of(Nf4Matrix.quantize(w.to(device))) : Weight.of(w.to(stored).to(device));
            return new Linear(weight, bias ? Optional.of(noise(0.1, rows).to(device)) : Optional.empty());
        }

        Layer layer(int size, boolean normed, int window) {
            Function<Integer, Optional<Tensor>> norm = n -> normed ? Optional.of(noise(1, n).to(device)) : Optional.empty();
            return new Layer(noise(1, HIDDEN).to(device), linear(HEADS * size, HIDDEN, normed), linear(GROUPS * size, HIDDEN, false),
                    linear(GROUPS * size, HIDDEN, false), norm.apply(size), norm.apply(size), linear(HIDDEN, HEADS * size, false),
                    noise(1, HIDDEN).to(device), linear(96, HIDDEN, false), linear(96, HIDDEN, false), linear(HIDDEN, 96, normed), window);
        }

        Model model(int size, int rotary, boolean normed, int window) {
            Tensor table = noise(1, VOCABULARY, HIDDEN);
            Weight embedding = quantized ? Weight.of(Nf4Matrix.quantize(table.to(device))) : Weight.of(table.to(stored).to(device));
            return new Model(embedding, 1.5, List.of(layer(size, normed, 0), layer(size, normed, window)), noise(1, HIDDEN).to(device),
                    linear(VOCABULARY, HIDDEN, normed), HEADS, GROUPS, size, rotary, 1e-5, 1 / Math.sqrt(size));
        }

        Tensor[] cache(int size) {
            return new Tensor[] {noise(1, 1, GROUPS, CAPACITY, size).to(device), noise(1, 1, GROUPS, CAPACITY, size).to(device)};
        }
    }

    private static float[] angles(int position, int half, boolean sine) {
        float[] out = new float[half];
        for (int j = 0; j < half; j++) {
            out[j] = (float) (sine ? Math.sin(position / (j + 1.0)) : Math.cos(position / (j + 1.0)));
        }
        return out;
    }

    private static void step(Steps steps, int token, int length, int rotary, Tensor[] keys, Tensor[] values, float[] logits) {
        steps.step(new int[] {token}, length, new int[2], angles(length, rotary / 2, false), angles(length, rotary / 2, true), keys, values,
                new float[][] {logits});
    }

    private static void near(float[] got, float[] want, double tolerance, String what, Object... arguments) {
        for (int v = 0; v < want.length; v++) {
            assertThat((double) got[v]).as(what, arguments).isCloseTo(want[v], within(tolerance * (1 + Math.abs(want[v]))));
        }
    }

    private static void compare(DType stored, boolean quantized, int size, int rotary, boolean normed, int window, int... lengths) {
        Backend[] devices = {Backends.cpu(), CudaDevices.shared()};
        float[][][] all = new float[devices.length][lengths.length][VOCABULARY];
        Tensor[][] caches = new Tensor[devices.length][];
        for (int d = 0; d < devices.length; d++) {
            Made made = new Made(devices[d], stored, quantized);
            Model model = made.model(size, rotary, normed, window);
            DecodeKernel kernel = devices[d].kernel(DecodeKernel.class).orElseThrow();
            assertThat(kernel.obstacle(model)).isEmpty();
            Tensor[] keys = made.cache(size);
            Tensor[] values = made.cache(size);
            caches[d] = new Tensor[] {keys[0], keys[1], values[0], values[1]};
            try (Steps steps = kernel.prepare(model, 1)) {
                for (int i = 0; i < lengths.length; i++) {
                    step(steps, (7 * i + 3) % VOCABULARY, lengths[i], rotary, keys, values, all[d][i]);
                }
            }
        }
        for (int i = 0; i < lengths.length; i++) {
            near(all[1][i], all[0][i], TOLERANCE, "step %d at length %d", i, lengths[i]);
        }
        for (int c = 0; c < 4; c++) {
            near(caches[1][c].toFloatArray(), caches[0][c].toFloatArray(), TOLERANCE, "cache %d", c);
        }
    }

    /** The first step runs kernel by kernel, the second is recorded, the others repeat it at lengths that it never saw. */
    @Test
    void recordedStepsServeEveryTokenAndLength() {
        compare(DType.F32, false, 16, 16, false, 0, 0, 1, 2, 3, 70, 198, 199);
    }

    @Test
    void headsMayBeNormalisedPartlyTurnedAndWindowed() {
        compare(DType.BF16, false, 40, 24, true, 5, 3, 4, 5, 6, 120);
    }

    /** The embedding too: its rows are widened before the launch, and scaled within. */
    @Test
    void quantisedWeightsAreReadAsTheyAre() {
        compare(DType.F32, true, 16, 16, false, 0, 5, 6, 7);
    }

    /**
     * Four texts together, two of them behind padding, are on the device what each is alone on the CPU. Row b's text lies behind its padding
     * there and at the beginning of its own cache here.
     */
    @Test
    void textsTogetherAreWhatEachIsAlone() {
        int[] padding = {0, 3, 0, 7};
        int start = 9;
        Made here = new Made(Backends.cpu(), DType.BF16, false);
        Made there = new Made(CudaDevices.shared(), DType.BF16, false);
        Model alone = here.model(16, 16, false, 6);
        Model together = there.model(16, 16, false, 6);
        Tensor[][] ofRows = new Tensor[4][];
        Tensor[] keys = new Tensor[2];
        Tensor[] values = new Tensor[2];
        for (int layer = 0; layer < 2; layer++) {
            keys[layer] = Tensor.zeros(CudaDevices.shared(), DType.F32, 4, GROUPS, CAPACITY, 16);
            values[layer] = Tensor.zeros(CudaDevices.shared(), DType.F32, 4, GROUPS, CAPACITY, 16);
        }
        for (int b = 0; b < 4; b++) {
            ofRows[b] = new Tensor[] {here.cache(16)[0], here.cache(16)[1], here.cache(16)[0], here.cache(16)[1]};
            for (int c = 0; c < 4; c++) {
                Tensor into = (c < 2 ? keys[c] : values[c - 2]).slice(0, b, b + 1).slice(2, padding[b], start);
                into.copyFrom(ofRows[b][c].slice(2, 0, start - padding[b]).to(CudaDevices.shared()));
            }
        }
        float[][] got = new float[4][VOCABULARY];
        float[] want = new float[VOCABULARY];
        try (Steps steps = CudaDevices.shared().kernel(DecodeKernel.class).orElseThrow().prepare(together, 4);
                Steps single = Backends.cpu().kernel(DecodeKernel.class).orElseThrow().prepare(alone, 1)) {
            for (int i = 0; i < 5; i++) {
                int[] tokens = new int[4];
                int[] hidden = new int[8];
                float[] cos = new float[4 * 8];
                float[] sin = new float[4 * 8];
                for (int b = 0; b < 4; b++) {
                    tokens[b] = (11 * b + 5 * i) % VOCABULARY;
                    hidden[2 * b + 1] = padding[b];
                    System.arraycopy(angles(start + i - padding[b], 8, false), 0, cos, 8 * b, 8);
                    System.arraycopy(angles(start + i - padding[b], 8, true), 0, sin, 8 * b, 8);
                }
                steps.step(tokens, start + i, hidden, cos, sin, keys, values, got);
                for (int b = 0; b < 4; b++) {
                    Tensor[] r = ofRows[b];
                    step(single, tokens[b], start + i - padding[b], 16, new Tensor[] {r[0], r[1]}, new Tensor[] {r[2], r[3]}, want);
                    near(got[b], want, TOLERANCE, "step %d of row %d", i, b);
                }
            }
        }
    }

    /** A low-rank term is what merging it into the weight gives. */
    @Test
    void lowRankTermsAreRead() {
        Made made = new Made(CudaDevices.shared(), DType.F32, false);
        Model plain = made.model(16, 16, false, 0);
        List<Layer> adapted = new ArrayList<>();
        List<Layer> merged = new ArrayList<>();
        for (Layer l : plain.layers()) {
            LowRank term = new LowRank(made.noise(0.3, 3, HIDDEN).to(CudaDevices.shared()),
                    made.noise(0.3, (long) HEADS * 16, 3).to(CudaDevices.shared()), 1.75);
            LowRank other = new LowRank(made.noise(0.3, 2, 96).to(CudaDevices.shared()), made.noise(0.3, HIDDEN, 2).to(CudaDevices.shared()), 0.5);
            adapted.add(with(l, l.query(), l.down(), List.of(term, term), List.of(other)));
            merged.add(with(l, merged(l.query(), term, 2), merged(l.down(), other, 1), List.of(), List.of()));
        }
        Tensor[] keys = made.cache(16);
        Tensor[] values = made.cache(16);
        float[][] got = logits(with(plain, adapted), copies(keys), copies(values), 3);
        float[][] want = logits(with(plain, merged), keys, values, 3);
        for (int i = 0; i < 3; i++) {
            near(got[i], want[i], TOLERANCE, "step %d", i);
        }
    }

    private static Layer with(Layer l, Linear query, Linear down, List<LowRank> ofQuery, List<LowRank> ofDown) {
        return new Layer(l.attentionNorm(), new Linear(query.weight(), query.bias(), ofQuery), l.key(), l.value(), l.queryNorm(), l.keyNorm(),
                l.output(), l.mlpNorm(), l.gate(), l.up(), new Linear(down.weight(), down.bias(), ofDown), l.window(), l.prefixes());
    }

    private static Model with(Model m, List<Layer> layers) {
        return new Model(m.embedding(), m.embeddingScale(), layers, m.norm(), m.head(), m.heads(), m.groups(), m.headDim(), m.rotary(), m.eps(),
                m.attentionScale());
    }

    private static Linear merged(Linear l, LowRank term, int times) {
        Tensor sum = l.weight().dense().orElseThrow().copy();
        Tensor scaled = Tensor.empty(sum.backend(), DType.F32, term.down().shape());
        sum.backend().map(Program.of(Expr.input(0).times(times * term.scale())), new Tensor[] {term.down()}, new Tensor[] {scaled});
        sum.backend().matmul(term.up(), scaled, sum, true);
        return new Linear(Weight.of(sum), l.bias());
    }

    private static Tensor[] copies(Tensor[] all) {
        return Arrays.stream(all).map(Tensor::copy).toArray(Tensor[]::new);
    }

    /** So many steps from length 9 on. */
    private static float[][] logits(Model model, Tensor[] keys, Tensor[] values, int count) {
        float[][] out = new float[count][VOCABULARY];
        try (Steps steps = CudaDevices.shared().kernel(DecodeKernel.class).orElseThrow().prepare(model, 1)) {
            for (int i = 0; i < count; i++) {
                step(steps, 2 * i + 1, 9 + i, model.rotary(), keys, values, out[i]);
            }
        }
        return out;
    }

    /** A prefix is keys at the beginning of the cache; the window does not hide it. */
    @Test
    void prefixesAreSeenBesideTheCache() {
        Made made = new Made(CudaDevices.shared(), DType.F32, false);
        Model plain = made.model(16, 0, false, 0);
        Tensor[] keys = made.cache(16);
        Tensor[] values = made.cache(16);
        int n = 5;
        List<Layer> prefixed = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            Layer l = plain.layers().get(i);
            Prefix p = new Prefix(keys[i].slice(2, 0, n).copy(), values[i].slice(2, 0, n).copy());
            prefixed.add(new Layer(l.attentionNorm(), l.query(), l.key(), l.value(), l.queryNorm(), l.keyNorm(), l.output(), l.mlpNorm(), l.gate(),
                    l.up(), l.down(), 0, List.of(p)));
        }
        Tensor[] ownKeys = Arrays.stream(keys).map(t -> moved(t, n)).toArray(Tensor[]::new);
        Tensor[] ownValues = Arrays.stream(values).map(t -> moved(t, n)).toArray(Tensor[]::new);
        float[][] got = new float[3][VOCABULARY];
        float[][] want = new float[3][VOCABULARY];
        DecodeKernel kernel = CudaDevices.shared().kernel(DecodeKernel.class).orElseThrow();
        try (Steps steps = kernel.prepare(with(plain, prefixed), 1); Steps whole = kernel.prepare(plain, 1)) {
            for (int i = 0; i < 3; i++) {
                step(steps, i, 9 + i - n, 0, ownKeys, ownValues, got[i]);
                step(whole, i, 9 + i, 0, keys, values, want[i]);
                near(got[i], want[i], TOLERANCE, "step %d", i);
            }
        }
    }

    /** A cache whose first tokens are those from {@code n} on. */
    private static Tensor moved(Tensor cache, int n) {
        Tensor out = Tensor.zeros(cache.backend(), cache.dtype(), cache.shape());
        out.slice(2, 0, CAPACITY - n).copyFrom(cache.slice(2, n, CAPACITY));
        return out;
    }

    /** Bit for bit: what was recorded is what was done before, whatever the types of weights and cache. */
    @ParameterizedTest
    @CsvSource({"F32, F32, false", "BF16, BF16, false", "F16, F16, false", "F32, BF16, true"})
    void recordedStepsAreTheUnrecordedOnes(DType stored, DType cached, boolean quantized) {
        Made made = new Made(CudaDevices.shared(), stored, quantized);
        Model model = made.model(16, 16, true, 0);
        Tensor[] keys = Arrays.stream(made.cache(16)).map(t -> t.to(cached)).toArray(Tensor[]::new);
        Tensor[] values = Arrays.stream(made.cache(16)).map(t -> t.to(cached)).toArray(Tensor[]::new);
        Tensor[] otherKeys = copies(keys);
        Tensor[] otherValues = copies(values);
        float[] want = new float[VOCABULARY];
        float[] wide = new float[VOCABULARY];
        DecodeKernel kernel = CudaDevices.shared().kernel(DecodeKernel.class).orElseThrow();
        Tensor[] wideKeys = Arrays.stream(keys).map(t -> t.to(DType.F32)).toArray(Tensor[]::new);
        Tensor[] wideValues = Arrays.stream(values).map(t -> t.to(DType.F32)).toArray(Tensor[]::new);
        float[][] recorded = logits(model, keys, values, 4);
        try (Steps inF32 = kernel.prepare(model, 1)) {
            for (int i = 0; i < 4; i++) {
                try (Steps once = kernel.prepare(model, 1)) {
                    step(once, 2 * i + 1, 9 + i, 16, otherKeys, otherValues, want);
                }
                assertThat(recorded[i]).as("step %d", i).isEqualTo(want);
                step(inF32, 2 * i + 1, 9 + i, 16, wideKeys, wideValues, wide);
                // Of 9 to 12 keys the last ones alone are rounded otherwise, to 8 bits.
                near(recorded[i], wide, cached == DType.F32 ? TOLERANCE : 0.03, "step %d with a cache in F32", i);
            }
        }
    }

    @Test
    void aStepAfterTheSecondIsOneLaunchAndMakesNothing() {
        CudaBackend b = CudaDevices.fresh(dir, t -> t);
        Made made = new Made(b, DType.BF16, false);
        Model model = made.model(16, 16, false, 0);
        Tensor[] keys = made.cache(16);
        Tensor[] values = made.cache(16);
        float[] logits = new float[VOCABULARY];
        DecodeKernel kernel = b.kernel(DecodeKernel.class).orElseThrow();
        try (Steps steps = kernel.prepare(model, 1)) {
            step(steps, 1, 0, 16, keys, values, logits);
            step(steps, 1, 1, 16, keys, values, logits);
            long before = b.memory().bytesInUse();
            b.startProfile();
            step(steps, 2, 2, 16, keys, values, logits);
            assertThat(b.stopProfile()).singleElement().satisfies(t -> assertThat(t.kernel()).startsWith("graph of "));
            assertThat(b.memory().bytesInUse()).isEqualTo(before);
            // Who moves the cache at every step, as beams do, pays for no record.
            b.startProfile();
            step(steps, 2, 3, 16, copies(keys), copies(values), logits);
            assertThat(b.stopProfile()).noneSatisfy(t -> assertThat(t.kernel()).startsWith("graph of "));
            assertThatThrownBy(() -> step(steps, VOCABULARY, 3, 16, keys, values, logits)).hasMessageContaining("vocabulary of 40");
            assertThatThrownBy(() -> step(steps, 1, CAPACITY, 16, keys, values, logits)).hasMessageContaining("room for 200 tokens");
            Tensor[] wide = {keys[0].to(DType.F64), keys[1]};
            assertThatThrownBy(() -> step(steps, 1, 0, 16, wide, values, logits)).hasMessageContaining("F32, BF16 or F16");
        }
        try (Steps steps = kernel.prepare(model, 2)) {
            assertThatThrownBy(() -> step(steps, 1, 0, 16, keys, values, logits)).hasMessageContaining("steps of 2 texts were given 1 tokens");
        }
    }

    @Test
    void whatStepsDoNotComputeIsSaid() {
        CudaBackend b = CudaDevices.shared();
        DecodeKernel kernel = b.kernel(DecodeKernel.class).orElseThrow();
        assertThat(kernel.obstacle(new Use(4, true, true, true))).isEmpty();
        assertThat(kernel.obstacle(new Use(70_000, false, false, false)).orElseThrow()).contains("65535 texts");
        Model model = new Made(b, DType.F32, false).model(16, 16, false, 0);
        Model elsewhere = new Made(Backends.cpu(), DType.F32, false).model(16, 16, false, 0);
        assertThat(kernel.obstacle(elsewhere).orElseThrow()).contains("not a dense one of F32, BF16 or F16 on the device");
        Prefix wide = new Prefix(Tensor.zeros(b, DType.F32, 2, GROUPS, 3, 16), Tensor.zeros(b, DType.F32, 2, GROUPS, 3, 16));
        Layer l = model.layers().getFirst();
        Layer rowsOwn = new Layer(l.attentionNorm(), l.query(), l.key(), l.value(), l.queryNorm(), l.keyNorm(), l.output(), l.mlpNorm(), l.gate(),
                l.up(), l.down(), 0, List.of(wide));
        assertThat(kernel.obstacle(with(model, List.of(rowsOwn))).orElseThrow()).contains("the prefix");
        DecodeKernel cpu = Backends.cpu().kernel(DecodeKernel.class).orElseThrow();
        assertThat(cpu.obstacle(new Use(2, false, false, false)).orElseThrow()).contains("one text");
        assertThat(cpu.obstacle(new Use(1, false, true, false)).orElseThrow()).contains("without low-rank terms");
        assertThat(cpu.obstacle(new Use(1, false, false, false))).isEmpty();
    }
}
