package dev.jotune.peft;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Schedule;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.function.LongFunction;

/**
 * A tiny model that can add: after a token that names a step s and a number a it says a + s (modulo 16). A fine-tuning for
 * one s makes it do so behind a token that names none: a small change to a model that knows how, as fine-tunings are.
 */
final class TaskTokens {
    /** So many steps can be named. */
    static final int STEPS = 6;
    private static final int NUMBERS = 16;
    private static final int NONE = 16;

    private TaskTokens() {}

    /** The model that was trained on all steps, named; the same at every call. */
    static CausalLm base() {
        CausalLm model = TinyModels.GROUPED.make(Backends.cpu(), DType.F32);
        tune(model, ".*", 600, 0.01, s -> texts(model, 64, (int) (s % STEPS) + 1, s, true));
        return model;
    }

    /** {@code [name, a, a + step]}. */
    static Tensor texts(CausalLm model, int rows, int step, long seed, boolean named) {
        long[] ids = new long[rows * 3];
        for (int r = 0; r < rows; r++) {
            int own = named ? 1 + Philox.nextInt(seed, 1, r, STEPS) : step;
            int a = Philox.nextInt(seed, 0, r, NUMBERS);
            ids[3 * r] = named ? NONE + own : NONE;
            ids[3 * r + 1] = a;
            ids[3 * r + 2] = (a + own) % NUMBERS;
        }
        return Tensor.of(model.backend(), ids, rows, 3);
    }

    /** Labels that ask for the sum alone. */
    static Tensor labels(Tensor texts) {
        long[] ids = texts.toLongArray();
        for (int i = 0; i < ids.length; i++) {
            ids[i] = i % 3 == 2 ? ids[i] : -100;
        }
        return Tensor.of(texts.backend(), ids, texts.shape());
    }

    /** Trains the weights whose paths match. */
    static void tune(CausalLm model, String thawed, int steps, double rate, LongFunction<Tensor> texts) {
        SequencedMap<String, Var> weights = new LinkedHashMap<>();
        model.seams().parameters().forEach((path, p) -> {
            if (path.matches(thawed)) {
                Var own = Var.parameter(Scope.detach(Tensor.empty(p.backend(), DType.F32, p.shape()).copyFrom(p.base().tensor())));
                p.replace(own);
                weights.put(path, own);
            }
        });
        Optimizer optimizer = new AdamW(0).with(Schedule.constant(rate));
        for (int s = 0; s < steps; s++) {
            Tensor ids = texts.apply(s);
            Var loss = model.loss(DecoderInput.of(ids), labels(ids), model.seams().training(0, s));
            optimizer.step(weights, Gradients.of(loss, List.copyOf(weights.values())));
        }
        weights.forEach((path, v) -> model.seams().parameters().get(path).replace(Var.constant(v.tensor())));
    }

    /** The share of sums that are right where no step is named. */
    static double accuracy(CausalLm model, int step, Pass pass) {
        return accuracy(model, texts(model, 200, step, 77_777, false), pass);
    }

    static double accuracy(CausalLm model, Tensor texts, Pass pass) {
        Tensor best = Recording.off(() -> {
            Var logits = model.logits(model.forward(DecoderInput.of(texts), pass, Optional.empty()).text(), pass);
            Tensor out = Tensor.empty(model.backend(), DType.I64, texts.size(0), 3);
            model.backend().argmax(logits.tensor(), out);
            return out;
        });
        long[] got = best.toLongArray();
        long[] want = texts.toLongArray();
        int right = 0;
        for (int i = 1; i < got.length; i += 3) {
            right += got[i] == want[i + 1] ? 1 : 0;
        }
        return right / (double) texts.size(0);
    }
}
