package dev.jotune.peft;

import dev.jotune.autograd.Var;
import dev.jotune.models.Encoder;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.MaskedLm;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.TokenClassifier;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntToLongFunction;

/** Text encoders under their heads. */
record EncoderProbe(Encoder model) implements Specimen.Probe {
    private static final int TIME = 6;
    /** Ids below are padding or special in one family or another. */
    private static final int FIRST = 3;

    private EncoderInput input(List<Integer> rows) {
        int vocabulary = Math.toIntExact(model.seams().input().table().orElseThrow().base().size(0));
        return EncoderInput.of(numbers(rows.size() * TIME, i -> FIRST + Philox.nextInt(11, rows.get(i / TIME), i % TIME, vocabulary - FIRST),
                rows.size(), TIME));
    }

    private Tensor numbers(int count, IntToLongFunction f, long... shape) {
        long[] values = new long[count];
        Arrays.setAll(values, f);
        return Tensor.of(model.backend(), values, shape);
    }

    @Override
    public Var outputs(List<Integer> rows, Pass pass) {
        var hidden = model.forward(input(rows), pass);
        return switch (model) {
            case MaskedLm m -> m.logits(hidden.text(), pass);
            case SequenceClassifier m -> m.logits(hidden, pass);
            case TokenClassifier m -> m.logits(hidden.text(), pass);
            default -> hidden.text();
        };
    }

    @Override
    public Var loss(Pass pass) {
        EncoderInput in = input(Specimen.BATCH);
        int rows = Specimen.BATCH.size();
        return switch (model) {
            case MaskedLm m -> m.loss(in, in.ids().orElseThrow(), pass);
            case SequenceClassifier m -> m.loss(in, numbers(rows, i -> i % m.labels().size(), rows), pass);
            case TokenClassifier m -> m.loss(in, numbers(rows * TIME, i -> i % m.labels().size(), rows, TIME), pass);
            default -> throw new AssertionError(model.getClass() + " has no head to train");
        };
    }
}
