package dev.jotune.peft;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Encoded;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Optional;
import java.util.function.Function;

/** How one kind of model runs on the batch of a {@link PeftCase}. */
interface PeftRun {
    /** Logits {@code [B, n + T, V]}, or {@code [B, labels]} of a classifier. */
    Var logits(Pass pass);

    /** Which of the last T positions of the logits are tokens, {@code [B, T]}; null if all are. */
    double[] mask();

    Var loss(Pass pass);

    /** Greedy decoding of the left-padded prompts, with a cache: the new tokens {@code [B][steps]}. */
    default long[][] greedy(int steps) {
        throw new AssertionError("a classifier writes nothing");
    }

    static PeftRun of(Backbone model, PeftCase c) {
        return switch (model) {
            case CausalLm m -> new Causal(m, c);
            case Seq2SeqLm m -> new Seq2Seq(m, c);
            case SequenceClassifier m -> new Classifier(m, c);
            default -> throw new AssertionError("no test knows how peft ran a " + model.getClass().getSimpleName() + ". Add a PeftRun.");
        };
    }

    /** Rows of best tokens, each step's input made from the step before. */
    private static long[][] steps(PeftCase c, int rows, int steps, DecoderInput first, Function<DecoderInput, Var> last,
            Function<Tensor, DecoderInput> next) {
        long[][] out = new long[rows][steps];
        DecoderInput in = first;
        for (int s = 0; s < steps; s++) {
            DecoderInput step = in;
            Tensor best = Recording.off(() -> {
                Tensor ids = Tensor.empty(c.backend(), DType.I64, rows, 1);
                c.backend().argmax(last.apply(step).tensor(), ids);
                return ids;
            });
            long[] chosen = best.toLongArray();
            for (int b = 0; b < rows; b++) {
                out[b][s] = chosen[b];
            }
            in = next.apply(best);
        }
        return out;
    }

    private static Var last(Var states) {
        return states.slice(1, states.size(1) - 1, states.size(1));
    }

    /** Decoder-only language models. */
    record Causal(CausalLm model, PeftCase c) implements PeftRun {
        @Override
        public Var logits(Pass pass) {
            return model.logits(model.forward(batch(), pass, Optional.empty()).states(), pass);
        }

        @Override
        public double[] mask() {
            return c.ids("attention_mask").toDoubleArray();
        }

        @Override
        public Var loss(Pass pass) {
            return model.loss(batch(), c.ids("labels"), pass);
        }

        private DecoderInput batch() {
            return DecoderInput.of(c.ids("input_ids"), c.ids("attention_mask"));
        }

        @Override
        public long[][] greedy(int steps) {
            Tensor prompt = c.ids("prompt.input_ids");
            Tensor mask = c.ids("prompt.attention_mask");
            int rows = (int) prompt.size(0);
            int length = (int) prompt.size(1);
            double[] real = mask.toDoubleArray();
            long[] positions = new long[rows * length];
            long[] next = new long[rows];
            for (int b = 0; b < rows; b++) {
                for (int t = 0; t < length; t++) {
                    positions[b * length + t] = Math.max(0, next[b] - (real[b * length + t] != 0 ? 0 : 1));
                    next[b] += real[b * length + t] != 0 ? 1 : 0;
                }
            }
            Pass pass = model.seams().inference();
            // peft drops the positions where it puts prompts before the input: they count on over the padding.
            boolean prompts = pass.groups().stream().anyMatch(g -> g.virtualTokens(model.input().name()) > 0);
            DecoderCache cache = model.newCache(rows, 4);
            DecoderInput in = DecoderInput.of(prompt, mask);
            return steps(c, rows, steps, prompts ? in : in.withPositions(Tensor.of(c.backend(), positions, rows, length)),
                    step -> model.logits(last(model.forward(step, pass, Optional.of(cache)).text()), pass),
                    best -> {
                        DecoderInput step = DecoderInput.of(best);
                        DecoderInput placed = prompts ? step : step.withPositions(Tensor.of(c.backend(), next.clone(), rows, 1));
                        for (int b = 0; b < rows; b++) {
                            next[b]++;
                        }
                        return placed;
                    });
        }
    }

    /** Encoder-decoders: the decoder reads the labels shifted right. */
    record Seq2Seq(Seq2SeqLm model, PeftCase c) implements PeftRun {
        @Override
        public Var logits(Pass pass) {
            DecoderInput target = DecoderInput.of(model.shiftRight(c.ids("labels")));
            return model.logits(model.decode(target, model.encode(batch(), pass), pass, Optional.empty()).states(), pass);
        }

        @Override
        public double[] mask() {
            return null;
        }

        @Override
        public Var loss(Pass pass) {
            return model.loss(batch(), c.ids("labels"), pass);
        }

        private EncoderInput batch() {
            return EncoderInput.of(c.ids("input_ids"), c.ids("attention_mask"));
        }

        @Override
        public long[][] greedy(int steps) {
            Pass pass = model.seams().inference();
            Encoded source = Recording.off(() -> model.encode(EncoderInput.of(c.ids("prompt.input_ids"), c.ids("prompt.attention_mask")), pass));
            int rows = (int) source.batch();
            DecoderCache cache = model.newCache(rows, 4);
            return steps(c, rows, steps, DecoderInput.of(Tensor.full(c.backend(), DType.I64, model.decoderStartToken(), rows, 1)),
                    step -> model.logits(last(model.decode(step, source, pass, Optional.of(cache)).text()), pass), DecoderInput::of);
        }
    }

    /** Classifiers of texts. */
    record Classifier(SequenceClassifier model, PeftCase c) implements PeftRun {
        @Override
        public Var logits(Pass pass) {
            return model.logits(model.forward(batch(), pass), pass);
        }

        @Override
        public double[] mask() {
            return null;
        }

        @Override
        public Var loss(Pass pass) {
            return model.loss(batch(), c.ids("labels"), pass);
        }

        private EncoderInput batch() {
            return EncoderInput.of(c.ids("input_ids"), c.ids("attention_mask")).withTokenTypes(c.ids("token_type_ids"));
        }
    }
}
