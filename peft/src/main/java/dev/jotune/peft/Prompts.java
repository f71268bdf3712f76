package dev.jotune.peft;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.VirtualTokens;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * What methods of virtual tokens have in common: where the rows stand, how many there are, and how a table of them starts.
 *
 * @param a the attachment
 * @param site the input that the rows stand before
 * @param count n
 */
public record Prompts(Attachment a, EmbeddingSite site, int count) {
    /** PEFT's key of the rows. */
    public static final String TABLE = "prompt_embeddings";

    /**
     * A place for {@code count} rows.
     *
     * @param method what it is called in a message
     * @throws AdapterException if the count is out of range, or the model has no embedding input
     */
    public static Prompts of(Attachment a, String method, int count) {
        a.checkVirtualTokens(count);
        if (a.model().seams().embeddings().isEmpty()) {
            throw new AdapterException(method + " needs an embedding input to put virtual tokens before, and a "
                    + a.model().modelType() + " model has none. Choose another method.");
        }
        return new Prompts(a, a.model().seams().input(), count);
    }

    /**
     * Rows of a table as PEFT has it: on an encoder-decoder twice n, of which the second half is never read, unless
     * {@code num_transformer_submodules} was 1.
     */
    public int rows() {
        return a.model() instanceof Seq2SeqLm && !a.holdsRows(TABLE, count) ? 2 * count : count;
    }

    /** A table that is trained as it is, and saved under PEFT's key. */
    public Var table(Init start) {
        return a.trainable(TABLE, start, rows(), site.hiddenSize());
    }

    /**
     * Whether an encoder behind the table is trained: always in a new adapter. A file holds what it gave, as PEFT's does, and
     * that is then trained on directly; what keeps a training run whole holds the encoder too.
     *
     * @param key of one of its tensors
     */
    public boolean isEncoded(String key) {
        return !a.isLoading() || a.holds(key);
    }

    /** Puts the first n rows of {@code table [rows, C]} before the input. */
    public void stand(Function<Pass, Var> table) {
        a.virtualTokens(site, VirtualTokens.of(count, table));
    }

    /** The same for a table that an encoder gives; the file holds the table. */
    public void standEncoded(Function<Pass, Var> table) {
        stand(table);
        a.export(TABLE, () -> Recording.off(() -> table.apply(Pass.inference(List.of()))).tensor());
    }

    /**
     * How a table starts: {@code RANDOM} (standard normal), {@code SAMPLE_VOCAB} (embeddings of random tokens) or
     * {@code TEXT} (embeddings of a text, repeated or cut to the table's length).
     *
     * @throws AdapterException for another word, or a text without tokens
     */
    public Init start(String how, Optional<String> text) {
        return switch (how) {
            case "RANDOM" -> Init.normal(1);
            case "SAMPLE_VOCAB" -> embeddings(how, (i, vocabulary) -> Philox.nextInt(a.seed(), 1, i, vocabulary));
            case "TEXT" -> {
                int[] ids = a.tokens(text.orElseThrow(() -> new AdapterException(
                        "prompt_tuning_init TEXT needs a prompt_tuning_init_text.")));
                if (ids.length == 0) {
                    throw new AdapterException("prompt_tuning_init_text has no tokens; give a text of at least one word.");
                }
                yield embeddings(how, (i, _) -> ids[i % ids.length]);
            }
            default -> throw new AdapterException("prompt_tuning_init is '" + how + "'; it must be RANDOM, SAMPLE_VOCAB or TEXT.");
        };
    }

    private interface TokenAt {
        int id(int position, int vocabulary);
    }

    private Init embeddings(String how, TokenAt token) {
        Parameter table = site.table().orElseThrow(() -> new AdapterException("prompt_tuning_init " + how
                + " starts from embeddings of tokens, but this model's input is no text. Use RANDOM."));
        int vocabulary = Math.toIntExact(table.size(0));
        return (b, type, seed, stream, shape) -> {
            long[] ids = IntStream.range(0, Math.toIntExact(shape[0])).mapToLong(i -> token.id(i, vocabulary)).toArray();
            Var rows = Recording.off(() -> table.stored().lookup(Tensor.of(b, ids, ids.length), type));
            return Tensor.empty(b, type, shape).copyFrom(rows.tensor());
        };
    }
}
