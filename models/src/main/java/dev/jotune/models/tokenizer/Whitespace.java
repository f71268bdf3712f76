package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.List;

/** Cuts into runs of word characters and runs of anything else that is not white space: {@code \w+|[^\w\s]+}. */
record Whitespace() implements PreTokenizer {

    private static final int SPACE = 0;
    private static final int WORD = 1;
    private static final int OTHER = 2;

    @Override
    public List<NormalizedText> split(NormalizedText text) {
        List<NormalizedText> pieces = new ArrayList<>();
        int start = 0;
        for (int i = 1; i <= text.length(); i++) {
            int kind = kind(text.codePoint(i - 1));
            if (i == text.length() || kind(text.codePoint(i)) != kind) {
                if (kind != SPACE) {
                    pieces.add(text.slice(start, i));
                }
                start = i;
            }
        }
        return pieces;
    }

    private static int kind(int c) {
        if (Characters.isWord(c)) {
            return WORD;
        }
        return Characters.isWhiteSpace(c) ? SPACE : OTHER;
    }
}
