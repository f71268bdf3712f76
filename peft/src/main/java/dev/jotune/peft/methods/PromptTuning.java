package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Prompts;
import dev.jotune.peft.TuningMethod;
import java.util.List;
import java.util.Optional;

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
        Prompts prompts = Prompts.of(a, "prompt tuning", numVirtualTokens);
        Var p = prompts.table(a.isLoading() ? Init.ZEROS : prompts.start(promptTuningInit, promptTuningInitText));
        prompts.stand(_ -> p);
        a.modulesToSave(modulesToSave, Attachment.UNWRAPPED);
    }
}
