package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.List;

/**
 * Joins continuing pieces to the word before them and puts spaces between words.
 *
 * @param prefix what marks a continuing piece
 * @param cleanup whether the space before punctuation and English contractions is taken away
 */
record WordPieceDecoder(String prefix, boolean cleanup) implements Decoder {

    private static final List<String[]> CLEANUPS = List.of(new String[][] {
        {" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
        {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}});

    static WordPieceDecoder read(JsonView view) {
        return new WordPieceDecoder(view.text("prefix", "##"), view.bool("cleanup", true));
    }

    @Override
    public List<String> decode(List<String> tokens) {
        List<String> result = new ArrayList<>(tokens.size());
        for (int i = 0; i < tokens.size(); i++) {
            String token = tokens.get(i);
            if (i > 0) {
                token = token.startsWith(prefix) ? token.substring(prefix.length()) : " " + token;
            }
            if (cleanup) {
                for (String[] replacement : CLEANUPS) {
                    token = token.replace(replacement[0], replacement[1]);
                }
            }
            result.add(token);
        }
        return result;
    }
}
