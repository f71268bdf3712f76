package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.List;

/**
 * Takes the longest token that a word begins with, then the longest continuing one, and so on; a word that cannot be
 * used up this way becomes the unknown token (Wu et al. 2016, https://arxiv.org/abs/1609.08144, section 4.1).
 */
final class WordPiece implements Model {

    private final Vocabulary vocabulary;
    private final TokenTrie beginnings = new TokenTrie();
    private final TokenTrie continuations = new TokenTrie();
    private final int longestWord;
    private final String unknownToken;

    private WordPiece(Vocabulary vocabulary, String prefix, int longestWord, String unknownToken) {
        this.vocabulary = vocabulary;
        this.longestWord = longestWord;
        this.unknownToken = unknownToken;
        vocabulary.ids().forEach((token, id) -> {
            if (!token.isEmpty()) {
                beginnings.add(token, id);
            }
            if (token.startsWith(prefix) && token.length() > prefix.length()) {
                continuations.add(token.substring(prefix.length()), id);
            }
        });
    }

    static WordPiece read(JsonView view) {
        Vocabulary vocabulary = Vocabulary.read(view.field("vocab"));
        vocabulary.ids().keySet().forEach(view.field("vocab")::requireShortToken);
        return new WordPiece(vocabulary, view.text("continuing_subword_prefix", "##"),
                view.natural("max_input_chars_per_word", 100), view.text("unk_token", "[UNK]"));
    }

    @Override
    public Vocabulary vocabulary() {
        return vocabulary;
    }

    @Override
    public void tokenize(NormalizedText word, Sink sink) {
        List<long[]> found = new ArrayList<>();
        int start = 0;
        while (start < word.length() && word.length() <= longestWord) {
            long match = (start == 0 ? beginnings : continuations).longest(word, start);
            if (match == TokenTrie.ABSENT) {
                break;
            }
            found.add(new long[] {match >>> 32, start, (int) match});
            start = (int) match;
        }
        if (start < word.length()) {
            sink.add(unknown(word), 0, word.length());
            return;
        }
        for (long[] token : found) {
            sink.add((int) token[0], (int) token[1], (int) token[2]);
        }
    }

    private int unknown(NormalizedText word) {
        int id = vocabulary.id(unknownToken);
        if (id == Vocabulary.ABSENT) {
            throw new TokenizerException("The word '" + word + "' is not in the vocabulary, and neither is the unknown "
                    + "token '" + unknownToken + "'. Use a tokenizer whose vocabulary has one.");
        }
        return id;
    }
}
