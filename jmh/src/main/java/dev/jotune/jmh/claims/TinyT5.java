package dev.jotune.jmh.claims;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Architectures;
import dev.jotune.models.Config;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Encoded;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.IntStream;

/** An encoder-decoder of T5's form that is trained from nothing, and texts for it. */
final class TinyT5 {
    private static final String CONFIG = """
            {"model_type": "t5", "vocab_size": %d, "d_model": %d, "d_kv": %d, "d_ff": %d, "num_layers": %d, "num_heads": 4,
             "relative_attention_num_buckets": 16, "relative_attention_max_distance": 40, "feed_forward_proj": "gated-gelu",
             "dropout_rate": %s, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1, "tie_word_embeddings": true}""";

    private TinyT5() {}

    /** Of the same random weights at every call. */
    static Seq2SeqLm untrained(int vocabulary, int hidden, int layers, double dropout, long seed) {
        String config = CONFIG.formatted(vocabulary, hidden, hidden / 4, 2 * hidden, layers, Double.toString(dropout));
        return Architectures.build(Config.parse(config, "the experiment"), new T5Weights(Backends.cpu(), seed, hidden / 4), Backends.cpu(),
                DType.F32).as(Seq2SeqLm.class);
    }

    /** Sources {@code [B, S]} and the targets {@code [B, T]} that they ask for. */
    record Texts(long[][] sources, long[][] targets) {
        private static Tensor table(long[][] rows) {
            return Tensor.of(Backends.cpu(), Arrays.stream(rows).flatMapToLong(Arrays::stream).toArray(), rows.length, rows[0].length);
        }

        EncoderInput source() {
            return EncoderInput.of(table(sources));
        }

        Var loss(Seq2SeqLm model, Pass pass) {
            return model.loss(source(), table(targets), pass);
        }

        /** The share of texts that greedy decoding answers with the whole target. */
        double right(Seq2SeqLm model) {
            long[][] written = answers(model);
            return IntStream.range(0, targets.length).filter(b -> Arrays.equals(written[b], targets[b])).count() / (double) targets.length;
        }

        /** The share whose answer's token at one place is the target's. */
        double rightAt(Seq2SeqLm model, int place) {
            long[][] written = answers(model);
            return IntStream.range(0, targets.length).filter(b -> written[b][place] == targets[b][place]).count() / (double) targets.length;
        }

        private long[][] answers(Seq2SeqLm model) {
            Pass pass = model.seams().inference();
            int time = targets[0].length;
            long[][] written = new long[targets.length][time + 1];
            Arrays.stream(written).forEach(row -> row[0] = model.decoderStartToken());
            try (Scope _ = Scope.open()) {
                Encoded source = Recording.off(() -> model.encode(source(), pass));
                for (int t = 0; t < time; t++) {
                    long[] next = next(model, source, written, t, pass);
                    for (int b = 0; b < next.length; b++) {
                        written[b][t + 1] = next[b];
                    }
                }
            }
            return Arrays.stream(written).map(row -> Arrays.copyOfRange(row, 1, time + 1)).toArray(long[][]::new);
        }

        private static long[] next(Seq2SeqLm model, Encoded source, long[][] written, int t, Pass pass) {
            return Recording.off(() -> {
                Var states = model.decode(DecoderInput.of(table(written)), source, pass, Optional.empty()).text();
                Tensor best = Tensor.empty(model.backend(), DType.I64, written.length, 1);
                model.backend().argmax(model.logits(states.slice(1, t, t + 1), pass).tensor(), best);
                return best;
            }).toLongArray();
        }
    }
}
