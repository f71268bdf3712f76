package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.List;

/**
 * Takes a character off the ends of each token.
 *
 * @param content the character
 * @param start how many of them at most are taken off the start
 * @param stop how many of them at most are taken off the end
 */
record StripDecoder(int content, int start, int stop) implements Decoder {

    static StripDecoder read(JsonView view) {
        return new StripDecoder(view.field("content").codePoint(), view.natural("start", 0), view.natural("stop", 0));
    }

    @Override
    public List<String> decode(List<String> tokens) {
        List<String> result = new ArrayList<>(tokens.size());
        for (String token : tokens) {
            int begin = 0;
            for (int i = 0; i < start && begin < token.length() && token.codePointAt(begin) == content; i++) {
                begin += Character.charCount(content);
            }
            int end = token.length();
            for (int i = 0; i < stop && end > begin && token.codePointBefore(end) == content; i++) {
                end -= Character.charCount(content);
            }
            result.add(token.substring(begin, end));
        }
        return result;
    }
}
