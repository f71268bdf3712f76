package dev.jotune.models.decoder;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Greedy decoding with a cache, token by token, as {@code generate} of transformers does it. */
final class GreedyCheck {
    private final DecoderCheck check;
    private final CausalLm model;
    private final Backend backend;
    private final Tensor prompt;
    private final int rows;
    private final int length;

    GreedyCheck(DecoderCheck check) {
        this.check = check;
        this.model = check.model();
        this.backend = check.backend();
        this.prompt = check.ids("input_ids");
        this.rows = Math.toIntExact(prompt.size(0));
        this.length = Math.toIntExact(prompt.size(1));
    }

    void run() {
        check.attachPrefix();
        Golden.LongArray want = check.expectedIds("sequences");
        int width = Math.toIntExact(want.shape()[1]);
        int steps = check.settings().path("max_new_tokens").asInt(width - length);
        int pad = check.settings().path("pad_token_id").asInt(0);
        List<Integer> ends = ends();
        long[] tokens = prompt.toLongArray();
        Optional<Tensor> mask = check.has("attention_mask") ? Optional.of(check.textMask()) : Optional.empty();
        double[] real = mask.map(Tensor::toDoubleArray).orElseGet(() -> {
            double[] all = new double[tokens.length];
            Arrays.fill(all, 1);
            return all;
        });
        long[][] out = new long[rows][length + steps];
        long[] position = new long[rows];
        long[] positions = new long[rows * length];
        for (int b = 0; b < rows; b++) {
            for (int t = 0; t < length; t++) {
                out[b][t] = tokens[b * length + t];
                position[b] += real[b * length + t] != 0 ? 1 : 0;
                positions[b * length + t] = Math.max(0, position[b] - 1);
            }
        }
        DecoderCache cache = model.newCache(rows, 4);
        Pass pass = model.seams().inference();
        DecoderInput in = (mask.isPresent() ? DecoderInput.of(prompt, mask.get()) : DecoderInput.of(prompt))
                .withPositions(Tensor.of(backend, positions, rows, length));
        boolean[] done = new boolean[rows];
        double[] last = null;
        int made = 0;
        for (int s = 0; s < steps && !allOf(done); s++, made++) {
            Tensor logits = next(in, pass, cache);
            last = logits.toDoubleArray();
            Tensor best = Tensor.empty(backend, DType.I64, rows, 1);
            backend.argmax(logits, best);
            long[] chosen = best.toLongArray();
            for (int b = 0; b < rows; b++) {
                chosen[b] = done[b] ? pad : chosen[b];
                out[b][length + s] = chosen[b];
                done[b] |= ends.contains((int) chosen[b]);
            }
            in = DecoderInput.of(Tensor.of(backend, chosen, rows, 1)).withPositions(Tensor.of(backend, position.clone(), rows, 1));
            for (int b = 0; b < rows; b++) {
                position[b]++;
            }
        }
        assertThat(length + made).isEqualTo(width);
        for (int b = 0; b < rows; b++) {
            assertThat(Arrays.copyOf(out[b], width)).as("row " + b).isEqualTo(Arrays.copyOfRange(want.values(), b * width, (b + 1) * width));
        }
        if (check.expects("last_logits")) {
            check.close("last_logits", last);
        }
        assertThat(cache.length()).isEqualTo(length + made - 1);
    }

    private Tensor next(DecoderInput in, Pass pass, DecoderCache cache) {
        return Recording.off(() -> {
            Var h = model.forward(in, pass, Optional.of(cache)).text();
            return model.logits(h.slice(1, h.size(1) - 1, h.size(1)), pass).tensor();
        });
    }

    private List<Integer> ends() {
        List<Integer> ends = new ArrayList<>();
        check.settings().path("eos_token_id").forEach(e -> ends.add(e.asInt()));
        if (check.settings().path("eos_token_id").isInt()) {
            ends.add(check.settings().get("eos_token_id").asInt());
        }
        return ends;
    }

    private static boolean allOf(boolean[] flags) {
        for (boolean f : flags) {
            if (!f) {
                return false;
            }
        }
        return true;
    }
}
