package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Schedule;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Models;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.methods.PromptGating;
import dev.jotune.peft.methods.PromptTuning;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.Golden;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.function.LongFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Two plug-ins that never met, together (catalogue S015, works_when 3 and 4).
 *
 * <p>A tiny T5 answers a number a from 0 to 7 with two: a + p and 8 + (a + q), modulo 8 each. It has learnt to do so with p and q
 * named in the source, one of them, or none, where what is not named is drawn. A plug-in is trained on texts that have one p, their
 * q drawn, or the other way round.
 */
@Tag("heavy")
class PromptGatingTaskTest {
    private static final int NUMBERS = 8;
    private static final int CHOICES = 3;
    private static final int NAME_P = 20;
    private static final int NAME_Q = 24;
    private static final int NUMBER = 30;
    private static final int ROWS = 32;
    private static final int TOKENS = 4;
    private static final int STEPS = 300;
    private static final int BASES = 3;

    private record Texts(Tensor sources, Tensor targets) {}

    /** @param p the first aspect, or -1 for a drawn one; {@code named}: whether sources may name aspects */
    private static Texts texts(Seq2SeqLm model, int rows, int p, int q, long seed, boolean named) {
        int length = named ? 3 + Philox.nextInt(seed, 9, 0, 10) : 1;
        long[] sources = new long[rows * length];
        long[] targets = new long[rows * 2];
        for (int r = 0; r < rows; r++) {
            int a = Philox.nextInt(seed, 0, r, NUMBERS);
            int ownP = p >= 0 ? p : Philox.nextInt(seed, 1, r, CHOICES);
            int ownQ = q >= 0 ? q : Philox.nextInt(seed, 2, r, CHOICES);
            int which = named ? Philox.nextInt(seed, 3, r, 4) : 0;
            for (int t = 0; t < length - 1; t++) {
                sources[length * r + t] = 40 + Philox.nextInt(seed, 10 + t, r, 20);
            }
            if (named) {
                int at = Philox.nextInt(seed, 4, r, length - 1);
                int other = (at + 1 + Philox.nextInt(seed, 5, r, length - 2)) % (length - 1);
                sources[length * r + at] = (which & 1) != 0 ? NAME_P + ownP : sources[length * r + at];
                sources[length * r + other] = (which & 2) != 0 ? NAME_Q + ownQ : sources[length * r + other];
            }
            sources[length * r + length - 1] = NUMBER + a;
            targets[2 * r] = 2 + (a + ownP) % NUMBERS;
            targets[2 * r + 1] = 2 + NUMBERS + (a + ownQ) % NUMBERS;
        }
        return new Texts(Tensor.of(model.backend(), sources, rows, length), Tensor.of(model.backend(), targets, rows, 2));
    }

    private static void train(Seq2SeqLm model, SequencedMap<String, Var> weights, int steps, double rate, LongFunction<Texts> texts) {
        Optimizer optimizer = new AdamW(0).with(Schedule.constant(rate));
        for (int step = 0; step < steps; step++) {
            try (Scope scope = Scope.open()) {
                Texts t = texts.apply(step);
                Var loss = model.loss(EncoderInput.of(t.sources), t.targets, Pass.inference(active(model)));
                optimizer.step(weights, Gradients.of(loss, List.copyOf(weights.values())));
            }
        }
    }

    private static List<Hooks> active(Seq2SeqLm model) {
        return model.seams().inference().groups().getFirst().hooks();
    }

    /** @param number which of several models that have learnt the task from different texts */
    private static Seq2SeqLm base(int number) {
        Golden.Case golden = Golden.cases("models").filter(c -> c.id().equals("t5_v1_1")).findFirst().orElseThrow();
        Seq2SeqLm model = Models.load(golden.folder(), Backends.cpu(), DType.F32).backbone().as(Seq2SeqLm.class);
        SequencedMap<String, Var> weights = new LinkedHashMap<>();
        model.seams().parameters().forEach((path, p) -> {
            Var own = Var.parameter(Scope.detach(Tensor.empty(p.backend(), DType.F32, p.shape()).copyFrom(p.base().tensor())));
            p.replace(own);
            weights.put(path, own);
        });
        train(model, weights, 1500, 0.003, s -> texts(model, 2 * ROWS, -1, -1, s + 1_000_000L * number, true));
        weights.forEach((path, v) -> model.seams().parameters().get(path).replace(Var.constant(v.tensor())));
        return model;
    }

    /** The share of new numbers that are answered with both aspects. */
    private static double right(Seq2SeqLm model, int p, int q) {
        Texts t = texts(model, 64, p, q, 99_999, false);
        Pass pass = model.seams().inference();
        long[] want = t.targets.toLongArray();
        long[] start = new long[64];
        Arrays.fill(start, model.decoderStartToken());
        long[] first = next(model, t.sources, Tensor.of(model.backend(), start, 64, 1), pass);
        long[] both = new long[128];
        for (int i = 0; i < 64; i++) {
            both[2 * i] = start[i];
            both[2 * i + 1] = first[i];
        }
        long[] second = next(model, t.sources, Tensor.of(model.backend(), both, 64, 2), pass);
        return IntStream.range(0, 64).filter(i -> first[i] == want[2 * i] && second[i] == want[2 * i + 1]).count() / 64.0;
    }

    private static long[] next(Seq2SeqLm model, Tensor sources, Tensor target, Pass pass) {
        return Recording.off(() -> {
            Var states = model.decode(DecoderInput.of(target), model.encode(EncoderInput.of(sources), pass), pass, Optional.empty()).text();
            Tensor out = Tensor.empty(model.backend(), DType.I64, target.size(0), 1);
            model.backend().argmax(model.logits(states.slice(1, target.size(1) - 1, target.size(1)), pass).tensor(), out);
            return out;
        }).toLongArray();
    }

    /** The share of new numbers answered with both aspects, over all pairs of plug-ins that were trained alone. */
    private static double together(Seq2SeqLm model, TuningMethod method) {
        for (int i = 0; i < 2 * CHOICES; i++) {
            int k = i;
            model.seams().activate();
            Adapter a = Adapters.create(model, "plug-in " + k, method, k);
            model.seams().activate(a.name());
            train(model, a.trainables(), STEPS, 0.01, s -> texts(model, ROWS, k < CHOICES ? k : -1, k < CHOICES ? -1 : k - CHOICES, s, false));
        }
        double sum = 0;
        for (int p = 0; p < CHOICES; p++) {
            for (int q = 0; q < CHOICES; q++) {
                model.seams().activate("plug-in " + p, "plug-in " + (CHOICES + q));
                sum += right(model, p, q) / (CHOICES * CHOICES);
            }
        }
        model.seams().attached().forEach(model.seams()::detach);
        return sum;
    }

    /**
     * Of four models ({@code BASES = 4}), each trained from different texts, gated plug-ins got 0.42, 0.77, 0.51 and 0.64 of pairs right, prompt
     * tuning 0.23, 0.22, 0.13 and 0.21, prefixes 0.49, 0.53, 0.47 and 0.30: one model says little, for sums rounded otherwise make another of
     * it. On average gated plug-ins lead prefixes by 14 points (the paper: ten), which is not asserted, since three models are too few to show it.
     */
    @Test
    void gatedPlugInsDisturbEachOtherLessThanPrompts() {
        double[] gated = new double[BASES];
        double[] prompts = new double[BASES];
        double[] prefixes = new double[BASES];
        for (int i = 0; i < BASES; i++) {
            Seq2SeqLm model = base(i);
            gated[i] = together(model, PromptGating.DEFAULTS.sized(TOKENS, 16));
            prompts[i] = together(model, PromptTuning.DEFAULTS.withTokens(TOKENS));
            prefixes[i] = together(model, PrefixTuning.DEFAULTS.withTokens(TOKENS));
        }
        assertThat(Arrays.stream(gated).average().orElseThrow())
                .as("gated %s, prompts %s, prefixes %s", Arrays.toString(gated), Arrays.toString(prompts), Arrays.toString(prefixes))
                .isGreaterThan(Arrays.stream(prompts).average().orElseThrow() + 0.2);
    }
}
