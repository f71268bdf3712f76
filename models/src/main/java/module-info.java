/** Language models, their tokenizers and generation, and the seams that tuning methods plug into. */
module dev.jotune.models {
    requires transitive dev.jotune.autograd;
    requires com.fasterxml.jackson.databind;
    requires org.apache.lucene.core;
    requires java.desktop;
    requires java.net.http;

    exports dev.jotune.models.ast;
    exports dev.jotune.models.audio;
    exports dev.jotune.models.bart;
    exports dev.jotune.models.bert;
    exports dev.jotune.models.chat;
    exports dev.jotune.models.clip;
    exports dev.jotune.models.deberta;
    exports dev.jotune.models.decoder;
    exports dev.jotune.models.generate;
    exports dev.jotune.models.gguf;
    exports dev.jotune.models.gpt2;
    exports dev.jotune.models.head;
    exports dev.jotune.models.hub;
    exports dev.jotune.models.image;
    exports dev.jotune.models.mamba;
    exports dev.jotune.models.patch;
    exports dev.jotune.models.remote;
    exports dev.jotune.models.seam;
    exports dev.jotune.models.seq2seq;
    exports dev.jotune.models.t5;
    exports dev.jotune.models.tokenizer;
    exports dev.jotune.models.ttm;
    exports dev.jotune.models.vit;
    exports dev.jotune.models.whisper;
    exports dev.jotune.models;
}
