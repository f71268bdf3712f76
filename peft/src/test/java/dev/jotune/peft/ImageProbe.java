package dev.jotune.peft;

import dev.jotune.autograd.Var;
import dev.jotune.models.ImageInput;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.vit.ViTClassifier;
import dev.jotune.models.vit.ViTConfig;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.List;

/** Classifiers of pictures: their logits. */
record ImageProbe(ViTClassifier model) implements Specimen.Probe {
    private ImageInput pictures(List<Integer> rows) {
        ViTConfig c = model.config();
        int each = c.numChannels() * c.imageSize().getFirst() * c.imageSize().getLast();
        double[] values = new double[rows.size() * each];
        Arrays.setAll(values, i -> Philox.normal(11, rows.get(i / each), i % each));
        return ImageInput.of(Var.constant(Tensor.of(model.backend(), model.computeType(), values, rows.size(), c.numChannels(),
                c.imageSize().getFirst(), c.imageSize().getLast())));
    }

    @Override
    public Var outputs(List<Integer> rows, Pass pass) {
        return model.logits(model.forward(pictures(rows), pass), pass);
    }

    @Override
    public Var loss(Pass pass) {
        long[] labels = Specimen.BATCH.stream().mapToLong(row -> row % model.labels().size()).toArray();
        return model.loss(pictures(Specimen.BATCH), Tensor.of(model.backend(), labels, labels.length), pass);
    }
}
