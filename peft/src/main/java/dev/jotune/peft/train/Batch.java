package dev.jotune.peft.train;

import dev.jotune.models.DecoderInput;
import dev.jotune.models.EncoderInput;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;

/**
 * Examples side by side, padded on the right. B rows, T the longest example.
 *
 * @param ids I64 {@code [B, T]}
 * @param mask I64 {@code [B, T]}: 1 at tokens, 0 at padding
 * @param labels I64 {@code [B, T]}: -100 at padding and where nothing is learnt
 * @param tokenTypes I64 {@code [B, T]}: which text of a pair
 * @param categories I64 {@code [B]}: the rows' classes, -100 for rows without one
 * @param tokens real tokens, padding apart, those of rejected answers too
 * @param labelCount how many labels count in the loss
 * @param examples the rows, for objectives that lay them out otherwise
 */
public record Batch(Tensor ids, Tensor mask, Tensor labels, Tensor tokenTypes, Tensor categories, long tokens, long labelCount,
        List<Example> examples) {
    /**
     * @param firstCounts whether a label of a row's first token counts: only if virtual tokens precede it
     */
    public static Batch of(List<Example> examples, Backend backend, boolean firstCounts) {
        int rows = examples.size();
        int time = examples.stream().mapToInt(Example::length).max().orElseThrow(() ->
                new IllegalArgumentException("a batch of 0 examples has nothing to learn. Put at least one into it."));
        long[] ids = new long[rows * time];
        long[] mask = new long[rows * time];
        long[] labels = new long[rows * time];
        long[] types = new long[rows * time];
        long[] categories = new long[rows];
        Arrays.fill(labels, Example.IGNORED);
        long tokens = 0;
        long counted = 0;
        for (int b = 0; b < rows; b++) {
            Example e = examples.get(b);
            for (int t = 0; t < e.length(); t++) {
                ids[b * time + t] = e.ids()[t];
                labels[b * time + t] = e.labels()[t];
                mask[b * time + t] = 1;
                types[b * time + t] = e.tokenTypes().length == 0 ? 0 : e.tokenTypes()[t];
            }
            categories[b] = e.category();
            tokens += e.length() + e.rejected().map(Example::length).orElse(0);
            counted += e.labelCount(firstCounts);
        }
        return new Batch(Tensor.of(backend, ids, rows, time), Tensor.of(backend, mask, rows, time),
                Tensor.of(backend, labels, rows, time), Tensor.of(backend, types, rows, time), Tensor.of(backend, categories, rows),
                tokens, counted, List.copyOf(examples));
    }

    /** What a decoder reads. */
    public DecoderInput input() {
        return DecoderInput.of(ids, mask);
    }

    /** What an encoder reads. */
    public EncoderInput texts() {
        return EncoderInput.of(ids, mask).withTokenTypes(tokenTypes);
    }
}
