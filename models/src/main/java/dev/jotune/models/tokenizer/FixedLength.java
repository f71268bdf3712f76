package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.List;

/** Cuts into pieces of {@code length} characters, the last perhaps shorter. */
record FixedLength(int length) implements PreTokenizer {

    static FixedLength read(JsonView view) {
        int length = view.natural("length", 5);
        if (length == 0) {
            throw view.error("has length 0. Give a length from 1.");
        }
        return new FixedLength(length);
    }

    @Override
    public List<NormalizedText> split(NormalizedText text) {
        List<NormalizedText> pieces = new ArrayList<>();
        for (int start = 0; start < text.length(); ) {
            int end = text.length() - start <= length ? text.length() : start + length;
            pieces.add(text.slice(start, end));
            start = end;
        }
        return pieces;
    }
}
