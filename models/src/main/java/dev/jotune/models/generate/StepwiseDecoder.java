package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Writes texts token by token, all rows in lock step; a text that has ended leaves the batch. */
final class StepwiseDecoder {

    private StepwiseDecoder() {
    }

    static List<List<Hypothesis>> write(LanguageModel model, List<Writing> texts) {
        int[] active = new int[texts.size()];
        int[][] tokens = new int[active.length][];
        float[][] logits = new float[active.length][model.vocabularySize()];
        Hypothesis[] done = new Hypothesis[active.length];
        for (int b = 0; b < active.length; b++) {
            active[b] = b;
            tokens[b] = texts.get(b).prompt();
        }
        try (BatchSession batch = model.openBatch(active.length)) {
            batch.read(tokens, logits);
            for (int b = 0; b < active.length; b++) {
                tokens[b] = new int[1];
                texts.get(b).promptWasRead();
            }
            int[] rows = new int[active.length];
            while (true) {
                int left = 0;
                for (int b = 0; b < active.length; b++) {
                    Writing text = texts.get(active[b]);
                    int token = text.sampler().next(text.history(), text.length(), logits[b], text.written());
                    FinishReason reason = text.take(token);
                    if (reason != null) {
                        done[active[b]] = new Hypothesis(text.finish(reason), Double.NaN);
                    } else {
                        tokens[left][0] = token;
                        rows[left++] = b;
                    }
                }
                if (left == 0) {
                    return collected(done);
                }
                if (left < active.length) {
                    int[] before = active;
                    int[] kept = Arrays.copyOf(rows, left);
                    active = Arrays.stream(kept).map(row -> before[row]).toArray();
                    tokens = Arrays.copyOf(tokens, left);
                    logits = Arrays.copyOf(logits, left);
                    batch.reorder(kept);
                }
                batch.read(tokens, logits);
            }
        }
    }

    private static List<List<Hypothesis>> collected(Hypothesis[] done) {
        List<List<Hypothesis>> all = new ArrayList<>();
        for (Hypothesis one : done) {
            all.add(List.of(one));
        }
        return all;
    }
}
