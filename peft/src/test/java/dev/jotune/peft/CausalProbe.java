package dev.jotune.peft;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Decoder-only language models: logits at every token of unpadded rows; rows of equal length. */
record CausalProbe(CausalLm model) implements Specimen.Probe {
    static final int TIME = 6;

    private Tensor ids(List<Integer> rows) {
        long[] ids = new long[rows.size() * TIME];
        Arrays.setAll(ids, i -> Philox.nextInt(11, rows.get(i / TIME), i % TIME, model.vocabularySize()));
        return Tensor.of(model.backend(), ids, rows.size(), TIME);
    }

    @Override
    public Var outputs(List<Integer> rows, Pass pass) {
        return model.logits(model.forward(DecoderInput.of(ids(rows)), pass, Optional.empty()).text(), pass);
    }

    @Override
    public Var loss(Pass pass) {
        Tensor ids = ids(Specimen.BATCH);
        return model.loss(DecoderInput.of(ids), ids, pass);
    }

    @Override
    public Optional<Var> decoded(List<Integer> rows, Pass pass) {
        Tensor ids = ids(rows);
        DecoderCache cache = model.newCache(rows.size(), 2);
        List<Var> parts = new ArrayList<>();
        Recording.off(() -> {
            for (int from = 0, to = 3; from < TIME; from = to, to++) {
                var states = model.forward(DecoderInput.of(ids.slice(1, from, to).contiguous()), pass, Optional.of(cache)).text();
                // Only a cache's first pass has the virtual tokens before its text.
                parts.add(model.logits(states, pass));
            }
            return parts;
        });
        cache.free();
        return Optional.of(Var.concat(1, parts.toArray(Var[]::new)));
    }
}
