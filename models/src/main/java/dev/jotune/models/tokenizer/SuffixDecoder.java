package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.List;

/** Writes the mark that ends a word as a space, except at the end of the text. */
record SuffixDecoder(String suffix) implements Decoder {

    @Override
    public List<String> decode(List<String> tokens) {
        List<String> result = new ArrayList<>(tokens.size());
        for (int i = 0; i < tokens.size(); i++) {
            result.add(tokens.get(i).replace(suffix, i == tokens.size() - 1 ? "" : " "));
        }
        return result;
    }
}
