/** Language models, their tokenizers and generation, and the seams that tuning methods plug into. */
module dev.jotune.models {
    requires transitive dev.jotune.autograd;
    requires com.fasterxml.jackson.databind;
    requires java.desktop;

    exports dev.jotune.models;
    exports dev.jotune.models.chat;
    exports dev.jotune.models.audio;
    exports dev.jotune.models.generate;
    exports dev.jotune.models.image;
    exports dev.jotune.models.llama;
    exports dev.jotune.models.seam;
    exports dev.jotune.models.tokenizer;
}
