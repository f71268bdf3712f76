package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Schedule;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Models;
import dev.jotune.models.mamba.Mamba;
import dev.jotune.models.mamba.MambaConfig;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Tap;
import dev.jotune.peft.methods.StateOffset;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.Golden;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** State-offset tuning on the tiny Mamba of the golden set, beside tuning the state that a text starts from. */
@Tag("golden")
class StateOffsetTest {
    private static Mamba model(Backend backend, DType type) {
        return Models.load(Golden.cases("models", "mamba").findFirst().orElseThrow().folder(), backend, type).as(Mamba.class);
    }

    private static Tensor ids(Mamba model, int seed, int rows, int time) {
        long[] ids = new long[rows * time];
        Arrays.setAll(ids, i -> 5 + Philox.nextInt(3, seed + i / time, i % time, model.vocabularySize() - 5));
        return Tensor.of(model.backend(), ids, rows, time);
    }

    private static Tap keep(String as, Map<String, double[]> into) {
        return (_, x, _) -> {
            into.put(as, x.tensor().toDoubleArray());
            return x;
        };
    }

    /** The scan written out, with S added to every state before it is read. */
    @Test
    void theOffsetIsAddedToEveryStateOfTheRecurrence() {
        Mamba model = model(Backends.reference(), DType.F64);
        MambaConfig c = model.config();
        int inner = c.intermediateSize();
        int states = c.stateSize();
        int rank = c.timeStepRank();
        int time = 9;
        Adapter a = Harness.move(Adapters.create(model, "a", StateOffset.DEFAULTS, 1), 2);
        Map<String, double[]> seen = new LinkedHashMap<>();
        model.seams().attach(Hooks.ofTaps("keep", Map.of("layers.1.ssm.in", keep("x", seen), "layers.1.ssm.out", keep("y", seen))));
        Recording.off(() -> model.forward(DecoderInput.of(ids(model, 1, 1, time)), model.seams().inference(), Optional.empty()));
        String at = "backbone.layers.1.mixer.";
        double[] made = weight(model, at + "x_proj.weight");
        double[] step = weight(model, at + "dt_proj.weight");
        double[] stepBias = weight(model, at + "dt_proj.bias");
        double[] aLog = weight(model, at + "A_log");
        double[] skip = weight(model, at + "D");
        double[] offset = a.state().get("layers.1.ssm.offset.S").toDoubleArray();
        double[] h = new double[inner * states];
        for (int t = 0; t < time; t++) {
            double[] x = Arrays.copyOfRange(seen.get("x"), t * inner, (t + 1) * inner);
            double[] all = IntStream.range(0, rank + 2 * states).mapToDouble(o -> dot(made, o * inner, x)).toArray();
            for (int e = 0; e < inner; e++) {
                double raw = stepBias[e] + dot(step, e * rank, Arrays.copyOf(all, rank));
                double dt = Math.log1p(Math.exp(raw));
                double y = skip[e] * x[e];
                for (int n = 0; n < states; n++) {
                    int i = e * states + n;
                    h[i] = Math.exp(-dt * Math.exp(aLog[i])) * h[i] + dt * all[rank + n] * x[e];
                    y += all[rank + states + n] * (h[i] + offset[i]);
                }
                assertThat(seen.get("y")[t * inner + e]).as("token %d, channel %d", t, e).isCloseTo(y, within(1e-5 * Math.max(1, Math.abs(y))));
            }
        }
    }

    private static double[] weight(Mamba model, String path) {
        return model.seams().parameters().get(path).base().tensor().toDoubleArray();
    }

    private static double dot(double[] rows, int from, double[] x) {
        return IntStream.range(0, x.length).mapToDouble(i -> rows[from + i] * x[i]).sum();
    }

    /** |d y_t / d S| at a late token is what it was at the first; |d y_t / d h_0| has gone. */
    @Test
    void anOffsetReachesLateTokensAndAStateToStartFromDoesNot() {
        Mamba model = model(Backends.cpu(), DType.F32);
        int time = 513;
        // No channel of this one forgets more slowly than a tenth a step.
        Parameter steps = model.seams().parameters().get("backbone.layers.0.mixer.dt_proj.bias");
        steps.replace(Var.constant(Tensor.full(model.backend(), DType.F32, -2, steps.shape())));
        Adapter a = Adapters.create(model, "a", StateOffset.DEFAULTS, 1);
        Var s = a.trainables().get("layers.0.ssm.offset.S");
        Var start = Var.parameter(Tensor.zeros(model.backend(), DType.F32, s.shape()));
        Var[] y = new Var[1];
        model.seams().attach(Hooks.ofTaps("watch", Map.of("layers.0.ssm.state", (_, zero, _) -> zero.add(start), "layers.0.ssm.out", (_, out, _) -> {
            y[0] = out;
            return out;
        })));
        model.forward(DecoderInput.of(ids(model, 1, 1, time)), model.seams().inference(), Optional.empty());
        double[] first = reach(y[0], 0, s, start);
        double[] last = reach(y[0], time - 1, s, start);
        assertThat(last[0] / first[0]).as("reach of the offset").isGreaterThan(0.1);
        assertThat(last[1] / first[1]).as("reach of the first state").isLessThan(1e-3);
    }

    private static double[] reach(Var y, int token, Var... of) {
        return Gradients.of(y.select(1, token).sum(), List.of(of)).stream()
                .mapToDouble(g -> Math.sqrt(Arrays.stream(g.toDoubleArray()).map(v -> v * v).sum())).toArray();
    }

    /** Texts of 48 tokens whose last ones say which of two answers follows. As many numbers train either way. */
    @Test
    void onLongTextsItLearnsWhatAStateToStartFromCannot() {
        Mamba offset = model(Backends.cpu(), DType.F32);
        SequencedMap<String, Var> own = Adapters.create(offset, "a", StateOffset.DEFAULTS, 1).trainables();
        Mamba initial = model(Backends.cpu(), DType.F32);
        SequencedMap<String, Var> states = new LinkedHashMap<>();
        Map<String, Tap> taps = new LinkedHashMap<>();
        own.forEach((key, v) -> {
            Var start = Var.parameter(Tensor.zeros(initial.backend(), DType.F32, v.shape()));
            states.put(key, start);
            taps.put(key.replace("offset.S", "state"), (_, zero, _) -> zero.add(start));
        });
        initial.seams().attach(Hooks.ofTaps("initial", taps));
        double tuned = accuracyAfterTraining(offset, own);
        assertThat(tuned).isGreaterThan(0.8);
        assertThat(tuned).isGreaterThanOrEqualTo(accuracyAfterTraining(initial, states) + 0.03);
    }

    private static final int LONG = 48;

    private static double accuracyAfterTraining(Mamba model, SequencedMap<String, Var> trainables) {
        Optimizer optimizer = new AdamW(0).with(Schedule.constant(0.1));
        for (int step = 0; step < 80; step++) {
            Var loss = CrossEntropy.apply(answers(model, 16 * step), labels(model, 16 * step));
            optimizer.step(trainables, Gradients.of(loss, List.copyOf(trainables.values())));
        }
        double right = 0;
        for (int from = 5000; from < 5160; from += 16) {
            int first = from;
            double[] logits = Recording.off(() -> answers(model, first)).tensor().toDoubleArray();
            long[] labels = labels(model, from).toLongArray();
            right += IntStream.range(0, 16).filter(i -> logits[2 * i + 1] > logits[2 * i] == (labels[i] == 1)).count();
        }
        return right / 160;
    }

    /** The logits of tokens 3 and 4 behind 16 texts, {@code [16, 2]}. */
    private static Var answers(Mamba model, int seed) {
        var pass = model.seams().inference();
        long[] ids = ids(model, seed, 16, LONG).toLongArray();
        long[] labels = labels(model, seed).toLongArray();
        for (int i = 0; i < labels.length; i++) {
            Arrays.fill(ids, (i + 1) * LONG - 4, (i + 1) * LONG, 10 + labels[i]);
        }
        Var last = model.forward(DecoderInput.of(Tensor.of(model.backend(), ids, 16, LONG)), pass, Optional.empty()).text().slice(1, LONG - 1, LONG);
        return model.logits(last, pass).reshape(16, -1).slice(1, 3, 5);
    }

    private static Tensor labels(Mamba model, int seed) {
        return Tensor.of(model.backend(), IntStream.range(0, 16).mapToLong(i -> Philox.nextInt(8, seed, i, 2)).toArray(), 16);
    }
}
