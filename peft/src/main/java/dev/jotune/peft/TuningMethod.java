package dev.jotune.peft;

import dev.jotune.models.Backbone;
import java.util.List;

/**
 * The hyper-parameters of a tuning method, named as the paper and Hugging Face PEFT name them (in Java's spelling:
 * {@code loraAlpha} is {@code lora_alpha}). A record; its components are the fields of {@code adapter_config.json}.
 */
public interface TuningMethod {
    /** PEFT's name of the method: {@code LORA}, {@code PREFIX_TUNING}. */
    String peftType();

    /**
     * Declares what is trainable, how it starts, and where it hangs.
     *
     * @throws AdapterException if the model has no place for it, or a hyper-parameter is out of range
     */
    void attachTo(Attachment a);

    /** This method with what depends on the model filled in, such as the modules it takes by default. */
    default TuningMethod on(Backbone model) {
        return this;
    }

    /** Modules that are trained whole beside what the method adds ({@code modules_to_save}). */
    default List<String> modulesToSave() {
        return List.of();
    }

    /** This method with other {@link #modulesToSave}; itself where it cannot train modules whole. */
    default TuningMethod withModulesToSave(List<String> modules) {
        return this;
    }

    /** Why an attached, untrained adapter changes the model's output; empty if it does not. */
    default String changesAtStart() {
        return "";
    }
}
