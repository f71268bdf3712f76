package dev.jotune.peft.decoding;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Schedule;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.peft.objectives.TinyDecoders;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/**
 * A language of topics and moods: three topics, three words, a question, and yes where the mood of it all is good. Three of four topics
 * and four of five words are of the text's mood, so a model of it writes on as a prompt begins, and judges by prompt and answer.
 */
final class Moods {
    static final int WORDS = 3;
    private static final int TOPICS = 6;
    private static final int GOOD = 6;
    private static final int BAD = 10;
    private static final int EACH = 4;
    private static final int QUESTION = 14;
    private static final int YES = 15;
    private static final int NO = 16;
    static final SuffixScore SCORE = SuffixScore.of(List.of(QUESTION), YES, NO);

    private Moods() {}

    /** In F64 on the reference backend, or in F32 on the CPU. */
    static CausalLm untrained(boolean wide) {
        return TinyDecoders.make("llama", wide);
    }

    /** One that leans to a bad mood: two or three of its topics do. */
    static int[] prompt(int number) {
        int[] out = new int[WORDS];
        Arrays.setAll(out, t -> TOPICS / 2 + Philox.nextInt(5, number, t, TOPICS / 2));
        int odd = Philox.nextInt(5, number, WORDS, 2 * WORDS);
        if (odd < WORDS) {
            out[odd] -= TOPICS / 2;
        }
        return out;
    }

    /** Whether an answer has more good words than bad ones. */
    static boolean isGood(int[] words) {
        return Arrays.stream(words).map(w -> w >= GOOD && w < BAD ? 1 : w >= BAD && w < BAD + EACH ? -1 : 0).sum() > 0;
    }

    static CausalLm trained() {
        CausalLm model = untrained(false);
        SequencedMap<String, Var> weights = new LinkedHashMap<>();
        model.seams().parameters().forEach((path, p) -> {
            Var own = Var.parameter(Scope.detach(Tensor.empty(p.backend(), DType.F32, p.shape()).copyFrom(p.base().tensor())));
            p.replace(own);
            weights.put(path, own);
        });
        Optimizer optimizer = new AdamW(0).with(Schedule.constant(0.01));
        for (int step = 0; step < 500; step++) {
            try (Scope scope = Scope.open()) {
                long[] ids = texts(step, 32);
                long[] labels = ids.clone();
                Arrays.setAll(labels, i -> i % 8 < WORDS || i % 8 == 6 ? -100 : ids[i]);
                Var loss = model.loss(DecoderInput.of(Tensor.of(model.backend(), ids, 32, 8)), Tensor.of(model.backend(), labels, 32, 8),
                        model.seams().training(0, step));
                optimizer.step(weights, Gradients.of(loss, List.copyOf(weights.values())));
            }
        }
        weights.forEach((path, v) -> model.seams().parameters().get(path).replace(Var.constant(v.tensor())));
        return model;
    }

    private static long[] texts(long seed, int rows) {
        long[] ids = new long[rows * 8];
        for (int r = 0; r < rows; r++) {
            boolean good = Philox.nextInt(seed, r, 0, 2) == 0;
            for (int t = 0; t < WORDS; t++) {
                boolean topic = good == Philox.nextInt(seed, r, 10 + t, 4) > 0;
                ids[8 * r + t] = (topic ? 0 : TOPICS / 2) + Philox.nextInt(seed, r, 1 + t, TOPICS / 2);
                boolean word = good == Philox.nextInt(seed, r, 20 + t, 5) > 0;
                ids[8 * r + WORDS + t] = (word ? GOOD : BAD) + Philox.nextInt(seed, r, 4 + t, EACH);
            }
            ids[8 * r + 6] = QUESTION;
            ids[8 * r + 7] = good ? YES : NO;
        }
        return ids;
    }
}
