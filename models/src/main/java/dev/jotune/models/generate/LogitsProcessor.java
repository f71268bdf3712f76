package dev.jotune.models.generate;

import java.util.List;

/**
 * Changes next-token logits before a token is chosen. A removed token's logit is negative infinity.
 *
 * <p>Processors may keep buffers between calls: give each thread its own. All that {@link SamplingOptions#processors}
 * builds, applied in its order, is what Hugging Face's generate does with the settings of the same names.
 */
@FunctionalInterface
public interface LogitsProcessor {

    /**
     * @param history token ids so far, prompt included; only the first {@code length} count, none may be changed
     * @param length  number of tokens so far
     * @param logits  [V] the next token's logits, changed in place
     */
    void apply(int[] history, int length, float[] logits);

    /** The processors one after the other, as one. */
    static LogitsProcessor chain(List<? extends LogitsProcessor> processors) {
        LogitsProcessor[] chain = processors.toArray(LogitsProcessor[]::new);
        return (history, length, logits) -> {
            for (LogitsProcessor processor : chain) {
                processor.apply(history, length, logits);
            }
        };
    }
}
