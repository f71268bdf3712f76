package dev.jotune.models.tokenizer;

/** One token a word; a word that is not in the vocabulary becomes the unknown token. */
record WordLevel(Vocabulary vocabulary, int unknown) implements Model {

    static WordLevel read(JsonView view) {
        Vocabulary vocabulary = Vocabulary.read(view.field("vocab"));
        String unknown = view.text("unk_token", "<unk>");
        return new WordLevel(vocabulary, vocabulary.id(unknown));
    }

    @Override
    public void tokenize(NormalizedText word, Sink sink) {
        int id = vocabulary.id(word.toString());
        if (id == Vocabulary.ABSENT) {
            id = unknown;
        }
        if (id == Vocabulary.ABSENT) {
            throw new TokenizerException("The word '" + word + "' is not in the vocabulary, and neither is the unknown "
                    + "token. Use a tokenizer whose vocabulary has one.");
        }
        sink.add(id, 0, word.length());
    }
}
