package dev.jotune.peft;

import dev.jotune.autograd.Var;
import dev.jotune.models.Encoder;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Hidden;
import dev.jotune.models.MaskedLm;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.List;

/** Text encoders with a head: logits of the text or of every token; rows of equal length. */
record EncoderProbe(Encoder model) implements Specimen.Probe {
    private static final int TIME = 6;

    /** Without the padding token: RoBERTa would not count it. */
    private Tensor ids(List<Integer> rows) {
        int vocabulary = Math.toIntExact(model.seams().input().table().orElseThrow().base().size(0));
        long[] ids = new long[rows.size() * TIME];
        Arrays.setAll(ids, i -> 2 + Philox.nextInt(11, rows.get(i / TIME), i % TIME, vocabulary - 2));
        return Tensor.of(model.backend(), ids, rows.size(), TIME);
    }

    @Override
    public Var outputs(List<Integer> rows, Pass pass) {
        Hidden hidden = model.forward(EncoderInput.of(ids(rows)), pass);
        return switch (model) {
            case MaskedLm m -> m.logits(hidden.text(), pass);
            case SequenceClassifier c -> c.logits(hidden, pass);
            default -> hidden.text();
        };
    }

    @Override
    public Var loss(Pass pass) {
        EncoderInput in = EncoderInput.of(ids(Specimen.BATCH));
        return switch (model) {
            case MaskedLm m -> m.loss(in, ids(Specimen.BATCH), pass);
            case SequenceClassifier c -> c.loss(in, Tensor.of(model.backend(), new long[] {0, 1, 0}, 3), pass);
            default -> model.forward(in, pass).text().square().mean();
        };
    }
}
