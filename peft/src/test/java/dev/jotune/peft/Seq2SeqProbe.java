package dev.jotune.peft;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Config;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Encoded;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Encoder-decoders: logits of a target given a source, a text or sound.
 *
 * @param config the checkpoint's, which says how much sound the model takes
 */
record Seq2SeqProbe(Seq2SeqLm model, Path config) implements Specimen.Probe {
    private static final int SOURCE = 5;
    private static final int TARGET = 6;

    private Tensor ids(List<Integer> rows, int seed, int time) {
        long[] ids = new long[rows.size() * time];
        // Token 0 and 1 are padding in the one family or the other.
        Arrays.setAll(ids, i -> 2 + Philox.nextInt(seed, rows.get(i / time), i % time, model.vocabularySize() - 2));
        return Tensor.of(model.backend(), ids, rows.size(), time);
    }

    private Encoded encode(List<Integer> rows, Pass pass) {
        return model.encode(source(rows), pass);
    }

    private EncoderInput source(List<Integer> rows) {
        if (model.seams().embeddings().get("encoder.embed").table().isPresent()) {
            return EncoderInput.of(ids(rows, 11, SOURCE));
        }
        Config c = Config.read(config);
        int mels = c.size("num_mel_bins");
        int frames = 2 * c.size("max_source_positions");
        double[] values = new double[rows.size() * mels * frames];
        Arrays.setAll(values, i -> Philox.normal(7, rows.get(i / (mels * frames)), i % (mels * frames)));
        return EncoderInput.of(Var.constant(Tensor.of(model.backend(), model.computeType(), values, rows.size(), mels, frames)));
    }

    @Override
    public Var outputs(List<Integer> rows, Pass pass) {
        DecoderInput target = DecoderInput.of(ids(rows, 13, TARGET));
        return model.logits(model.decode(target, encode(rows, pass), pass, Optional.empty()).text(), pass);
    }

    @Override
    public Var loss(Pass pass) {
        return model.loss(source(Specimen.BATCH), ids(Specimen.BATCH, 13, TARGET), pass);
    }

    @Override
    public Optional<Var> decoded(List<Integer> rows, Pass pass) {
        Tensor target = ids(rows, 13, TARGET);
        DecoderCache cache = model.newCache(rows.size(), 2);
        Encoded source = Recording.off(() -> encode(rows, pass));
        List<Var> parts = new ArrayList<>();
        Recording.off(() -> {
            for (int from = 0, to = 3; from < TARGET; from = to, to++) {
                DecoderInput part = DecoderInput.of(target.slice(1, from, to).contiguous());
                parts.add(model.logits(model.decode(part, source, pass, Optional.of(cache)).text(), pass));
            }
            return parts;
        });
        cache.free();
        return Optional.of(Var.concat(1, parts.toArray(Var[]::new)));
    }
}
