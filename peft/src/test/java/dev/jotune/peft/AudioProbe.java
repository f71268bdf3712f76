package dev.jotune.peft;

import dev.jotune.autograd.Var;
import dev.jotune.models.ast.AstClassifier;
import dev.jotune.models.ast.AstConfig;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.List;

/** Classifiers of sounds: their logits. */
record AudioProbe(AstClassifier model) implements Specimen.Probe {
    private Var spectrograms(List<Integer> rows) {
        AstConfig c = model.config();
        int each = c.maxLength() * c.numMelBins();
        double[] values = new double[rows.size() * each];
        Arrays.setAll(values, i -> Philox.normal(11, rows.get(i / each), i % each));
        return Var.constant(Tensor.of(model.backend(), model.computeType(), values, rows.size(), c.maxLength(), c.numMelBins()));
    }

    @Override
    public Var outputs(List<Integer> rows, Pass pass) {
        return model.logits(model.forward(spectrograms(rows), pass), pass);
    }

    @Override
    public Var loss(Pass pass) {
        long[] labels = Specimen.BATCH.stream().mapToLong(row -> row % model.labels().size()).toArray();
        return model.loss(spectrograms(Specimen.BATCH), Tensor.of(model.backend(), labels, labels.length), pass);
    }
}
