package dev.jotune.models.tokenizer;

import java.util.List;

/** Decoders applied one after the other. */
record DecoderSequence(List<Decoder> parts) implements Decoder {

    DecoderSequence {
        parts = List.copyOf(parts);
    }

    @Override
    public List<String> decode(List<String> tokens) {
        List<String> result = tokens;
        for (Decoder part : parts) {
            result = part.decode(result);
        }
        return result;
    }
}
