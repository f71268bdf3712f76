package dev.jotune.cli;

import dev.jotune.testing.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The golden BERT with a tokenizer of a word for each number, and texts of two classes. */
final class TinyEncoder {
    private TinyEncoder() {}

    static Path model(Path folder) throws IOException {
        Files.createDirectory(folder);
        for (String f : new String[] {"config.json", "model.safetensors"}) {
            Files.copy(Golden.folder("models").resolve("bert_mlm").resolve(f), folder.resolve(f));
        }
        StringBuilder words = new StringBuilder();
        for (int i = 4; i < 101; i++) {
            words.append(", \"w").append(i).append("\": ").append(i);
        }
        Files.writeString(folder.resolve("tokenizer.json"), """
                {"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
                 "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
                 "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
                 "model": {"type": "WordLevel", "unk_token": "[UNK]", "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3%s}}}
                """.formatted(words));
        return folder;
    }

    static Path data(Path file) throws IOException {
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 40; i++) {
            lines.append(i % 2 == 0 ? "w1%d w1%d\tbad\n".formatted(i % 5, i % 7) : "w6%d w6%d\tgood\n".formatted(i % 5, i % 7));
        }
        return Files.writeString(file, lines);
    }
}
