package dev.jotune.models.mamba;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.Config;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.ModelException;
import dev.jotune.models.Models;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.SegmentSource;
import dev.jotune.models.seam.Tap;
import dev.jotune.models.seam.VirtualTokens;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What holds of any Mamba, on the tiny one of the golden set. */
@Tag("golden")
class MambaTest {
    private static final int TIME = 7;

    private final Golden.Case golden = Golden.cases("models", "mamba").findFirst().orElseThrow();
    private final Mamba model = Models.load(golden.folder(), Backends.reference(), DType.F64).as(Mamba.class);

    private Tensor ids(int row, int from, int to) {
        long[] ids = new long[to - from];
        Arrays.setAll(ids, i -> Philox.nextInt(3, row, from + i, model.vocabularySize()));
        return Tensor.of(model.backend(), ids, 1, ids.length);
    }

    private Tensor noise(long stream, double scale, long... shape) {
        double[] v = new double[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
        Arrays.setAll(v, i -> scale * Philox.normal(4, stream, i));
        return Tensor.of(model.backend(), DType.F64, v, shape);
    }

    private double[] states(Tensor ids, Pass pass) {
        return Recording.off(() -> model.forward(DecoderInput.of(ids), pass, Optional.empty()).text()).tensor().toDoubleArray();
    }

    private double[] states(DecoderInput in, MambaCache cache) {
        return model.forward(in, model.seams().inference(), Optional.of(cache)).text().tensor().toDoubleArray();
    }

    private static void close(double[] got, double[] want) {
        assertThat(got).hasSameSizeAs(want);
        for (int i = 0; i < got.length; i++) {
            assertThat(got[i]).as("[%d]", i).isCloseTo(want[i], within(1e-9 * Math.max(1, Math.abs(want[i]))));
        }
    }

    /** Rows {@code from} to {@code to} of a text's states. */
    private double[] part(double[] states, int from, int to) {
        return Arrays.copyOfRange(states, from * model.hiddenSize(), to * model.hiddenSize());
    }

    /** Two texts as one batch: the shorter one padded at its left. */
    private DecoderInput leftPadded(int fromA, int toA, int fromB, int toB) {
        int width = Math.max(toA - fromA, toB - fromB);
        long[] ids = new long[2 * width];
        boolean[] real = new boolean[2 * width];
        int[][] spans = {{fromA, toA}, {fromB, toB}};
        for (int row = 0; row < 2; row++) {
            long[] text = ids(row, spans[row][0], spans[row][1]).toLongArray();
            System.arraycopy(text, 0, ids, (row + 1) * width - text.length, text.length);
            Arrays.fill(real, (row + 1) * width - text.length, (row + 1) * width, true);
        }
        return DecoderInput.of(Tensor.of(model.backend(), ids, 2, width), Tensor.of(model.backend(), real, 2, width));
    }

    @Test
    void aTextInPiecesThroughTheCacheIsTheTextInOne() {
        double[] whole = states(ids(0, 0, TIME), model.seams().inference());
        for (int[] cuts : new int[][] {{1, 2, 3, 4, 5, 6, 7}, {3, 4, 7}, {2, 7}, {7}}) {
            MambaCache cache = model.newCache(1, 0);
            int from = 0;
            for (int to : cuts) {
                close(states(DecoderInput.of(ids(0, from, to)), cache), part(whole, from, to));
                from = to;
            }
            assertThat(cache.length()).isEqualTo(TIME);
            cache.free();
        }
    }

    @Test
    void rowsOfUnequalLengthGetWhatTheyWouldGetAloneInEveryPass() {
        double[] a = states(ids(0, 0, TIME), model.seams().inference());
        double[] b = states(ids(1, 0, TIME), model.seams().inference());
        MambaCache cache = model.newCache(2, 0);
        double[] first = states(leftPadded(0, 4, 0, 1), cache);
        close(part(first, 0, 4), part(a, 0, 4));
        close(part(first, 7, 8), part(b, 0, 1));
        // Padding now lies behind cached tokens, which the convolution still has in view.
        double[] second = states(leftPadded(4, 5, 1, 4), cache);
        close(part(second, 2, 3), part(a, 4, 5));
        close(part(second, 3, 6), part(b, 1, 4));
        double[] third = states(leftPadded(5, 7, 4, 6), cache);
        close(third, concat(part(a, 5, 7), part(b, 4, 6)));
    }

    private static double[] concat(double[] x, double[] y) {
        double[] out = Arrays.copyOf(x, x.length + y.length);
        System.arraycopy(y, 0, out, x.length, y.length);
        return out;
    }

    @Test
    void paddingBetweenVirtualTokensAndTextIsNotSeen() {
        Var soft = Var.constant(noise(1, 0.5, 3, model.hiddenSize()));
        model.seams().attach(new Hooks("soft", Map.of(), Map.of(), Optional.empty(), Map.of("embed", new VirtualTokens() {
            @Override
            public long count() {
                return 3;
            }

            @Override
            public Var rows(Text text, Pass pass) {
                return soft;
            }
        }), Map.of()));
        double[] alone = states(ids(1, 0, 2), model.seams().inference());
        double[] padded = model.forward(leftPadded(0, 5, 0, 2), model.seams().inference(), Optional.empty()).text().tensor().toDoubleArray();
        close(part(padded, 8, 10), alone);
        // Beside a row without virtual tokens, which then begins with padding.
        double[] bare = states(ids(0, 0, 5), Pass.inference(List.of()));
        Tensor both = Tensor.of(model.backend(), concatIds(ids(0, 0, 5), ids(1, 0, 5)), 2, 5);
        close(part(states(both, model.seams().rows(List.of("", "soft"))), 0, 5), bare);
    }

    private static long[] concatIds(Tensor x, Tensor y) {
        long[] out = Arrays.copyOf(x.toLongArray(), (int) (x.numel() + y.numel()));
        System.arraycopy(y.toLongArray(), 0, out, (int) x.numel(), (int) y.numel());
        return out;
    }

    @Test
    void theCacheGoesBackAsFarAsItCan() {
        double[] whole = states(ids(0, 0, TIME), model.seams().inference());
        MambaCache cache = model.newCache(1, 0);
        states(DecoderInput.of(ids(0, 0, 3)), cache);
        states(DecoderInput.of(ids(1, 3, 5)), cache);
        cache.truncate(5);
        assertThatThrownBy(() -> cache.truncate(4)).isInstanceOf(UnsupportedOperationException.class).hasMessageContaining("before it (3 tokens)");
        assertThatThrownBy(() -> cache.truncate(6)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("5 tokens to 6");
        cache.truncate(3);
        close(states(DecoderInput.of(ids(0, 3, TIME)), cache), part(whole, 3, TIME));
        cache.truncate(0);
        close(states(DecoderInput.of(ids(0, 0, TIME)), cache), whole);
        cache.truncate(0);
        assertThat(cache.length()).isZero();
        assertThatThrownBy(() -> cache.truncate(1)).isInstanceOf(IllegalArgumentException.class);
    }

    /** A session rewinds as any other does: what the cache cannot take back is read again. */
    @Test
    void aSessionRewindsToWhereverItIsAsked() {
        CausalLanguageModel language = new CausalLanguageModel(model, model.seams()::inference);
        int[] text = Arrays.stream(ids(0, 0, TIME).toLongArray()).mapToInt(i -> (int) i).toArray();
        float[] want = new float[model.vocabularySize()];
        try (LanguageModel.Session fresh = language.open()) {
            fresh.feed(text);
            fresh.logits(want);
        }
        float[] got = new float[want.length];
        try (LanguageModel.Session session = language.open()) {
            session.feed(text[0], text[1], text[2], 5, 6);
            session.logits(got);
            session.feed(7);
            session.logits(got);
            for (int length : new int[] {5, 3, 1, 0}) {
                session.rewind(length);
                int common = Math.min(length, 3);
                session.rewind(common);
                session.feed(Arrays.copyOfRange(text, common, TIME));
                session.logits(got);
                for (int i = 0; i < got.length; i++) {
                    assertThat(got[i]).as("after rewinding to %d", length).isCloseTo(want[i], within(1e-5f));
                }
            }
        }
    }

    @Test
    void reorderedRowsGoOnWhereTheyWere() {
        double[] a = states(ids(0, 0, TIME), model.seams().inference());
        double[] b = states(ids(1, 0, TIME), model.seams().inference());
        MambaCache cache = model.newCache(2, 0);
        states(leftPadded(0, 4, 0, 4), cache);
        cache.reorder(new int[] {1, 0, 1});
        assertThat(cache.batch()).isEqualTo(3);
        Tensor next = Tensor.of(model.backend(), concatIds(ids(1, 4, 5), Tensor.of(model.backend(),
                concatIds(ids(0, 4, 5), ids(1, 4, 5)), 2)), 3, 1);
        close(states(DecoderInput.of(next), cache), concat(concat(part(b, 4, 5), part(a, 4, 5)), part(b, 4, 5)));
    }

    @Test
    void aPassThatFailsLeavesTheCacheAsItWas() {
        double[] whole = states(ids(0, 0, TIME), model.seams().inference());
        MambaCache cache = model.newCache(1, 0);
        states(DecoderInput.of(ids(0, 0, 3)), cache);
        for (String place : new String[] {"final", "layers.1.ssm.gated"}) {
            model.seams().attach(Hooks.ofTaps("broken", Map.of(place, (_, _, _) -> {
                throw new IllegalStateException("broken");
            })));
            assertThatThrownBy(() -> states(DecoderInput.of(ids(0, 3, 4)), cache)).hasMessage("broken");
            assertThat(cache.length()).isEqualTo(3);
            model.seams().detach("broken");
        }
        close(states(DecoderInput.of(ids(0, 3, TIME)), cache), part(whole, 3, TIME));
    }

    /** State-offset tuning, arXiv 2503.03499: adding S to every state as it is read is adding C S to the output. */
    @Test
    void anOffsetIsReadFromEveryState() {
        MambaConfig c = model.config();
        Tensor offset = noise(2, 0.3, c.intermediateSize(), c.stateSize());
        Map<String, Tensor> seen = new HashMap<>();
        Tap keep = (name, x, _) -> {
            seen.put(name, x.tensor());
            return x;
        };
        model.seams().attach(Hooks.ofTaps("keep", Map.of("layers.0.ssm.in", keep, "layers.0.ssm.out", keep)));
        double[] before = states(ids(0, 0, TIME), model.seams().inference());
        double[] plain = seen.get("layers.0.ssm.out").toDoubleArray();
        Parameter xProj = model.seams().parameters().get("backbone.layers.0.mixer.x_proj.weight");
        double[] w = xProj.base().tensor().toDoubleArray();
        double[] s = offset.toDoubleArray();
        model.seams().attach(Hooks.ofTaps("offset", Map.of("layers.0.ssm.offset", (_, zero, _) -> {
            assertThat(zero.tensor().toDoubleArray()).containsOnly(0);
            return Var.constant(offset).expandTo(zero.shape());
        })));
        double[] after = states(ids(0, 0, TIME), model.seams().inference());
        double[] x = seen.get("layers.0.ssm.in").toDoubleArray();
        double[] got = seen.get("layers.0.ssm.out").toDoubleArray();
        int inner = c.intermediateSize();
        for (int t = 0; t < TIME; t++) {
            for (int e = 0; e < inner; e++) {
                double want = plain[t * inner + e];
                for (int n = 0; n < c.stateSize(); n++) {
                    double read = 0;
                    for (int i = 0; i < inner; i++) {
                        read += w[(c.timeStepRank() + c.stateSize() + n) * inner + i] * x[t * inner + i];
                    }
                    want += read * s[e * c.stateSize() + n];
                }
                assertThat(got[t * inner + e]).as("token %d, channel %d", t, e).isCloseTo(want, within(1e-9 * Math.max(1, Math.abs(want))));
            }
        }
        assertThat(after).isNotEqualTo(before);
        // A step through the cache reads the offset too, and the initial state only where a text begins.
        model.seams().attach(Hooks.ofTaps("start", Map.of("layers.1.ssm.state",
                (_, zero, _) -> Var.constant(noise(5, 0.3, c.intermediateSize(), c.stateSize())).expandTo(zero.shape()))));
        double[] whole = states(ids(0, 0, TIME), model.seams().inference());
        assertThat(whole).isNotEqualTo(after);
        MambaCache cache = model.newCache(1, 0);
        states(DecoderInput.of(ids(0, 0, 4)), cache);
        close(states(DecoderInput.of(ids(0, 4, TIME)), cache), part(whole, 4, TIME));
    }

    @Test
    void aPrefixOfKeysAndValuesIsRefused() {
        SegmentSource none = new SegmentSource() {
            @Override
            public List<List<Attention.Segment>> segments(List<AttentionSite> sites, Pass pass) {
                return List.of();
            }

            @Override
            public long positions() {
                return 1;
            }
        };
        assertThatThrownBy(() -> model.seams().attach(new Hooks("prefix", Map.of(), Map.of(), Optional.of(none), Map.of(), Map.of())))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("'prefix' adds keys and values to attentions");
        assertThat(model.seams().attached()).isEmpty();
    }

    @Test
    void recomputedBlocksGiveTheSameGradients() {
        Tensor ids = ids(0, 0, TIME);
        model.seams().parameters().values().forEach(p -> p.replace(Var.parameter(p.base().tensor())));
        List<Var> wrt = model.seams().parameters().values().stream().map(Parameter::base).toList();
        List<Tensor> stored = Gradients.of(model.loss(DecoderInput.of(ids), ids, model.seams().inference()), wrt);
        model.setCheckpointing(true);
        List<Tensor> again = Gradients.of(model.loss(DecoderInput.of(ids), ids, model.seams().inference()), wrt);
        for (int i = 0; i < wrt.size(); i++) {
            assertThat(again.get(i).toDoubleArray()).isEqualTo(stored.get(i).toDoubleArray());
        }
    }

    @Test
    void theFirstPublishedFormIsReadAndWhatIsNotKnownIsRefused() throws IOException {
        String json = Files.readString(golden.file("config.json"));
        MambaConfig own = MambaConfig.read(Config.parse(json, "config"));
        String older = json.replaceFirst("\\{", "{\"d_model\": 32, \"n_layer\": 2, \"ssm_cfg\": {}, \"rms_norm\": true, \"fused_add_norm\": true,");
        assertThat(MambaConfig.read(Config.parse(older, "config"))).isEqualTo(own);
        String auto = json.replaceFirst("\"time_step_rank\": \\d+", "\"time_step_rank\": \"auto\"");
        assertThat(MambaConfig.read(Config.parse(auto, "config")).timeStepRank()).isEqualTo((own.hiddenSize() + 15) / 16);
        refused(json.replaceFirst("\\{", "{\"rms_norm\": false,"), "rms_norm is false");
        refused(json.replaceFirst("\\{", "{\"mixer_rms_eps\": 1e-6,"), "mixer_rms_eps");
        refused(json.replaceFirst("\"intermediate_size\": \\d+", "\"intermediate_size\": 7"), "intermediate_size 7 is not expand");
        refused(json.replaceFirst("\"time_step_rank\": \\d+", "\"time_step_rank\": \"some\""), "time_step_rank");
    }

    private static void refused(String json, String what) {
        assertThatThrownBy(() -> MambaConfig.read(Config.parse(json, "config"))).isInstanceOf(ModelException.class).hasMessageContaining(what);
    }
}
