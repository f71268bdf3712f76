package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.List;

/** Pre-tokenizers applied one after the other, each to the pieces of the one before. */
record PreTokenizerSequence(List<PreTokenizer> parts) implements PreTokenizer {

    PreTokenizerSequence {
        parts = List.copyOf(parts);
    }

    @Override
    public List<NormalizedText> split(NormalizedText text) {
        List<NormalizedText> pieces = List.of(text);
        for (PreTokenizer part : parts) {
            List<NormalizedText> next = new ArrayList<>();
            for (NormalizedText piece : pieces) {
                for (NormalizedText smaller : part.split(piece)) {
                    if (!smaller.isEmpty()) {
                        next.add(smaller);
                    }
                }
            }
            pieces = next;
        }
        return pieces;
    }
}
