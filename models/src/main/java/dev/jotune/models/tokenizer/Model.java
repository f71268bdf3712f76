package dev.jotune.models.tokenizer;

/** Third stage: turns one word into tokens of the vocabulary. */
sealed interface Model permits Bpe, WordLevel, WordPiece, Unigram {

    /** Takes the tokens of a word in order. */
    @FunctionalInterface
    interface Sink {
        /** The token {@code id} stands for the word's code points from {@code start} to {@code end} (exclusive). */
        void add(int id, int start, int end);
    }

    /** Cuts {@code word}, which is not empty, into tokens. */
    void tokenize(NormalizedText word, Sink sink);

    /** The tokens and their ids. */
    Vocabulary vocabulary();

    /** The id whose tokens read as the text they stand for, or {@link Vocabulary#ABSENT} where all read as listed. */
    default int shownAsInText() {
        return Vocabulary.ABSENT;
    }

    /** Reads the field {@code model} of a tokenizer file; files before 2020 leave the type out. */
    static Model read(JsonView view) {
        String type = view.text("type", view.has("merges") ? "BPE" : "WordLevel");
        return switch (type) {
            case "BPE" -> Bpe.read(view);
            case "WordLevel" -> WordLevel.read(view);
            case "WordPiece" -> WordPiece.read(view);
            case "Unigram" -> Unigram.read(view);
            default -> throw view.unsupported(type, "BPE, WordLevel, WordPiece and Unigram");
        };
    }
}
