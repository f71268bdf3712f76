package dev.jotune.peft.steps;

import dev.jotune.autograd.Recording;
import dev.jotune.models.CausalLm;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.objectives.TinyDecoders;
import dev.jotune.peft.train.Batch;
import dev.jotune.peft.train.Dataset;
import dev.jotune.peft.train.Example;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Texts that a model of a few thousand weights can learn. */
public final class ToyTexts {
    /** The answers of {@link #parity}. */
    private static final int[] ANSWERS = {1, 2};

    private ToyTexts() {}

    /** Numbers that count on by a step that the first two show. */
    public static Dataset counting(int n, int length) {
        List<Example> out = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            int start = Philox.nextInt(3, i, 0, TinyDecoders.VOCABULARY);
            int by = 1 + Philox.nextInt(3, i, 1, 3);
            int[] ids = new int[length];
            Arrays.setAll(ids, t -> (start + t * by) % TinyDecoders.VOCABULARY);
            int[] labels = ids.clone();
            Arrays.fill(labels, 0, 2, Example.IGNORED);
            out.add(new Example(ids, labels));
        }
        return Dataset.of(out);
    }

    /** Three tokens and which of two answers the last of them asks for, an even one for the first. */
    public static Dataset parity(int n) {
        List<Example> out = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            int asked = 3 + Philox.nextInt(4, i, 2, 4);
            int answer = ANSWERS[asked % 2];
            int[] ids = {0, 3 + Philox.nextInt(4, i, 1, 30), asked, answer};
            out.add(new Example(ids, new int[] {Example.IGNORED, Example.IGNORED, Example.IGNORED, answer}));
        }
        return Dataset.of(out);
    }

    /** How often the likelier of the two answers is the right one. */
    public static double accuracy(CausalLm model, List<Example> texts, Pass pass) {
        try (Scope _ = Scope.open()) {
            return Recording.off(() -> {
                Batch b = Batch.of(texts, model.backend(), false);
                Tensor logits = model.logits(model.forward(b.input(), pass, Optional.empty()).text().slice(1, 2, 3), pass).tensor();
                double[] all = logits.toDoubleArray();
                int right = 0;
                for (int i = 0; i < texts.size(); i++) {
                    boolean second = all[i * TinyDecoders.VOCABULARY + ANSWERS[1]] > all[i * TinyDecoders.VOCABULARY + ANSWERS[0]];
                    right += texts.get(i).ids()[3] == ANSWERS[second ? 1 : 0] ? 1 : 0;
                }
                return (double) right / texts.size();
            });
        }
    }
}
