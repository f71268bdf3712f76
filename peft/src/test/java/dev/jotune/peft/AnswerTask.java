package dev.jotune.peft;

import dev.jotune.autograd.Recording;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * The smallest task: a text of random tokens behind a beginning that is always the same must be answered with one
 * given token. The bare model answers at random; no two texts of a run are the same.
 */
record AnswerTask(Harness h) {
    private static final int ROWS = 8;
    private static final int TIME = 4;
    private static final int BEGIN = 1;
    private static final int ANSWER = 2;
    private static final long HELD_OUT = 1000;

    private Tensor texts(long seed, boolean answered) {
        int time = answered ? TIME + 1 : TIME;
        long[] ids = new long[ROWS * time];
        Arrays.setAll(ids, i -> i % time == 0 ? BEGIN : i % time == TIME ? ANSWER
                : Philox.nextInt(31, seed, i, h.kind().config().vocabSize()));
        return Tensor.of(h.backend(), ids, ROWS, time);
    }

    private Tensor labels() {
        long[] labels = new long[ROWS * (TIME + 1)];
        Arrays.setAll(labels, i -> i % (TIME + 1) == TIME ? ANSWER : -100);
        return Tensor.of(h.backend(), labels, ROWS, TIME + 1);
    }

    /** The losses of the steps. */
    List<Double> train(Adapter adapter, int steps, double rate) {
        CausalLm model = adapter.model().as(CausalLm.class);
        return Harness.train(adapter, steps, rate, step ->
                model.loss(DecoderInput.of(texts(step, true)), labels(), model.seams().training(7, step)));
    }

    /** The share of new texts that the model answers rightly. */
    double accuracy(CausalLm model) {
        var pass = model.seams().inference();
        Tensor best = Recording.off(() -> {
            var text = model.forward(DecoderInput.of(texts(HELD_OUT, false)), pass, Optional.empty()).text();
            Tensor ids = Tensor.empty(h.backend(), DType.I64, ROWS, 1);
            h.backend().argmax(model.logits(text.slice(1, TIME - 1, TIME), pass).tensor(), ids);
            return ids;
        });
        return Arrays.stream(best.toLongArray()).filter(id -> id == ANSWER).count() / (double) ROWS;
    }
}
