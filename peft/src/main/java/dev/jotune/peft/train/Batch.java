package dev.jotune.peft.train;

import dev.jotune.models.DecoderInput;
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
 * @param tokens real tokens, padding apart
 * @param labelCount how many labels count in the loss
 */
public record Batch(Tensor ids, Tensor mask, Tensor labels, long tokens, long labelCount) {
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
        Arrays.fill(labels, Example.IGNORED);
        long tokens = 0;
        long counted = 0;
        for (int b = 0; b < rows; b++) {
            Example e = examples.get(b);
            for (int t = 0; t < e.length(); t++) {
                ids[b * time + t] = e.ids()[t];
                labels[b * time + t] = e.labels()[t];
                mask[b * time + t] = 1;
            }
            tokens += e.length();
            counted += e.labelCount(firstCounts);
        }
        return new Batch(Tensor.of(backend, ids, rows, time), Tensor.of(backend, mask, rows, time),
                Tensor.of(backend, labels, rows, time), tokens, counted);
    }

    /** What a decoder reads. */
    public DecoderInput input() {
        return DecoderInput.of(ids, mask);
    }
}
