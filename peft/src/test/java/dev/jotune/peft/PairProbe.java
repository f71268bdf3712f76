package dev.jotune.peft;

import dev.jotune.autograd.Var;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.ImageInput;
import dev.jotune.models.clip.Clip;
import dev.jotune.models.clip.ClipConfig;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.List;

/** Texts and pictures in one space: the features of both, side by side. */
record PairProbe(Clip model) implements Specimen.Probe {
    private static final int TIME = 6;

    /** Texts that end in the end token, which old checkpoints take to be the largest id. */
    private EncoderInput texts(List<Integer> rows) {
        ClipConfig.Text c = model.config().text();
        int end = c.eosTokenId() == 2 ? c.vocabSize() - 1 : c.eosTokenId();
        long[] ids = new long[rows.size() * TIME];
        Arrays.setAll(ids, i -> i % TIME == TIME - 1 ? end : 3 + Philox.nextInt(11, rows.get(i / TIME), i % TIME, c.vocabSize() - 5));
        return EncoderInput.of(Tensor.of(model.backend(), ids, rows.size(), TIME));
    }

    private ImageInput pictures(List<Integer> rows) {
        ClipConfig.Vision c = model.config().vision();
        int each = c.numChannels() * c.imageSize().getFirst() * c.imageSize().getLast();
        double[] values = new double[rows.size() * each];
        Arrays.setAll(values, i -> Philox.normal(11, rows.get(i / each), i % each));
        return ImageInput.of(Var.constant(Tensor.of(model.backend(), model.computeType(), values, rows.size(), c.numChannels(),
                c.imageSize().getFirst(), c.imageSize().getLast())));
    }

    @Override
    public Var outputs(List<Integer> rows, Pass pass) {
        return Var.concat(1, model.textFeatures(texts(rows), pass), model.imageFeatures(pictures(rows), pass));
    }

    @Override
    public Var loss(Pass pass) {
        return model.loss(texts(Specimen.BATCH), pictures(Specimen.BATCH), pass);
    }
}
