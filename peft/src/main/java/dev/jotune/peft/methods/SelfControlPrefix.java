package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Prompts;
import dev.jotune.peft.Require;
import dev.jotune.peft.TuningMethod;
import java.util.List;
import java.util.Optional;

/**
 * The prefix controller of SelfControl (Cai et al., arXiv 2406.02721, section 2.3): n trainable rows {@code P [n, C]} before the embedded
 * text, which begin as the embeddings of a text that asks for what is wanted, and m states with a gate in every attention
 * ({@link AdaptionPrompt}). It learns the states of a model under control: {@code ControlDistillation} trains it. Under any other
 * objective it is prompt tuning and LLaMA-Adapter together. Several attached one after the other stand one before the other.
 * Trainable: {@code n C + L (m C + 1)}.
 *
 * @param numVirtualTokens n
 * @param promptTuningInit {@code TEXT} as in the paper, {@code SAMPLE_VOCAB} or {@code RANDOM}
 * @param promptTuningInitText for {@code TEXT}
 * @param adapterLen m
 */
public record SelfControlPrefix(int numVirtualTokens, String promptTuningInit, Optional<String> promptTuningInitText, int adapterLen,
        List<String> modulesToSave) implements TuningMethod {
    public static final SelfControlPrefix DEFAULTS = new SelfControlPrefix(10, "SAMPLE_VOCAB", Optional.empty(), 128, List.of());

    /** With n rows and m states. */
    public SelfControlPrefix sized(int n, int m) {
        return new SelfControlPrefix(n, promptTuningInit, promptTuningInitText, m, modulesToSave);
    }

    @Override
    public SelfControlPrefix withModulesToSave(List<String> modules) {
        return new SelfControlPrefix(numVirtualTokens, promptTuningInit, promptTuningInitText, adapterLen, modules);
    }

    @Override
    public String peftType() {
        return "SELF_CONTROL_PREFIX";
    }

    @Override
    public String changesAtStart() {
        return "the virtual tokens stand before the text from the start";
    }

    @Override
    public void attachTo(Attachment a) {
        Require.positive("adapter_len", adapterLen);
        List<AttentionSite> sites = AdaptionPrompt.readable(a.model());
        Prompts prompts = Prompts.of(a, "SelfControl", numVirtualTokens);
        Var p = prompts.table(a.isLoading() ? Init.ZEROS : prompts.start(promptTuningInit, promptTuningInitText));
        prompts.stand(_ -> p);
        AdaptionPrompt.attachTo(a, sites, adapterLen);
        a.modulesToSave(modulesToSave, Attachment.UNWRAPPED);
    }
}
