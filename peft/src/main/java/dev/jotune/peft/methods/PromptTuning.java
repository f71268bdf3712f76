package dev.jotune.peft.methods;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.VirtualTokens;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.TuningMethod;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * The Power of Scale for Parameter-Efficient Prompt Tuning (Lester et al., arXiv 2104.08691).
 *
 * <p>The input becomes {@code [P; E(x)]}: n trainable rows {@code P [n, C]} before the embedded text. Trainable:
 * {@code n C}.
 *
 * <p>An encoder-decoder reads them before the source. As in PEFT its P then has 2 n rows, of which the second half, meant for
 * the decoder, is never read.
 *
 * @param numVirtualTokens n
 * @param promptTuningInit {@code RANDOM} (standard normal, as PEFT), {@code SAMPLE_VOCAB} (embeddings of random tokens)
 *     or {@code TEXT} (embeddings of a text, repeated or cut to n)
 * @param promptTuningInitText for {@code TEXT}
 * @param tokenizerNameOrPath noted beside {@code TEXT}; Jotune starts with the model's own tokenizer
 */
public record PromptTuning(int numVirtualTokens, String promptTuningInit, Optional<String> promptTuningInitText,
        Optional<String> tokenizerNameOrPath, List<String> modulesToSave) implements TuningMethod {
    private static final String TABLE = "prompt_embeddings";

    public static final PromptTuning DEFAULTS = new PromptTuning(20, "RANDOM", Optional.empty(), Optional.empty(),
            List.of());

    /** PEFT refuses {@code TEXT} without the name of a tokenizer, though it opens it only to start anew. */
    public PromptTuning {
        if (promptTuningInit.equals("TEXT") && tokenizerNameOrPath.isEmpty()) {
            tokenizerNameOrPath = Optional.of("the base model's");
        }
    }


    public PromptTuning withTokens(int n) {
        return new PromptTuning(n, promptTuningInit, promptTuningInitText, tokenizerNameOrPath, modulesToSave);
    }

    /** Starting from the embeddings of {@code text}. */
    public PromptTuning fromText(String text) {
        return new PromptTuning(numVirtualTokens, "TEXT", Optional.of(text), tokenizerNameOrPath, modulesToSave);
    }

    @Override
    public PromptTuning withModulesToSave(List<String> modules) {
        return new PromptTuning(numVirtualTokens, promptTuningInit, promptTuningInitText, tokenizerNameOrPath, modules);
    }

    @Override
    public String peftType() {
        return "PROMPT_TUNING";
    }

    @Override
    public String changesAtStart() {
        return "the virtual tokens stand before the text from the start";
    }

    @Override
    public void attachTo(Attachment a) {
        a.checkVirtualTokens(numVirtualTokens);
        if (a.model().seams().embeddings().isEmpty()) {
            throw new AdapterException("prompt tuning needs an embedding input to put virtual tokens before, and a "
                    + a.model().modelType() + " model has none. Choose another method.");
        }
        EmbeddingSite input = a.model().seams().input();
        boolean withDecoder = a.model() instanceof Seq2SeqLm;
        long rows = withDecoder ? 2L * numVirtualTokens : numVirtualTokens;
        Var p = a.trainable(TABLE, a.isLoading() ? Init.ZEROS : start(a, input), rows, input.hiddenSize());
        a.virtualTokens(input, new Rows(p, numVirtualTokens));
        a.modulesToSave(modulesToSave, Attachment.UNWRAPPED);
    }

    private Init start(Attachment a, EmbeddingSite input) {
        return switch (promptTuningInit) {
            case "RANDOM" -> Init.normal(1);
            case "SAMPLE_VOCAB" -> embeddings(input, (i, vocabulary) -> Philox.nextInt(a.seed(), 1, i, vocabulary));
            case "TEXT" -> {
                int[] ids = a.tokens(promptTuningInitText.orElseThrow(() -> new AdapterException(
                        "prompt_tuning_init TEXT needs a prompt_tuning_init_text.")));
                if (ids.length == 0) {
                    throw new AdapterException("prompt_tuning_init_text has no tokens; give a text of at least one word.");
                }
                yield embeddings(input, (i, _) -> ids[i % ids.length]);
            }
            default -> throw new AdapterException("prompt_tuning_init is '" + promptTuningInit
                    + "'; it must be RANDOM, SAMPLE_VOCAB or TEXT.");
        };
    }

    private interface TokenAt {
        int id(int position, int vocabulary);
    }

    private Init embeddings(EmbeddingSite input, TokenAt token) {
        Parameter table = input.table().orElseThrow(() -> new AdapterException("prompt_tuning_init " + promptTuningInit
                + " starts from embeddings of tokens, but this model's input is no text. Use RANDOM."));
        int vocabulary = Math.toIntExact(table.size(0));
        return (b, type, seed, stream, shape) -> {
            long[] ids = IntStream.range(0, numVirtualTokens).mapToLong(i -> token.id(i, vocabulary)).toArray();
            Var rows = Recording.off(() -> table.stored().lookup(Tensor.of(b, ids, ids.length), type));
            return Tensor.empty(b, type, shape).copyFrom(rows.tensor());
        };
    }

    /** The first n rows of P. */
    private record Rows(Var p, long n) implements VirtualTokens {
        @Override
        public long count() {
            return n;
        }

        @Override
        public Var rows(Pass pass) {
            return p.size(0) == n ? p : p.slice(0, 0, n);
        }
    }
}
