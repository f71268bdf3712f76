package dev.jotune.models.tokenizer;

import java.util.List;

/** Joins all tokens into one, so that later decoders see the whole text. */
record Fuse() implements Decoder {

    @Override
    public List<String> decode(List<String> tokens) {
        return List.of(String.join("", tokens));
    }
}
